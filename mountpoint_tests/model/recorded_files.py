"""Which of the recorded rows are asked of the files of a whole guest, mounted or not."""

from __future__ import annotations

from collections.abc import Callable

from .captures import Row

__all__ = ["CAPTURES"]


def every_tenth_beyond(number: int) -> Callable[[Row], bool]:
    return lambda row: row.number < number or row.number % 10 == 0


def all_of_it(_row: Row) -> bool:
    return True


def of_open_channels(row: Row) -> bool:
    return row.kind == "write" or "b6650ff7" not in str(row.get("file"))


# Which rows of each capture, and how many writes these are. The whole table of relid 19 and
# the round of picks are the first 353 rows of `wt-8cpu`; of those of relids 7 and 14, each of
# which begins with a reset, every tenth.
CAPTURES = {
    "wt-8cpu": (every_tenth_beyond(354), 406),
    "wtoff-8cpu": (all_of_it, 46),
    "small-2cpu": (all_of_it, 6),
    "small-8cpu-2numa": (all_of_it, 6),
    "lowver-8cpu": (all_of_it, 36),
    "isol-8cpu": (all_of_it, 14),
    "fdops-8cpu": (of_open_channels, 11),
}
