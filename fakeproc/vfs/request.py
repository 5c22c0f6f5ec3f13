"""The boundary between requests and the model.

Above it are three file systems, each perhaps with a thread; below it is one machine,
without locks.  A request crosses it alone, finds the machine run up to now,
and leaves it with an errno, whatever happened inside.

A request that takes machine time (an offline that waits for acknowledgements)
sleeps as long as the task of a real kernel would, and others cross meanwhile:
where time passes by itself, where `host/clock` is held, and where the programs
of a run have the time pass.  Where none of these is so, nobody else moves the
time: the request does, and what was planned for a moment meanwhile happens then.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from threading import Condition, RLock
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from fakeproc.machine import Machine
    from fakeproc.timeline import Completion, Sleeper

__all__ = ["Boundary", "Bounded", "Others", "request"]

LONGEST_WAIT = 3600  # seconds of the computer's clock; who waits longer looks again

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Others(Protocol):
    """What answers the requests of others while one sleeps."""

    def move_time(self) -> bool:
        """Whether others move a manual clock, as soon as nothing else happens."""

    def serve(self) -> AbstractContextManager[None]:
        """Answer what comes to this thread's mount for as long as the block runs."""


class Boundary:
    """What the three file systems of one machine share.

    An event of the machine may itself make requests, in the middle of the one that
    let time pass.  `stores` counts the writes that reached the machine by any of
    them.  `others` is there where requests come from other processes, on a mount.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.lock = RLock()
        self.stores = 0
        self.depth = 0  # requests under way, one within the other
        self.others: Others | None = None
        self._changed = Condition(self.lock)
        self._sleepers: list[Completion[Any]] = []  # what each request that sleeps waits for

    @property
    def moment(self) -> int:
        """Another one, once a write or an event may have changed what there is to see.

        Both counts only grow, and so does their sum as soon as one does.
        """
        return self.stores + self.machine.timeline.steps

    @property
    def is_waking(self) -> bool:
        """Whether what a request has slept for is over, and the request not yet answered."""
        return any(called.done for called in [*self._sleepers])

    @contextmanager
    def entered(self) -> Iterator[Machine]:
        """The machine alone, run up to now, for what is no request of a file system."""
        with self.lock:
            if not self.depth:
                self.machine.catch_up()
            try:
                yield self.machine
            finally:
                self.wake()

    def finish(self, sleeper: Sleeper[R]) -> R:
        """Run kernel code for the request that this thread is in, and return its result.

        Raises what it raises.
        """
        timeline = self.machine.timeline
        called = timeline.call(sleeper)
        while not called.done:
            if self.others is not None and self._waits_for(self.others, called):
                self._let_others_in(called, self.others)
            else:
                timeline.step()
        timeline.clock.forward_to(timeline.now)
        return called.result()

    def _waits_for(self, others: Others, called: Completion[R]) -> bool:
        """Whether others have it go on: they move the time, or release it, where it hangs."""
        clock, hanging = self.machine.timeline.clock, self.machine.path_faults.hanging
        hangs = called.awaits is not None and called.awaits in hanging
        return hangs or not clock.manual or clock.held or others.move_time()

    def _let_others_in(self, called: Completion[R], others: Others) -> None:
        """Sleep, without the lock, until kernel code is done or this request moves the time."""
        depth, self.depth = self.depth, 0
        self._sleepers.append(called)
        try:
            with others.serve():
                while not called.done and self._waits_for(others, called):
                    self._changed.wait(self._time_to_next_event())
                    self.machine.catch_up()
        finally:
            self._sleepers.remove(called)
            self.depth = depth

    def _time_to_next_event(self) -> float:
        """Seconds of the computer's clock."""
        clock, due = self.machine.timeline.clock, self.machine.timeline.next_due
        if clock.manual or due is None:
            return LONGEST_WAIT
        return min(max(0, due - clock.now()) / SECOND / clock.rate, LONGEST_WAIT)

    def wake(self) -> None:
        """Have those who sleep look whether they still need to; with the lock held."""
        if self._sleepers:
            self._changed.notify_all()


class Bounded(Protocol):
    """An object whose methods are requests."""

    boundary: Boundary


B = TypeVar("B", bound=Bounded)


def request(operation: Callable[Concatenate[B, P], R]) -> Callable[Concatenate[B, P], R]:
    """Let an operation in, alone, on a machine that has run up to now.

    The operation raises OSError to refuse.  Anything else that it raises is a
    mistake of ours: it is logged, and the caller gets EIO, which is also what
    becomes of an OSError without errno (which says nothing to a caller).
    Nobody notes what is done while the record of accesses is off (`vfs.record`).
    """
    unrecorded = getattr(operation, "unrecorded", operation)

    @wraps(operation)
    def crossing(self: B, /, *arguments: P.args, **keywords: P.kwargs) -> R:
        boundary = self.boundary
        with boundary.lock:
            boundary.depth += 1
            try:
                # One that comes in the middle of another finds the machine where it is.
                if boundary.depth == 1:
                    boundary.machine.catch_up()
                noted = boundary.machine.accesses.on
                return (operation if noted else unrecorded)(self, *arguments, **keywords)
            except BaseException as error:
                if isinstance(error, OSError) and error.errno:
                    raise
                logger.exception("%s%r failed", operation.__name__, arguments)
                raise OSError(errno.EIO, "a mistake in fakeproc; its log says which") from error
            finally:
                boundary.depth -= 1
                boundary.wake()

    return crossing
