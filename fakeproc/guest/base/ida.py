"""Small numbers, handed out lowest first: `lib/idr.c: ida_alloc`."""

from __future__ import annotations

import itertools

__all__ = ["Ida"]


class Ida:
    """Gives out each number to one at a time."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def alloc(self, lowest: int = 0) -> int:
        """The lowest number from `lowest` on that nobody has."""
        number = next(n for n in itertools.count(lowest) if n not in self._taken)
        self._taken.add(number)
        return number

    def alloc_near(self, wanted: int, *, upwards: bool) -> int:
        """`wanted` where it is free and not 0, else the lowest from 1, or from there, on.

        As `hv_get_dom_num` chooses a PCI domain.
        """
        if wanted and wanted not in self._taken:
            self._taken.add(wanted)
            return wanted
        return self.alloc(max(1, wanted) if upwards else 1)

    def free(self, number: int) -> None:
        """Let others have it."""
        self._taken.discard(number)
