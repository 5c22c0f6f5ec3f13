"""The agenda: requests that `host/at` makes at moments named beforehand.

A planned request is an event of the machine's timeline, so it falls where its
moment is, also into the middle of another write that takes machine time.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from fakeproc.journal import Entry
    from fakeproc.timeline import Timeline

__all__ = ["Agenda", "Planned"]

CAPACITY = 10_000  # requests that wait; as many that were made are remembered


class Planned(NamedTuple):
    """A request that waits: `instant` is in nanoseconds of machine time."""

    number: int
    instant: int
    operation: Literal["write", "read"]
    path: str
    data: bytes


class Agenda:
    """The requests that wait, by number, in the order in which they were planned.

    `done` are the last that were made or begun, each with its entry in the journal.
    """

    def __init__(self, timeline: Timeline, perform: Callable[[Planned], None]) -> None:
        self.waiting: dict[int, Planned] = {}
        self.done: deque[tuple[Planned, Entry]] = deque(maxlen=CAPACITY)
        self._timeline = timeline
        self._perform = perform
        self._numbers = itertools.count(1)

    @property
    def room(self) -> int:
        """How many more requests may wait."""
        return CAPACITY - len(self.waiting)

    def plan(
        self, instant: int, operation: Literal["write", "read"], path: str, data: bytes
    ) -> Planned:
        """Make a request at `instant`, at once where that has passed."""
        planned = Planned(next(self._numbers), instant, operation, path, data)
        self.waiting[planned.number] = planned
        self._timeline.request_at(instant, lambda: self._due(planned.number))
        return planned

    def cancel(self, number: int) -> None:
        """Do not make a request after all; one that does not wait any more stays as it is."""
        self.waiting.pop(number, None)

    def _due(self, number: int) -> None:
        planned = self.waiting.pop(number, None)
        if planned is not None:
            self._perform(planned)
