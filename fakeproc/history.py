"""The last of what happened, in bounds: a machine that runs for ever keeps no more of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar, overload

__all__ = ["History"]

T = TypeVar("T")


class History(Sequence[T], Generic[T]):
    """As many of the latest as `most`, and of no more than `most_bytes` together.

    `size_of` says how many bytes one has, of that which others decide the length of.
    The oldest go first; `lost` is how many have gone.  The latest always stays.
    """

    def __init__(self, most: int, most_bytes: int, size_of: Callable[[T], int]) -> None:
        self.lost = 0
        self._most = most
        self._most_bytes = most_bytes
        self._size_of = size_of
        self._kept: deque[T] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0

    def append(self, one: T) -> None:
        """Keep one more."""
        size = self._size_of(one)
        self._kept.append(one)
        self._sizes.append(size)
        self._bytes += size
        self._forget_the_oldest()

    def has_changed(self, one: T) -> None:
        """Take the size anew of one that may still be kept."""
        for at in range(len(self._kept) - 1, -1, -1):
            if self._kept[at] is one:
                size = self._size_of(one)
                self._bytes += size - self._sizes[at]
                self._sizes[at] = size
                self._forget_the_oldest()
                break

    def _forget_the_oldest(self) -> None:
        while len(self._kept) > self._most or (
            self._bytes > self._most_bytes and len(self._kept) > 1
        ):
            self._kept.popleft()
            self._bytes -= self._sizes.popleft()
            self.lost += 1

    def clear(self) -> None:
        """Forget all, also how many were lost."""
        self._kept.clear()
        self._sizes.clear()
        self._bytes = self.lost = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[T]:
        return iter(self._kept)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> list[T]: ...
    def __getitem__(self, at: int | slice) -> T | list[T]:
        return [*self._kept][at] if isinstance(at, slice) else self._kept[at]
