"""Which system calls a run sends to its guest, by the parts that are switched on."""

from __future__ import annotations

from errno import ENOSYS, EPERM

from fakeproc.syscalls.clocks import CLOCKS
from fakeproc.syscalls.filter import Rule, nonzero, one_of, positive

__all__ = ["IDENTITY", "NETWORK", "TIME"]

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

# What ethtool asks: SIOCETHTOOL, and the family of generic netlink in a message of 32 bytes to
# an address of 12 (`struct sockaddr_nl`).
NETWORK = (
    Rule("ioctl", (one_of(1, 0x8946),)),
    Rule("sendto", (one_of(2, 32), one_of(5, 12))),
)

# A wait without a limit is the real kernel's, and so are the clocks of CPU time.
TIME = (
    Rule("clock_gettime", (one_of(0, *CLOCKS),)),
    Rule("gettimeofday"),
    Rule("time"),
    Rule("poll", (positive(2),)),
    Rule("futex", (one_of(1, 0, 9, mask=0x7F), nonzero(3))),  # FUTEX_WAIT, _WAIT_BITSET
    Rule("ppoll", (nonzero(2),)),
    Rule("select", (nonzero(4),)),
    Rule("pselect6", (nonzero(4),)),
    Rule("epoll_wait", (positive(3),)),
    Rule("epoll_pwait", (positive(3),)),
    Rule("epoll_pwait2", (nonzero(3),)),
    Rule("nanosleep"),
    Rule("clock_nanosleep"),
    Rule("rt_sigtimedwait", (nonzero(2),)),
    Rule("execve"),
    Rule("execveat"),
    Rule("alarm"),
    Rule("setitimer", (one_of(0, 0),)),  # ITIMER_REAL
    Rule("getitimer", (one_of(0, 0),)),
    Rule("timerfd_settime"),
    Rule("timerfd_gettime"),
    Rule("timer_create", (one_of(0, *CLOCKS),)),
    Rule("timer_settime"),
    Rule("timer_gettime"),
    Rule("timer_getoverrun"),
    Rule("timer_delete"),
    Rule("clock_settime", errno=EPERM),
    Rule("settimeofday", errno=EPERM),
)
