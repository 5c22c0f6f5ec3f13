"""System calls of the programs that run on a guest, answered by the guest's daemon.

The command of a run installs a seccomp filter (`filter`), which sends the calls it
names to the daemon (`listener`); one thread answers them from the model (`service`).
No program is traced and no library is preloaded, so static programs and debuggers
work as ever.  Nothing here knows FUSE.
"""
