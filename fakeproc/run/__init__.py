"""`fakeproc run`: a command for which the guest's files lie at the real paths.

Three processes, and the guest's daemon, which is never inside what it serves:

- the *front* is what the user started: it passes signals on and ends as the
  command ended;
- the *supervisor* is its child: it starts the daemon and the command, and ends
  whatever is left when the command ends, or when the front is killed;
- the *command* opens a window on the guest, a mount namespace of its own in
  which the guest's files are bound over /proc and /sys, and executes the program.

The modules:

- `namespace`    system calls: namespaces, mounts, who dies with whom
- `window`       which files of the guest go where, and what of the host stays
- `guests`       the guest, as the three see it; one that is mounted already
- `own_guest`    a guest of the command's own, and its daemon
- `relay`        a process that waits for another and stands in for it
- `descendants`  what a command has left running
- `session`      who starts whom, and who cleans up
- `shell`        the shell that is opened without a command
- `command`      the command line
"""
