"""Sets of CPUs as the kernel prints them: lists ("0-3,8") and masks ("f,ffffffff")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.cpu_lists import numbers_of

if TYPE_CHECKING:
    from fakeproc.recordings.tree import Recording

__all__ = ["cpus_at", "of_list", "of_mask"]

_MOST = 65_536  # the highest number in a list or mask that is believed


def of_list(text: str) -> list[int]:
    """The numbers of a list, ascending.  Raises ValueError."""
    numbers = sorted(set(numbers_of(text.strip())))
    if numbers and numbers[-1] > _MOST:
        raise ValueError(f"has a CPU {numbers[-1]}")
    return numbers


def of_mask(text: str) -> list[int]:
    """The numbers of a mask in hexadecimal, ascending.  Raises ValueError."""
    words = text.strip().split(",")
    if len(words) > _MOST // 32:
        raise ValueError("a mask of more than 65,536 CPUs")
    digits = words[0] + "".join(word.zfill(8) for word in words[1:])
    mask = int(digits or "0", 16)
    return [number for number in range(mask.bit_length()) if mask >> number & 1]


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
