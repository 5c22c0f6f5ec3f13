"""Open files and directories.

A text is rendered when a file is read from its start, and sliced as long as the
reader goes on from where it was, so that it sees one moment however small its
pieces are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.vfs.seq_file import SeqFile

if TYPE_CHECKING:
    from fakeproc.files.tree import Attribute, Directory

__all__ = ["OpenDirectory", "OpenFile"]


@dataclass(eq=False, slots=True)
class OpenFile:
    """An open file: where, what was opened, whether for writing, and the text being read.

    `position` is the offset in bytes behind the last read of the text; `visible`
    how many bytes of it one sees who opened it (None for all).
    """

    path: str
    node: Attribute
    writable: bool
    visible: int | None = None
    text: bytes | None = None
    position: int = 0
    records: SeqFile | None = None

    def __post_init__(self) -> None:
        if self.node.end_of_record is not None:
            self.records = SeqFile(self.node.end_of_record)


@dataclass(eq=False, slots=True)
class OpenDirectory:
    """An open directory: where, and what was opened."""

    path: str
    node: Directory
