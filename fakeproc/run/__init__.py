"""`fakeproc run`: a command for which the guest's files lie at the real paths.

Three processes, and the guest's daemon, which is never inside what it serves:

- the *front* is what the user started: it passes signals on and ends as the
  command ended;
- the *supervisor* is its child: it starts the daemon and the command, and ends
  whatever is left when the command ends, or when the front is killed;
- the *command* gets a mount namespace of its own in
  which the guest's files are bound over /proc and /sys, and executes the program.
"""
