"""Open files, and the texts that they read.

A text is rendered when a file is read from its start, and sliced from then
on, so that a reader sees one moment however small its pieces are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from fakeproc.files.tree import Attribute

__all__ = ["Glimpses", "Handle", "Handles"]

# Long enough for the read that follows an open, too short for anybody to see
# that the text is older than the read.
GLIMPSE_SECONDS = 0.05


@dataclass(slots=True)
class Handle:
    """An open file: where, what was opened, whether for writing, and the text being read."""

    path: str
    node: Attribute
    writable: bool
    text: bytes | None = None


class Handles:
    """The open files of one mount, by the number that the kernel gives back."""

    def __init__(self) -> None:
        self._by_number: dict[int, Handle] = {}
        self._numbers = count(1)

    def open(self, handle: Handle) -> int:
        """Its number from now on."""
        number = next(self._numbers)
        self._by_number[number] = handle
        return number

    def __getitem__(self, number: int) -> Handle:
        return self._by_number[number]

    def close(self, number: int) -> None:
        """Forget it."""
        del self._by_number[number]


class Glimpses:
    """Texts rendered to tell their length, kept for the read that follows.

    The kernel asks for the length at open; `sendfile` and `tail` rely on it.
    The text read next is the very one that was measured, and not rendered
    twice.  No glimpse outlives a write: `stores` counts them.
    """

    def __init__(self, stores: Callable[[], int]) -> None:
        self._stores = stores
        self._texts: dict[str, tuple[float, bytes]] = {}
        self._seen = stores()

    def look(self, path: str, render: Callable[[], bytes]) -> bytes:
        """The text at `path`, kept or rendered, and kept."""
        self._forget()
        kept = self._texts.get(path)
        if kept is not None:
            return kept[1]
        text = render()
        self._texts[path] = time.monotonic(), text
        return text

    def take(self, path: str, render: Callable[[], bytes]) -> bytes:
        """The text at `path`, kept or rendered, and not kept any longer."""
        self._forget()
        kept = self._texts.pop(path, None)
        return render() if kept is None else kept[1]

    def _forget(self) -> None:
        if self._seen != self._stores():
            self._seen = self._stores()
            self._texts.clear()
            return
        oldest = time.monotonic() - GLIMPSE_SECONDS
        for path in [path for path, (made, _) in self._texts.items() if made < oldest]:
            del self._texts[path]
