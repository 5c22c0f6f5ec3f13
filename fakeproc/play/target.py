"""What a scenario is played on: a guest in this process, or one that is mounted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

__all__ = ["MountedTarget", "Target", "text_of"]


class Target(Protocol):
    """A machine with its files; paths are `/proc/…`, `/sys/…` and `/host/…`."""

    def read(self, path: str) -> str:
        """Read a whole file.  Raises OSError."""

    def write(self, path: str, data: str) -> int:
        """Hand over the data in one call: the number of bytes taken.  Raises OSError."""


class MountedTarget:
    """The files below a mountpoint."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> str:
        """Read a whole file.  Raises OSError."""
        return text_of((self.root / path.lstrip("/")).read_bytes())

    def write(self, path: str, data: str) -> int:
        """Hand over the data in one call: the number of bytes taken.  Raises OSError."""
        descriptor = os.open(self.root / path.lstrip("/"), os.O_WRONLY | os.O_TRUNC)
        try:
            return os.write(descriptor, data.encode(errors="surrogateescape"))
        finally:
            os.close(descriptor)


def text_of(data: bytes) -> str:
    """Bytes of a file as text, byte for byte."""
    return data.decode(errors="surrogateescape")
