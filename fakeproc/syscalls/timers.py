"""Timers of processes on machine time: alarm, setitimer, timerfd, timer_create."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from errno import EINVAL, EPERM
from itertools import count
from typing import TYPE_CHECKING

from fakeproc.syscalls import memory
from fakeproc.syscalls.abi import native
from fakeproc.syscalls.clocks import CLOCKS, timespec
from fakeproc.syscalls.tasks import contents, task
from fakeproc.syscalls.verdict import Handler, Verdict
from fakeproc.timeline import MICROSECOND, SECOND

if TYPE_CHECKING:
    from fakeproc.syscalls.clocks import Clocks
    from fakeproc.syscalls.listener import Call

__all__ = ["Timers"]

_libc = ctypes.CDLL(None, use_errno=True)

_MONOTONIC = 1
_TFD_IOC_SET_TICKS = 0x4008_5400  # include/uapi/linux/timerfd.h
_ABSTIME = 1  # TIMER_ABSTIME and TFD_TIMER_ABSTIME
_SIGEV_SIGNAL, _SIGEV_NONE, _SIGEV_THREAD_ID = 0, 1, 4
_SI_TIMER = -2
_PAIRS = struct.Struct("4q")  # interval and value: `struct itimerspec`, `struct itimerval`
_SIGEVENT = struct.Struct("Qiii")
_SIGINFO = struct.Struct("iii4xiiQ96x")  # signo, errno, code; timer, overrun, value
_FIRST_ID = 1 << 20  # above those of the timers that the real kernel has (of CPU time)
_INT = 0xFFFF_FFFF


@dataclass(eq=False)
class _Timer:
    """A timer; `deadline` is None while it is disarmed.  Times in ns of machine time.

    `fire` tells the process that it has expired so many times, and returns whether that
    is still there.
    """

    fire: Callable[[int], bool]
    clock: int = _MONOTONIC
    deadline: int | None = None
    interval: int = 0


class Timers:
    """The timers of all processes, by what the process knows them by."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._timers: dict[tuple[int, str, int], _Timer] = {}  # process, kind, number
        self._copies: dict[tuple[int, str, int], int] = {}  # descriptors of timerfds
        self._ids = count(_FIRST_ID)

    def handlers(self) -> dict[str, Handler]:
        """The calls, by name."""
        return {
            "alarm": self.alarm,
            "setitimer": self.setitimer,
            "getitimer": self.getitimer,
            "timerfd_settime": self.timerfd_settime,
            "timerfd_gettime": self.timerfd_gettime,
            "timer_create": self.timer_create,
            "timer_settime": self.timer_settime,
            "timer_gettime": self.timer_gettime,
            "timer_getoverrun": self.timer_getoverrun,
            "timer_delete": self.timer_delete,
        }

    # -- All timers --------------------------------------------------------------------

    @property
    def next_deadline(self) -> int | None:
        """When the first one fires."""
        return min((t.deadline for t in self._timers.values() if t.deadline is not None),
                   default=None)  # fmt: skip

    def fire(self, now: int) -> bool:
        """Fire the first one, if its time has come."""
        due = [(timer.deadline, key) for key, timer in self._timers.items()
               if timer.deadline is not None and timer.deadline <= now]  # fmt: skip
        if not due:
            return False
        deadline, key = min(due)
        timer = self._timers[key]
        missed = (now - deadline) // timer.interval if timer.interval else 0
        timer.deadline = deadline + (missed + 1) * timer.interval if timer.interval else None
        if not timer.fire(missed + 1):
            self._forget(key)
        return True

    def forget_the_dead(self) -> None:
        """Drop the timers of processes that have ended."""
        for key in list(self._timers):
            if task(key[0]) is None:
                self._forget(key)

    def _forget(self, key: tuple[int, str, int]) -> None:
        self._timers.pop(key, None)
        if key in self._copies:
            os.close(self._copies.pop(key))

    def _left(self, timer: _Timer | None) -> tuple[int, int]:
        """Interval, and time to the next; 0 if disarmed."""
        if timer is None or timer.deadline is None:
            return (0 if timer is None else timer.interval), 0
        return timer.interval, max(timer.deadline - self._now(), 1)

    def _now(self) -> int:
        return self._clocks.now(_MONOTONIC)

    def _arm(self, timer: _Timer, interval: int, value: int, *, absolute: bool) -> None:
        timer.interval = interval
        if not value:
            timer.deadline = None
        elif absolute:
            timer.deadline = value - self._clocks.offset(timer.clock)
        else:
            timer.deadline = self._now() + value

    # -- alarm and setitimer -----------------------------------------------------------

    def alarm(self, call: Call) -> int:
        """`alarm(seconds)`: the seconds that were left, at least 1 of them."""
        left = self._itimer(call.tgid, 0, (call.arguments[0] & _INT) * SECOND)[1]
        return max((left + SECOND // 2) // SECOND, 1) if left else 0

    def setitimer(self, call: Call) -> int:
        """`setitimer(ITIMER_REAL, new, old)`."""
        _, new, old = call.arguments[:3]
        interval, value = _itimerval(call.tid, new) if new else (0, 0)
        before = self._itimer(call.tgid, interval, value)
        if old:
            memory.write(call.tid, old, b"".join(timespec(time, MICROSECOND) for time in before))
        return 0

    def getitimer(self, call: Call) -> int:
        """`getitimer(ITIMER_REAL, value)`."""
        left = self._left(self._timers.get((call.tgid, "real", 0)))
        memory.write(call.tid, call.arguments[1], b"".join(timespec(t, MICROSECOND) for t in left))
        return 0

    def _itimer(self, tgid: int, interval: int, value: int) -> tuple[int, int]:
        key = (tgid, "real", 0)
        before = self._left(self._timers.get(key))
        timer = self._timers.setdefault(key, _Timer(lambda _: _kill(tgid, signal.SIGALRM)))
        self._arm(timer, interval, value, absolute=False)
        return before

    # -- timerfd -------------------------------------------------------------------------

    def timerfd_settime(self, call: Call) -> int | Verdict:
        """`timerfd_settime(fd, flags, new, old)`: the real one is only ever made to fire."""
        fd, flags, new, old = call.arguments[:4]
        key = (call.tgid, "fd", fd & _INT)
        clock = _clock_of_timerfd(*key[::2])
        if clock not in CLOCKS:
            return Verdict.PROCEED  # no timer: the kernel says so
        interval, value = _itimerspec(call.tid, new)
        copy = memory.descriptor_of(call.tgid, fd & _INT)
        before = self._left(self._timers.get(key))
        if key in self._copies:
            os.close(self._copies[key])
        self._copies[key] = copy
        _set_real_timerfd(copy, 0)
        timer = _Timer(lambda times: _fire_timerfd(call.tgid, fd & _INT, copy, times), clock)
        self._timers[key] = timer
        self._arm(timer, interval, value, absolute=bool(flags & _ABSTIME))
        if old:
            memory.write(call.tid, old, b"".join(map(timespec, before)))
        return 0

    def timerfd_gettime(self, call: Call) -> int | Verdict:
        """`timerfd_gettime(fd, value)`."""
        timer = self._timers.get((call.tgid, "fd", call.arguments[0] & _INT))
        if timer is None:
            return Verdict.PROCEED  # never armed
        memory.write(call.tid, call.arguments[1], b"".join(map(timespec, self._left(timer))))
        return 0

    # -- timer_create ----------------------------------------------------------------------

    def timer_create(self, call: Call) -> int:
        """`timer_create(clock, sigevent, id)`."""
        clock, event, address = call.arguments[:3]
        number = next(self._ids)
        value, signo, notify, tid = number, int(signal.SIGALRM), _SIGEV_SIGNAL, 0
        if event:
            value, signo, notify, tid = _SIGEVENT.unpack(
                memory.read(call.tid, event, _SIGEVENT.size)
            )
        if notify not in (_SIGEV_SIGNAL, _SIGEV_NONE, _SIGEV_THREAD_ID) or not 0 <= signo <= 64:
            raise OSError(EINVAL, os.strerror(EINVAL))
        memory.write(call.tid, address, struct.pack("i", number))
        tgid = call.tgid

        def fire(_: int) -> bool:  # a signal that is pending comes once
            if notify == _SIGEV_NONE:
                return True
            return _queue(tgid, tid if notify == _SIGEV_THREAD_ID else 0, signo, number, value)

        self._timers[tgid, "id", number] = _Timer(fire, clock & _INT)
        return 0

    def _timer(self, call: Call) -> _Timer | None:
        return self._timers.get((call.tgid, "id", call.arguments[0] & _INT))

    def timer_settime(self, call: Call) -> int | Verdict:
        """`timer_settime(id, flags, new, old)`."""
        _, flags, new, old = call.arguments[:4]
        timer = self._timer(call)
        if timer is None:
            return Verdict.PROCEED  # of CPU time, or none
        interval, value = _itimerspec(call.tid, new)
        before = self._left(timer)
        self._arm(timer, interval, value, absolute=bool(flags & _ABSTIME))
        if old:
            memory.write(call.tid, old, b"".join(map(timespec, before)))
        return 0

    def timer_gettime(self, call: Call) -> int | Verdict:
        """`timer_gettime(id, value)`."""
        timer = self._timer(call)
        if timer is None:
            return Verdict.PROCEED
        memory.write(call.tid, call.arguments[1], b"".join(map(timespec, self._left(timer))))
        return 0

    def timer_getoverrun(self, call: Call) -> int | Verdict:
        """`timer_getoverrun(id)`: machine time stops at every one."""
        return Verdict.PROCEED if self._timer(call) is None else 0

    def timer_delete(self, call: Call) -> int | Verdict:
        """`timer_delete(id)`."""
        if self._timer(call) is None:
            return Verdict.PROCEED
        self._forget((call.tgid, "id", call.arguments[0] & _INT))
        return 0


def _itimerspec(tid: int, address: int) -> tuple[int, int]:
    return _pairs(tid, address, 1)


def _itimerval(tid: int, address: int) -> tuple[int, int]:
    return _pairs(tid, address, MICROSECOND)


def _pairs(tid: int, address: int, unit: int) -> tuple[int, int]:
    """Interval and value, in ns.  Raises OSError EFAULT, EINVAL."""
    one, one_rest, other, other_rest = _PAIRS.unpack(memory.read(tid, address, _PAIRS.size))
    for seconds, rest in ((one, one_rest), (other, other_rest)):
        if seconds < 0 or not 0 <= rest * unit < SECOND:
            raise OSError(EINVAL, os.strerror(EINVAL))
    return one * SECOND + one_rest * unit, other * SECOND + other_rest * unit


def _kill(tgid: int, signum: int) -> bool:
    try:
        os.kill(tgid, signum)
    except ProcessLookupError:
        return False
    return True


def _queue(tgid: int, tid: int, signo: int, number: int, value: int) -> bool:
    """`posix_timer_queue_signal`: to a process, or to one thread of it."""
    abi = native()
    assert abi is not None  # noqa: S101 - there is a filter
    info = _SIGINFO.pack(signo, 0, _SI_TIMER, number, 0, value)
    if tid:
        result = _libc.syscall(abi.numbers["rt_tgsigqueueinfo"], tgid, tid, signo, info)
    else:
        result = _libc.syscall(abi.numbers["rt_sigqueueinfo"], tgid, signo, info)
    return bool(result == 0)


def _clock_of_timerfd(tgid: int, fd: int) -> int:
    """The clock of a timerfd, or -1 if it is none."""
    with suppress(OSError):
        found = contents(f"/proc/{tgid}/fdinfo/{fd}").partition(b"clockid:")[2].split()
        return int(found[0]) if found else -1
    return -1


def _set_real_timerfd(descriptor: int, nanoseconds: int) -> None:
    """Disarm a timerfd, or have it fire in so many ns."""
    abi = native()
    assert abi is not None  # noqa: S101 - there is a filter
    value = _PAIRS.pack(0, 0, 0, nanoseconds)
    _libc.syscall(abi.numbers["timerfd_settime"], descriptor, 0, value, None)


def _fire_timerfd(tgid: int, fd: int, copy: int, times: int) -> bool:
    """Have a timerfd fire, if its process still has it open."""
    abi = native()
    assert abi is not None  # noqa: S101 - there is a filter
    order = _libc.syscall(abi.numbers["kcmp"], tgid, os.getpid(), 0, fd, copy)
    if order > 0 or (order < 0 and ctypes.get_errno() not in (0, EPERM)):
        return False
    unread = int(contents(f"/proc/self/fdinfo/{copy}").partition(b"ticks:")[2].split()[0])
    try:
        # Who waits for it is awake when this returns.
        fcntl.ioctl(copy, _TFD_IOC_SET_TICKS, struct.pack("Q", unread + times))
    except OSError:  # a kernel without CONFIG_CHECKPOINT_RESTORE
        _set_real_timerfd(copy, 1)
    return True
