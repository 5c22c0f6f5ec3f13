"""clock_gettime, gettimeofday and time: the machine's time.

The guest was switched on at the machine's time 0, and none of its clocks is ever
adjusted: all of them run alike.
"""

from __future__ import annotations

import os
import struct
from errno import EINVAL
from typing import TYPE_CHECKING

from fakeproc.syscalls import memory
from fakeproc.timeline import MICROSECOND, SECOND

if TYPE_CHECKING:
    from fakeproc.syscalls.listener import Call
    from fakeproc.syscalls.verdict import Model

__all__ = ["CLOCKS", "REAL_TIME_CLOCKS", "Clocks", "read_timespec", "read_timeval", "timespec"]

# include/uapi/linux/time.h: those that count the time of day, and those since the boot.
REAL_TIME_CLOCKS = (0, 5, 8, 11)  # REALTIME, _COARSE, _ALARM, TAI
CLOCKS = (*REAL_TIME_CLOCKS, 1, 4, 6, 7, 9)  # MONOTONIC, _RAW, _COARSE, BOOTTIME, _ALARM

_PAIR = struct.Struct("qq")


def read_timespec(tid: int, address: int) -> int:
    """A `struct timespec`, in ns.  Raises OSError EFAULT, EINVAL."""
    seconds, nanoseconds = _PAIR.unpack(memory.read(tid, address, _PAIR.size))
    if seconds < 0 or not 0 <= nanoseconds < SECOND:
        raise OSError(EINVAL, os.strerror(EINVAL))
    return int(seconds * SECOND + nanoseconds)


def read_timeval(tid: int, address: int) -> int:
    """A `struct timeval`, in ns.  Raises OSError EFAULT, EINVAL."""
    seconds, microseconds = _PAIR.unpack(memory.read(tid, address, _PAIR.size))
    if seconds < 0 or not 0 <= microseconds < SECOND // MICROSECOND:
        raise OSError(EINVAL, os.strerror(EINVAL))
    return int(seconds * SECOND + microseconds * MICROSECOND)


def timespec(nanoseconds: int, unit: int = 1) -> bytes:
    """A `struct timespec`; with a unit of 1,000 ns a `struct timeval`."""
    seconds, rest = divmod(nanoseconds, SECOND)
    return _PAIR.pack(seconds, rest // unit)


class Clocks:
    """The clocks of a guest, in ns."""

    def __init__(self, model: Model) -> None:
        self._model = model
        with model() as machine:
            self._boot = machine.kernel.boot_time * SECOND

    def now(self, clock: int) -> int:
        """What a clock shows; one of `CLOCKS`."""
        with self._model() as machine:
            return machine.timeline.now + self.offset(clock)

    def offset(self, clock: int) -> int:
        """What a clock showed when the machine was switched on."""
        return self._boot if clock in REAL_TIME_CLOCKS else 0

    def clock_gettime(self, call: Call) -> int:
        """`clock_gettime(clock, timespec)`."""
        clock, address = call.arguments[:2]
        memory.write(call.tid, address, timespec(self.now(clock & 0xFFFF_FFFF)))
        return 0

    def gettimeofday(self, call: Call) -> int:
        """`gettimeofday(timeval, timezone)`: the time zone is UTC."""
        value, zone = call.arguments[:2]
        if value:
            memory.write(call.tid, value, timespec(self.now(0), MICROSECOND))
        if zone:
            memory.write(call.tid, zone, bytes(8))
        return 0

    def time(self, call: Call) -> int:
        """`time(seconds)`."""
        seconds = self.now(0) // SECOND
        if call.arguments[0]:
            memory.write(call.tid, call.arguments[0], struct.pack("q", seconds))
        return seconds
