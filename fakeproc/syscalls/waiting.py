"""The calls that wait with a time limit: nanosleep, poll, select, epoll_wait, futex and kin.

What they wait for is in the hands of other processes, so their descriptors are looked
at through copies, which are closed when the call returns.  A call that finds something
goes ahead: the real kernel finds it too, and returns at once.
"""

from __future__ import annotations

import os
import select
import struct
from collections.abc import Callable, Iterable
from errno import EAGAIN, EINVAL, ETIMEDOUT
from typing import TYPE_CHECKING

from fakeproc.syscalls import memory
from fakeproc.syscalls.clocks import CLOCKS, read_timespec, read_timeval
from fakeproc.syscalls.sleeps import Sleep, Sleeps, any_ready
from fakeproc.syscalls.verdict import Handler, Verdict
from fakeproc.timeline import MILLISECOND

if TYPE_CHECKING:
    from fakeproc.syscalls.clocks import Clocks
    from fakeproc.syscalls.listener import Call

__all__ = ["Waiting"]

_MONOTONIC, _REALTIME = 1, 0
_TIMER_ABSTIME = 1
_POLLFD = struct.Struct("ihh")
_MOST_DESCRIPTORS = 1 << 16
_FD_SETSIZE = 1 << 16
_FUTEX_WAIT, _FUTEX_COMMAND, _FUTEX_CLOCK_REALTIME = 0, 0x7F, 0x100
_ALL_SIGNALS = (1 << 64) - 1
_INT = 0xFFFF_FFFF


class Waiting:
    """Lets calls wait in `sleeps` by the guest's `clocks`."""

    def __init__(self, clocks: Clocks, sleeps: Sleeps) -> None:
        self._clocks = clocks
        self._sleeps = sleeps

    def handlers(self) -> dict[str, Handler]:
        """The calls, by name."""
        return {
            "nanosleep": self.nanosleep,
            "clock_nanosleep": self.clock_nanosleep,
            "poll": self.poll,
            "ppoll": self.ppoll,
            "select": self.select,
            "pselect6": self.pselect6,
            "epoll_wait": self.epoll_wait,
            "epoll_pwait": self.epoll_pwait,
            "epoll_pwait2": self.epoll_pwait2,
            "futex": self.futex,
            "rt_sigtimedwait": self.rt_sigtimedwait,
        }

    # -- Time alone ------------------------------------------------------------------

    def nanosleep(self, call: Call) -> Verdict:
        """`nanosleep(request, remaining)`."""
        return self._sleep(call, self._after(read_timespec(call.tid, call.arguments[0])))

    def clock_nanosleep(self, call: Call) -> Verdict:
        """`clock_nanosleep(clock, flags, request, remaining)`."""
        clock, flags, request = (call.arguments[0] & _INT, call.arguments[1], call.arguments[2])
        if clock not in CLOCKS:  # of the CPU: the real one
            return Verdict.PROCEED
        time = read_timespec(call.tid, request)
        if flags & _TIMER_ABSTIME:
            return self._sleep(call, time - self._clocks.offset(clock))
        return self._sleep(call, self._after(time))

    def _sleep(self, call: Call, deadline: int) -> Verdict:
        # After a signal that has no handler the kernel goes on to the same end.
        before = self._sleeps.interrupted(call)
        self._sleeps.add(Sleep(call, deadline if before is None else before.deadline, _zero))
        return Verdict.HELD

    def _after(self, delay: int) -> int:
        return self._clocks.now(_MONOTONIC) + delay

    # -- Descriptors -----------------------------------------------------------------

    def poll(self, call: Call) -> Verdict:
        """`poll(fds, nfds, timeout)`."""
        return self._poll(call, (call.arguments[2] & _INT) * MILLISECOND, 0)

    def ppoll(self, call: Call) -> Verdict:
        """`ppoll(fds, nfds, timespec, sigmask, size)`."""
        limit = read_timespec(call.tid, call.arguments[2])
        return self._poll(call, limit, self._signals(call, call.arguments[3]))

    def _poll(self, call: Call, limit: int, signals: int) -> Verdict:
        address, number = call.arguments[:2]
        if number > _MOST_DESCRIPTORS:
            return Verdict.PROCEED  # the kernel's limit says the errno
        data = memory.read(call.tid, address, number * _POLLFD.size)
        wanted = [(fd, events) for fd, events, _ in _POLLFD.iter_unpack(data)]

        def expire() -> int:
            cleared = b"".join(_POLLFD.pack(fd, events, 0) for fd, events in wanted)
            memory.write(call.tid, address, cleared)
            return 0

        return self._hold(call, limit, wanted, expire, signals)

    def select(self, call: Call) -> Verdict:
        """`select(n, read, write, except, timeval)`."""
        return self._select(call, read_timeval(call.tid, call.arguments[4]), 0)

    def pselect6(self, call: Call) -> Verdict:
        """`pselect6(n, read, write, except, timespec, {sigmask, size})`."""
        limit = read_timespec(call.tid, call.arguments[4])
        mask = 0
        if call.arguments[5]:
            (mask,) = struct.unpack("Q", memory.read(call.tid, call.arguments[5], 8))
        return self._select(call, limit, self._signals(call, mask))

    def _select(self, call: Call, limit: int, signals: int) -> Verdict:
        number, *sets = call.arguments[:4]
        number &= _INT
        if number > _FD_SETSIZE:
            return Verdict.PROCEED
        length = -(-number // 64) * 8
        wanted: dict[int, int] = {}
        for address, events in zip(
            sets, (select.POLLIN, select.POLLOUT, select.POLLPRI), strict=True
        ):
            if address:
                bits = int.from_bytes(memory.read(call.tid, address, length), "little")
                for fd in range(number):
                    if bits >> fd & 1:
                        wanted[fd] = wanted.get(fd, 0) | events

        def expire() -> int:
            for address in filter(None, sets):
                memory.write(call.tid, address, bytes(length))
            return 0

        return self._hold(call, limit, wanted.items(), expire, signals)

    def epoll_wait(self, call: Call) -> Verdict:
        """`epoll_wait(epfd, events, maxevents, timeout)`."""
        return self._epoll(call, (call.arguments[3] & _INT) * MILLISECOND, 0)

    def epoll_pwait(self, call: Call) -> Verdict:
        """`epoll_pwait(epfd, events, maxevents, timeout, sigmask, size)`."""
        limit = (call.arguments[3] & _INT) * MILLISECOND
        return self._epoll(call, limit, call.arguments[4])

    def epoll_pwait2(self, call: Call) -> Verdict:
        """`epoll_pwait2(epfd, events, maxevents, timespec, sigmask, size)`."""
        return self._epoll(call, read_timespec(call.tid, call.arguments[3]), call.arguments[4])

    def _epoll(self, call: Call, limit: int, mask: int) -> Verdict:
        wanted = [(call.arguments[0] & _INT, select.POLLIN)]
        return self._hold(call, limit, wanted, _zero, self._signals(call, mask))

    def _hold(
        self,
        call: Call,
        limit: int,
        wanted: Iterable[tuple[int, int]],
        expire: Callable[[], int],
        signals: int,
    ) -> Verdict:
        """Let a call wait for descriptors, unless one is ready now."""
        if not limit:
            return Verdict.PROCEED
        ours: dict[int, int] = {}
        sleep = Sleep(call, self._after(limit), expire, ours, signals=signals)
        try:
            for fd, events in wanted:
                if 0 <= fd < 1 << 31:
                    ours[memory.descriptor_of(call.tgid, fd)] = events
        except OSError:  # not open: the kernel says so at once
            sleep.close()
            return Verdict.PROCEED
        if ours and any_ready(ours):
            sleep.close()
            return Verdict.PROCEED
        self._sleeps.add(sleep)
        return Verdict.HELD

    def _signals(self, call: Call, address: int) -> int:
        """The signals that end a wait with this mask; none where it has none of its own."""
        if not address:
            return 0
        (mask,) = struct.unpack("Q", memory.read(call.tid, address, 8))
        return _ALL_SIGNALS & ~int(mask)

    # -- Words of memory, and signals ---------------------------------------------------

    def futex(self, call: Call) -> Verdict:
        """`futex(address, FUTEX_WAIT or FUTEX_WAIT_BITSET, value, timespec, ...)`.

        Who wakes it changes the word first: so does every lock, condition and semaphore
        of the C libraries and of Go.
        """
        address, operation, value, limit = call.arguments[:4]
        time = read_timespec(call.tid, limit)
        if operation & _FUTEX_COMMAND == _FUTEX_WAIT:
            deadline = self._after(time)
        else:  # FUTEX_WAIT_BITSET: until then
            clock = _REALTIME if operation & _FUTEX_CLOCK_REALTIME else _MONOTONIC
            deadline = time - self._clocks.offset(clock)
        word = struct.pack("I", value & _INT)
        if memory.read(call.tid, address, len(word)) != word:
            raise OSError(EAGAIN, os.strerror(EAGAIN))
        self._sleeps.add(Sleep(call, deadline, _timed_out, word=(address, word)))
        return Verdict.HELD

    def rt_sigtimedwait(self, call: Call) -> Verdict:
        """`rt_sigtimedwait(set, info, timespec, size)`."""
        wanted, _, limit, size = call.arguments[:4]
        if size != 8:
            raise OSError(EINVAL, os.strerror(EINVAL))
        (signals,) = struct.unpack("Q", memory.read(call.tid, wanted, 8))
        time = read_timespec(call.tid, limit)
        if not time:
            return Verdict.PROCEED
        sleep = Sleep(call, self._after(time), _nothing_came, signals=int(signals))
        self._sleeps.add(sleep)
        return Verdict.HELD


def _zero() -> int:
    return 0


def _timed_out() -> int:
    raise OSError(ETIMEDOUT, os.strerror(ETIMEDOUT))


def _nothing_came() -> int:
    raise OSError(EAGAIN, os.strerror(EAGAIN))
