"""Which system calls a run sends to its guest, by the parts that are switched on."""

from __future__ import annotations

from errno import ENOSYS

from fakeproc.syscalls.filter import Rule

__all__ = ["IDENTITY"]

# A kernel without restartable sequences: with them a thread would read in its own memory
# on which of this computer's CPUs it runs (glibc's sched_getcpu).
IDENTITY = (
    Rule("sched_getaffinity"),
    Rule("sched_setaffinity"),
    Rule("getcpu"),
    Rule("uname"),
    Rule("sysinfo"),
    Rule("statfs"),
    Rule("fstatfs"),
    Rule("rseq", errno=ENOSYS),
)
