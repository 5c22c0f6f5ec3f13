"""On which line of a TOML file a key stands; no TOML library of Python keeps positions.

A file cut off behind a statement is TOML itself, and one that is cut off within
a statement is not: so a key stands on the line behind the longest beginning of
the file that is TOML and does not have the key.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

__all__ = ["line_of"]

# A line that begins a statement, or is between two.  (Lines within an array over
# several lines can look the same; then parsing decides.)
_STATEMENT = re.compile(r"""\s*([\["'#]|$|[\w.\s-]+["'=])""")

# Characters to parse, in all: a person waits less than about two seconds for
# a line number, and goes without where it takes longer.
_MOST_WORK = 4_000_000


class _TooMuchWorkError(Exception):
    pass


def line_of(text: str, location: tuple[str | int, ...]) -> int | None:
    """The line, from 1 on, on which the statement begins that gives a key its value.

    `location` is the way to the key, from the top.  Where the file does not
    have it, the line of the innermost table that it has is the answer; None
    where it has none, or where the file is too large to say.
    """
    document = tomllib.loads(text)
    while location and not _has(document, location):
        location = location[:-1]
    if not location:
        return None
    try:
        return _Beginnings(text).line_of(location)
    except _TooMuchWorkError:
        return None


class _Beginnings:
    """The beginnings of a file: of each number of lines."""

    def __init__(self, text: str) -> None:
        self._lines = text.replace("\r\n", "\n").split("\n")
        self._work = 0

    def line_of(self, location: tuple[str | int, ...]) -> int:
        without, having = 0, len(self._lines)
        while having - without > 1:
            middle = (without + having) // 2
            boundary, document = self._longest_toml(middle, without)
            if _has(document, location):
                having = boundary
            else:
                without = middle
        return self._longest_toml(having - 1, 0)[0] + 1

    def _longest_toml(self, most: int, least: int) -> tuple[int, dict[str, Any]]:
        """The longest beginning of at most so many lines that is TOML, and what it says."""
        for number in range(most, least, -1):
            if number < len(self._lines) and not _STATEMENT.match(self._lines[number]):
                continue
            beginning = "\n".join(self._lines[:number])
            self._work += len(beginning)
            if self._work > _MOST_WORK:
                raise _TooMuchWorkError
            try:
                return number, tomllib.loads(beginning)
            except tomllib.TOMLDecodeError:
                continue
        return least, {}


def _has(document: Any, location: tuple[str | int, ...]) -> bool:
    for part in location:
        if isinstance(document, dict) and str(part) in document:
            document = document[str(part)]
        elif isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
        else:
            return False
    return True
