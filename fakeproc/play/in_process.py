"""A guest in this process as what a scenario is played on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.play.target import text_of

if TYPE_CHECKING:
    from fakeproc.vfs.namespace import Namespace

__all__ = ["InProcessTarget"]


class InProcessTarget:
    """The files of a machine, without a mount."""

    def __init__(self, files: Namespace) -> None:
        self._files = files

    def read(self, path: str) -> str:
        """Read a whole file.  Raises OSError."""
        return text_of(self._files.read(path))

    def write(self, path: str, data: str) -> int:
        """Hand over the data in one call: the number of bytes taken.  Raises OSError."""
        return self._files.write(path, data.encode(errors="surrogateescape"))
