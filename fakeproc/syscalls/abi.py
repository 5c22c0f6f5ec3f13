"""The numbers of the system calls, by architecture: `arch/*/include/asm/unistd.h`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache

__all__ = ["Abi", "native"]


@dataclass(frozen=True)
class Abi:
    """One architecture's calls; `audit` is its AUDIT_ARCH of include/uapi/linux/audit.h."""

    audit: int
    numbers: dict[str, int]


_X86_64 = Abi(
    0xC000_003E,
    {
        "poll": 7,
        "ioctl": 16,
        "select": 23,
        "nanosleep": 35,
        "sendto": 44,
        "getitimer": 36,
        "alarm": 37,
        "setitimer": 38,
        "rt_sigtimedwait": 128,
        "rt_sigqueueinfo": 129,
        "execve": 59,
        "uname": 63,
        "gettimeofday": 96,
        "sysinfo": 99,
        "statfs": 137,
        "fstatfs": 138,
        "settimeofday": 164,
        "time": 201,
        "futex": 202,
        "sched_setaffinity": 203,
        "sched_getaffinity": 204,
        "timer_create": 222,
        "timer_settime": 223,
        "timer_gettime": 224,
        "timer_getoverrun": 225,
        "timer_delete": 226,
        "clock_settime": 227,
        "clock_gettime": 228,
        "clock_nanosleep": 230,
        "epoll_wait": 232,
        "pselect6": 270,
        "ppoll": 271,
        "epoll_pwait": 281,
        "timerfd_settime": 286,
        "timerfd_gettime": 287,
        "getcpu": 309,
        "seccomp": 317,
        "execveat": 322,
        "rseq": 334,
        "rt_tgsigqueueinfo": 297,
        "kcmp": 312,
        "pidfd_open": 434,
        "pidfd_getfd": 438,
        "epoll_pwait2": 441,
    },
)

_AARCH64 = Abi(
    0xC000_00B7,
    {
        "epoll_pwait": 22,
        "ioctl": 29,
        "statfs": 43,
        "fstatfs": 44,
        "pselect6": 72,
        "ppoll": 73,
        "timerfd_settime": 86,
        "timerfd_gettime": 87,
        "futex": 98,
        "nanosleep": 101,
        "getitimer": 102,
        "setitimer": 103,
        "timer_create": 107,
        "timer_gettime": 108,
        "timer_getoverrun": 109,
        "timer_settime": 110,
        "timer_delete": 111,
        "clock_settime": 112,
        "clock_gettime": 113,
        "clock_nanosleep": 115,
        "sched_setaffinity": 122,
        "sendto": 206,
        "sched_getaffinity": 123,
        "rt_sigtimedwait": 137,
        "rt_sigqueueinfo": 138,
        "uname": 160,
        "getcpu": 168,
        "gettimeofday": 169,
        "settimeofday": 170,
        "sysinfo": 179,
        "execve": 221,
        "seccomp": 277,
        "execveat": 281,
        "rt_tgsigqueueinfo": 240,
        "kcmp": 272,
        "rseq": 293,
        "pidfd_open": 434,
        "pidfd_getfd": 438,
        "epoll_pwait2": 441,
    },
)


@cache
def native() -> Abi | None:
    """The table of this computer, or None where it is of another architecture."""
    return {"x86_64": _X86_64, "aarch64": _AARCH64}.get(os.uname().machine)
