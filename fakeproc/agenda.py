"""The agenda: requests that `host/at` makes at moments named beforehand.

A planned request is an event of the machine's timeline, so it falls where its
moment is, also into the middle of another write that takes machine time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

from fakeproc.history import History
from fakeproc.pages import PAGE_SIZE

if TYPE_CHECKING:
    from fakeproc.journal import Entry
    from fakeproc.timeline import Timeline

__all__ = ["MOST_DATA", "Agenda", "Planned"]

CAPACITY = 10_000  # requests that wait; as many that were made are remembered
MOST_DATA = PAGE_SIZE  # bytes of path and data of one: what a file of /sys takes
MOST_BYTES = 16 << 20  # of those that were made, with what they have read


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
        self.done: History[tuple[Planned, Entry]] = History(CAPACITY, MOST_BYTES, _size)
        self._events: dict[int, int] = {}  # of the timeline, by the number of the request
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
        event = self._timeline.request_at(instant, lambda: self._due(planned.number))
        self._events[planned.number] = event
        return planned

    def cancel(self, number: int) -> None:
        """Do not make a request after all; one that does not wait any more stays as it is."""
        if self.waiting.pop(number, None) is not None:
            self._timeline.cancel(self._events.pop(number))

    def clear(self) -> None:
        """Make none of those that wait."""
        for number in [*self.waiting]:
            self.cancel(number)

    def _due(self, number: int) -> None:
        del self._events[number]
        self._perform(self.waiting.pop(number))


def _size(done: tuple[Planned, Entry]) -> int:
    planned, entry = done
    return len(planned.path) + len(entry.data)
