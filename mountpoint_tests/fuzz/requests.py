"""Requests as data: made on a machine in this process or on a mount, with the same answers."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from fakeproc.vfs.namespace import Namespace

__all__ = ["Answer", "InProcess", "OnMount", "Request"]

LARGE = 1 << 16  # bytes of a read

# What a request gives: the name of an errno, or what the call returns.
Answer: TypeAlias = object


class Request(NamedTuple):
    """A system call: its name (a method of the two classes below), the path, the data.

    `hold`, `again`, `tell` and `drop` are of a descriptor: the path is what it is kept by.
    """

    call: str
    path: str
    data: bytes = b""

    def __str__(self) -> str:
        return f"{self.call} {self.path}" + (f" {self.data!r}" if self.data else "")


class _Caller:
    """Makes requests, and turns an OSError into the name of its errno."""

    def make(self, request: Request) -> Answer:
        """What the request gives; `why` is the sentence of the last refusal."""
        self.why = ""
        method = getattr(self, request.call)
        try:
            return method(request.path, *((request.data,) if request.data else ()))
        except OSError as error:
            self.why = str(error.strerror)
            return errno.errorcode[error.errno]


class InProcess(_Caller):
    """The files of a machine in this process."""

    def __init__(self, files: Namespace) -> None:
        self.files = files
        self._held: dict[str, tuple] = {}

    def read(self, path: str) -> bytes:
        return self.files.read(path)

    def write(self, path: str, data: bytes = b"") -> int:
        return self.files.write(path, data)

    def list(self, path: str) -> list[str]:
        return self.files.list(path)

    def readlink(self, path: str) -> str:
        return self.files.readlink(path)

    def stat(self, path: str) -> tuple[int, int]:
        file_system, below = self.files.find(path)
        found = file_system.getattr(below)
        return found["st_mode"], found["st_nlink"]

    def truncate(self, path: str) -> None:
        file_system, below = self.files.find(path)
        if stat.S_ISDIR(self.stat(path)[0]):
            raise OSError(errno.EISDIR, "do_truncate never asks the file system")
        file_system.truncate(below)

    def hold(self, path: str) -> None:
        self._held.pop(path, None)
        mode = self.stat(path)[0] & 0o666
        self._held[path] = self.files.open(path, os.O_RDWR if mode == 0o644 else os.O_RDONLY)

    def again(self, path: str) -> bytes | None:
        if path in self._held:
            file_system, file = self._held[path]
            return file_system.read(file, LARGE, 0)
        return None

    def tell(self, path: str, data: bytes) -> int | None:
        if path in self._held and self._held[path][1].writable:
            file_system, file = self._held[path]
            return file_system.write(file, data)
        return None

    def drop(self, path: str) -> None:
        self._held.pop(path, None)


class OnMount(_Caller):
    """The files of a mounted guest, by system calls."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[str, tuple[int, bool]] = {}

    def _at(self, path: str) -> str:
        return f"{self._root}{path}"

    def read(self, path: str) -> bytes:
        descriptor = os.open(self._at(path), os.O_RDONLY)
        try:
            return b"".join(iter(lambda: os.read(descriptor, LARGE), b""))
        finally:
            os.close(descriptor)

    def write(self, path: str, data: bytes = b"") -> int:
        descriptor = os.open(self._at(path), os.O_WRONLY | os.O_TRUNC)
        try:
            return os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def list(self, path: str) -> list[str]:
        return os.listdir(self._at(path))

    def readlink(self, path: str) -> str:
        return os.readlink(self._at(path))

    def stat(self, path: str) -> tuple[int, int]:
        found = os.stat(self._at(path))
        return found.st_mode, found.st_nlink

    def truncate(self, path: str) -> None:
        os.truncate(self._at(path), 0)

    def hold(self, path: str) -> None:
        self.drop(path)
        mode = self.stat(path)[0]
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, "held are files only")
        writable = mode & 0o666 == 0o644
        flags = os.O_RDWR if writable else os.O_RDONLY
        self._held[path] = os.open(self._at(path), flags), writable

    def again(self, path: str) -> bytes | None:
        if path in self._held:
            return os.pread(self._held[path][0], LARGE, 0)
        return None

    def tell(self, path: str, data: bytes) -> int | None:
        if path in self._held and self._held[path][1]:
            return os.write(self._held[path][0], data)
        return None

    def drop(self, path: str) -> None:
        if path in self._held:
            os.close(self._held.pop(path)[0])

    def close(self) -> None:
        for path in list(self._held):
            self.drop(path)
