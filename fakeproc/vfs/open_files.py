"""Open files and directories.

A text is rendered when a file is read from its start, and sliced from then
on, so that a reader sees one moment however small its pieces are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakeproc.files.tree import Attribute, Directory

__all__ = ["OpenDirectory", "OpenFile"]


@dataclass(eq=False, slots=True)
class OpenFile:
    """An open file: where, what was opened, whether for writing, and the text being read."""

    path: str
    node: Attribute
    writable: bool
    text: bytes | None = None


@dataclass(eq=False, slots=True)
class OpenDirectory:
    """An open directory: where, and what was opened."""

    path: str
    node: Directory
