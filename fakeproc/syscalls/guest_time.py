"""Machine time for programs: it passes as soon as all of them wait for it.

With a manual clock the machine's time stands still while a program does something, and
goes at once to the next moment at which something happens, in a program or in the guest,
when every program sleeps.  While the clock is held it does not: the programs wake when
somebody else has moved it that far.  With a real clock the programs sleep until the machine's time
has come that far, at whatever rate it runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fakeproc.syscalls.clocks import Clocks
from fakeproc.syscalls.rest import Processes, all_at_rest
from fakeproc.syscalls.sleeps import Sleeps
from fakeproc.syscalls.timers import Timers
from fakeproc.syscalls.vdso import Execs
from fakeproc.syscalls.waiting import Waiting
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from fakeproc.syscalls.verdict import Handler, Model

__all__ = ["GuestTime"]

# How soon to look again, in seconds: while a program is on its way into another; while
# one does something, ever later; while nothing is about to happen, for what others do to
# the guest; at the most, with a real clock, for what a call waits for besides time.
_SOON, _LATER = 0.001, 0.008
_IDLE = 0.05


class GuestTime:
    """The waiting calls of all runs on a guest.

    `is_asked` says whether a program waits for an answer, to a call or about a file.
    """

    def __init__(self, model: Model, is_asked: Callable[[], bool]) -> None:
        self._model = model
        self._is_asked = is_asked
        self._clocks = Clocks(model)
        self._sleeps = Sleeps()
        self._timers = Timers(self._clocks)
        self._execs = Execs()
        self._pause = _SOON
        self._next_look = 0.0  # time.monotonic

    def handlers(self) -> dict[str, Handler]:
        """The calls, by name."""
        return {
            "clock_gettime": self._clocks.clock_gettime,
            "gettimeofday": self._clocks.gettimeofday,
            "time": self._clocks.time,
            "execve": self._execs.execve,
            "execveat": self._execs.execve,
            **Waiting(self._clocks, self._sleeps).handlers(),
            **self._timers.handlers(),
        }

    def go_on(self, runs: Iterable[Processes], *, called: bool, waits: bool) -> float:
        """Wake who may go on; returns the seconds until it is to be called again.

        `called` says whether one of the programs has made a call since the last time, and
        `waits` whether one of these calls is still to be answered.
        """
        if called:
            self._pause = _SOON
            left = self._next_look - time.monotonic()
            if left > 0 and not waits:  # who was answered does something
                return left
        self._next_look = time.monotonic() + _SOON
        return self._look(runs)

    def _look(self, runs: Iterable[Processes]) -> float:
        self._execs.look()
        if self._execs.any:
            return _SOON
        self._sleeps.look()
        with self._model() as machine:
            clock, now = machine.timeline.clock, machine.timeline.now
        if not clock.manual:
            return self._wake_all(now, clock.rate)
        if not all_at_rest(runs, self._is_asked):
            self._pause = min(2 * self._pause, _LATER)
            return self._pause
        self._pause = _SOON
        if self._sleeps.look():  # by what was done since, before all came to rest
            return 0
        # One at a time: what it does first must not depend on the scheduler.
        if self._sleeps.wake(now) or self._timers.fire(now):
            return 0
        return 0 if self._move() else _IDLE

    def _wake_all(self, now: int, rate: float) -> float:
        while self._sleeps.wake(now) or self._timers.fire(now):
            pass
        deadline = self._next_deadline()
        pause = _IDLE if deadline is None else min((deadline - now) / SECOND / rate, _IDLE)
        return min(pause, _LATER) if self._sleeps.wait_for_more else pause

    def _move(self) -> bool:
        """Let time pass up to what comes next; whether something does."""
        self._timers.forget_the_dead()
        deadline = self._next_deadline()
        with self._model() as machine:
            if machine.timeline.clock.held:  # somebody else moves it
                return False
            self._sleeps.forget_interrupted(machine.timeline.now)
            event = machine.timeline.next_due
            moments = [moment for moment in (deadline, event) if moment is not None]
            if not moments:
                return False
            machine.timeline.clock.forward_to(min(moments))
            machine.catch_up()
        return True

    def _next_deadline(self) -> int | None:
        moments = (self._sleeps.next_deadline, self._timers.next_deadline)
        return min((moment for moment in moments if moment is not None), default=None)
