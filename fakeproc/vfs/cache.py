"""What was just seen of a machine, kept for the requests that follow.

One open(2) is several requests: is it there, whose is it, how long is it,
open, read.  They come within microseconds, and what the first has found out
need not be found out again.  It also is more right: the text that is read is
the very one whose length was given before, on which `tail` and sendfile(2) rely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from fakeproc.timeline import MILLISECOND

if TYPE_CHECKING:
    from fakeproc.vfs.request import Boundary

__all__ = ["Cache"]

T = TypeVar("T")

# Nanoseconds of the machine's time.  Long enough for the read that follows an open;
# too short for anybody to notice that they have seen what was, and not what is.
LIFETIME = 50 * MILLISECOND

# Time that is moved by hand may stand still for ever, so age alone bounds nothing.
CAPACITY = 1024


class Cache(Generic[T]):
    """Values by path; dropped after 50 ms, and at once when anything happens to the machine."""

    def __init__(self, boundary: Boundary, capacity: int = CAPACITY) -> None:
        self._boundary = boundary
        self._timeline = boundary.machine.timeline
        self._capacity = capacity
        self._kept: dict[str, tuple[int, T]] = {}
        self._moment = boundary.moment

    def look(self, path: str) -> T | None:
        """The value kept for `path`, if it is still valid."""
        moment = self._boundary.moment
        if self._moment != moment:
            self._moment = moment
            self._kept.clear()
            return None
        kept = self._kept.get(path)
        if kept is None or kept[0] + LIFETIME < self._timeline.now:
            return None
        return kept[1]

    def take(self, path: str) -> T | None:
        """The same, and keep it no longer."""
        value = self.look(path)
        self._kept.pop(path, None)
        return value

    def keep(self, path: str, value: T) -> T:
        """Keep a value, and forget the oldest if there are too many."""
        self._kept.pop(path, None)
        if len(self._kept) >= self._capacity:
            del self._kept[next(iter(self._kept))]
        self._kept[path] = self._timeline.now, value
        return value

    def forget(self) -> None:
        """Keep nothing of what was seen."""
        self._kept.clear()
