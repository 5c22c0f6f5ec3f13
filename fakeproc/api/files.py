"""The files of a guest by their paths in the guest, mounted or not."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import PurePath
from typing import TypeAlias

from fakeproc.api.errors import RefusedError

__all__ = ["Files", "Names", "Path", "guest_path"]

Path: TypeAlias = str | os.PathLike[str]
Names: TypeAlias = list[str]


class Files(ABC):
    """Files by their paths in the guest: "/proc/interrupts", "/sys/bus/vmbus", "/host/clock".

    Links are followed as the kernel does.  What the kernel refuses is an OSError
    with its errno.  A path that does not begin with "/" is a RefusedError.
    """

    @abstractmethod
    def read(self, path: Path) -> str:
        """What a program gets that opens this file and reads to the end."""

    @abstractmethod
    def write(self, path: Path, data: str | bytes) -> int:
        """Write, and return how many bytes of the data were taken.

        One call is one write, as one `echo` is.
        """

    @abstractmethod
    def list(self, path: Path) -> Names:
        """The names in a directory, in the order in which readdir(3) has them."""

    @abstractmethod
    def readlink(self, path: Path) -> str:
        """Where a symbolic link leads."""

    @abstractmethod
    def exists(self, path: Path) -> bool:
        """Whether a path leads to a file or a directory."""


def guest_path(path: Path) -> str:
    """A path of the guest as text.  Raises RefusedError where it does not begin with "/"."""
    text = path.as_posix() if isinstance(path, PurePath) else os.fspath(path)
    if not text.startswith("/"):
        raise RefusedError(f"a path of the guest begins with /, not {text!r}")
    return text
