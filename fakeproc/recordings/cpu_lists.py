"""Sets of CPUs as the kernel prints them: lists ("0-3,8") and masks ("f,ffffffff")."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakeproc.recordings.tree import Recording

__all__ = ["as_text", "cpus_at", "of_list", "of_mask"]

_MOST = 65_536  # the highest number in a list or mask that is believed


def of_list(text: str) -> list[int]:
    """The numbers of a list, ascending.  Raises ValueError."""
    numbers: set[int] = set()
    for region in text.strip().split(","):
        if not region:
            continue
        first, _, last = region.partition("-")
        low, high = int(first), int(last or first)
        if not 0 <= low <= high < _MOST:
            raise ValueError(f"{region[:40]!r} is no range of CPUs")
        numbers.update(range(low, high + 1))
    return sorted(numbers)


def of_mask(text: str) -> list[int]:
    """The numbers of a mask in hexadecimal, ascending.  Raises ValueError."""
    words = text.strip().split(",")
    if len(words) > _MOST // 32:
        raise ValueError("a mask of more than 65,536 CPUs")
    digits = words[0] + "".join(word.zfill(8) for word in words[1:])
    mask = int(digits or "0", 16)
    return [number for number in range(mask.bit_length()) if mask >> number & 1]


def as_text(numbers: list[int]) -> str:
    """A list, as the kernel prints it."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{low}-{high}" if low < high else f"{low}" for low, high in ranges)


def cpus_at(recording: Recording, as_list: str, as_mask: str = "") -> list[int] | None:
    """What the file with a list says, or else the one with a mask; None where neither is there."""
    for path, read in ((as_list, of_list), (as_mask, of_mask)):
        text = recording.text(path) if path else None
        if text is not None:
            try:
                return read(text)
            except ValueError as error:
                raise recording.wrong(path, str(error)) from error
    return None
