"""The boundary between requests and the model.

Above it are three file systems, each perhaps with a thread; below it is one machine,
without locks.  A request crosses it alone, finds the machine run up to now,
and leaves it with an errno, whatever happened inside.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from fakeproc.machine import Machine

__all__ = ["Boundary", "Bounded", "request"]

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Boundary:
    """What the three file systems of one machine share.

    An event of the machine may itself make requests, in the middle of the one that
    let time pass; no other thread gets in there.  `stores` counts the writes that
    reached the machine by any of them.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.lock = RLock()
        self.stores = 0
        self.depth = 0  # requests under way, one within the other

    @property
    def moment(self) -> tuple[int, int]:
        """Another one, once a write or an event may have changed what there is to see."""
        return self.stores, self.machine.timeline.steps


class Bounded(Protocol):
    """An object whose methods are requests."""

    boundary: Boundary


B = TypeVar("B", bound=Bounded)


def request(operation: Callable[Concatenate[B, P], R]) -> Callable[Concatenate[B, P], R]:
    """Let an operation in, alone, on a machine that has run up to now.

    The operation raises OSError to refuse.  Anything else that it raises is a
    mistake of ours: it is logged, and the caller gets EIO, which is also what
    becomes of an OSError without errno (which says nothing to a caller).
    """

    @wraps(operation)
    def crossing(self: B, /, *arguments: P.args, **keywords: P.kwargs) -> R:
        with self.boundary.lock:
            boundary = self.boundary
            try:
                boundary.depth += 1
                try:
                    # One that comes in the middle of another finds the machine where it is.
                    if boundary.depth == 1:
                        boundary.machine.catch_up()
                    return operation(self, *arguments, **keywords)
                finally:
                    boundary.depth -= 1
            except BaseException as error:
                if isinstance(error, OSError) and error.errno:
                    raise
                logger.exception("%s%r failed", operation.__name__, arguments)
                raise OSError(errno.EIO, "a mistake in fakeproc; its log says which") from error

    return crossing
