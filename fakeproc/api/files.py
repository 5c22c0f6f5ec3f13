"""The files of a guest by their paths in the guest, mounted or not."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path as LocalPath
from pathlib import PurePath
from typing import TypeAlias

from fakeproc.api.errors import RefusedError

__all__ = ["DirectoryFiles", "Files", "Names", "Path", "guest_path"]

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


class DirectoryFiles(Files):
    """The files below a directory: a mounted guest's, or with "/" this computer's.

    A path that leads through the directory itself is taken as it is.
    """

    def __init__(self, root: LocalPath) -> None:
        self.root = root

    def at(self, path: Path) -> LocalPath:
        """Where a path of the guest is on this computer."""
        text = guest_path(path)
        root = str(self.root).rstrip("/") + "/"
        return LocalPath(text if text.startswith(root) else f"{root}{text.lstrip('/')}")

    def read(self, path: Path) -> str:
        """What a program gets that opens this file and reads to the end."""
        return self.at(path).read_text(errors="surrogateescape")

    def write(self, path: Path, data: str | bytes) -> int:
        """Write, and return how many bytes of the data were taken.

        One call is one write, as one `echo` is.
        """
        encoded = data.encode(errors="surrogateescape") if isinstance(data, str) else data
        descriptor = os.open(self.at(path), os.O_WRONLY | os.O_TRUNC)
        try:
            return os.write(descriptor, encoded)
        finally:
            os.close(descriptor)

    def list(self, path: Path) -> Names:
        """The names in a directory, in the order in which readdir(3) has them."""
        return os.listdir(self.at(path))  # noqa: PTH208 - names, not paths

    def readlink(self, path: Path) -> str:
        """Where a symbolic link leads."""
        return str(self.at(path).readlink())

    def exists(self, path: Path) -> bool:
        """Whether a path leads to a file or a directory."""
        return self.at(path).exists()


def guest_path(path: Path) -> str:
    """A path of the guest as text.  Raises RefusedError where it does not begin with "/"."""
    text = path.as_posix() if isinstance(path, PurePath) else os.fspath(path)
    if not text.startswith("/"):
        raise RefusedError(f"a path of the guest begins with /, not {text!r}")
    return text
