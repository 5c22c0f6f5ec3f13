"""How a path or another word stands in a sentence, and in a command to copy."""

from __future__ import annotations

import os
import shlex

__all__ = ["command_word", "no_mount", "shown"]

_LONGEST = 4096  # characters of a word in a sentence: a whole path (PATH_MAX), and no more


def shown(word: str | os.PathLike[str]) -> str:
    """A word as it stands in a sentence: as it is, or quoted where it would break the line."""
    text = os.fspath(word)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}…"
    if text and text.isprintable():
        return text
    return command_word(text)


def no_mount(mountpoint: str | os.PathLike[str]) -> str:
    """The sentence for a place where no guest is mounted."""
    return f"{shown(mountpoint)} is not a fakeproc mount (see 'fakeproc list')"


def command_word(word: str | os.PathLike[str]) -> str:
    """A word as a shell reads it back, on one line.

    What cannot be printed, a newline or a byte that is no UTF-8, is written as
    $'…', which POSIX.1-2024, bash, zsh and ksh read.
    """
    text = os.fspath(word)
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(map(_escaped, text)) + "'"


def _escaped(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))
