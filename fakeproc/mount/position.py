"""Where a read goes on after a write that did not move the position.

A write(2) to a file of procfs leaves the position where it is
(`kernel/irq/proc.c: write_irq_affinity` does not touch it); FUSE's client in
the kernel moves it by what was written, and does not ask.  So a read that goes
on from there is led back by as much.  lseek(2) still tells of the kernel's own.
"""

from __future__ import annotations

__all__ = ["Position"]


class Position:
    """The position of one open file; offsets in bytes."""

    def __init__(self) -> None:
        self._next = 0  # where the kernel goes on after the last write, and what was read since
        self._moved = 0  # how far writes have moved it up to there

    def place(self, offset: int) -> int:
        """Where in the text the kernel's read at `offset` begins."""
        return offset - self._moved if offset == self._next else offset

    def have_read(self, offset: int, size: int) -> None:
        """A read at the kernel's `offset` got `size` bytes."""
        if offset == self._next:
            self._next += size

    def have_written(self, offset: int, size: int) -> None:
        """A write at the kernel's `offset` took `size` bytes."""
        if offset != self._next:
            self._moved = 0  # it was sought
        self._next = offset + size
        self._moved += size
