"""Lists of CPUs and other numbers, as the kernel prints and people write them: "0-3,8-11"."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["as_list", "numbers_of"]

_LONGEST_NUMBER = 10  # digits of a number of 31 bits
_MOST_NUMBERS = 65_536  # in one list


def numbers_of(text: str) -> list[int]:
    """The numbers of a text such as "0-3,8", in its order and with its repetitions.

    An empty text has none.  Raises ValueError, whose message says what the text is not.
    """
    numbers: list[int] = []
    for region in text.split(",") if text else ():
        first, dash, last = region.strip().partition("-")
        ends = (first, last) if dash else (first, first)
        if not all(e.isascii() and e.isdigit() and len(e) <= _LONGEST_NUMBER for e in ends):
            raise ValueError("is no list of CPUs such as 0-3,8")
        low, high = map(int, ends)
        if low > high:
            raise ValueError("has a range that runs backwards")
        if len(numbers) + high - low >= _MOST_NUMBERS:
            raise ValueError(f"has more than {_MOST_NUMBERS} numbers")
        numbers.extend(range(low, high + 1))
    return numbers


def as_list(numbers: Iterable[int]) -> str:
    """Numbers in their order as text: a range where each is one more than the one before."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{low}-{high}" if low < high else f"{low}" for low, high in ranges)
