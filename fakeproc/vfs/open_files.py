"""Open files, and the texts that they read.

A text is rendered when a file is read from its start, and sliced from then
on, so that a reader sees one moment however small its pieces are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from fakeproc.files.tree import Attribute

__all__ = ["Handle", "Handles"]


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
