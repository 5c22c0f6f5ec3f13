"""What was just seen of a machine, kept for the requests that follow.

One open(2) is several requests: is it there, whose is it, how long is it,
open, read.  They come within microseconds, and what the first has found out
need not be found out again.  It also is more right: the text that is read is
the very one whose length was told before, on which `tail` and sendfile(2) rely.
"""

from __future__ import annotations

import time
from typing import Generic, TypeVar

from fakeproc.vfs.request import Boundary

__all__ = ["Glimpses"]

T = TypeVar("T")

# Long enough for the read that follows an open; too short for anybody to tell
# that they have seen what was, and not what is.
SECONDS = 0.05


class Glimpses(Generic[T]):
    """Something seen, by path; forgotten soon, and at once when anything happens to the machine."""

    def __init__(self, boundary: Boundary) -> None:
        self._boundary = boundary
        self._kept: dict[str, tuple[float, T]] = {}
        self._moment = boundary.moment
        self._swept = 0.0

    def look(self, path: str) -> T | None:
        """What was seen there, if it was just now."""
        if self._moment != self._boundary.moment:
            self._moment = self._boundary.moment
            self._kept.clear()
        seen, what = self._kept.get(path, (0.0, None))
        return what if seen > time.monotonic() - SECONDS else None

    def take(self, path: str) -> T | None:
        """The same, and keep it no longer."""
        what = self.look(path)
        self._kept.pop(path, None)
        return what

    def keep(self, path: str, what: T) -> T:
        """Remember it."""
        now = time.monotonic()
        if self._swept < now - SECONDS:
            self._swept = now
            for old in [path for path, (seen, _) in self._kept.items() if seen < now - SECONDS]:
                del self._kept[old]
        self._kept[path] = now, what
        return what
