"""The requests of a kernel, by the names and arguments of fusepy, passed on to a file system.

Here is what only FUSE has: numbers of open files, `direct_io`, what the kernel
believes a length to be.  There is no `flush`, and there must not be:
once it has heard that there is none, the kernel saves that round trip at every
close.
"""

from __future__ import annotations

import os
import stat
from itertools import count
from typing import TYPE_CHECKING, Any

from fakeproc.mount.kernel_sizes import KernelSizes
from fakeproc.mount.position import Position

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.mount.libfuse import FileInfo
    from fakeproc.vfs.open_files import OpenDirectory, OpenFile
    from fakeproc.vfs.operations import Operations

__all__ = ["Requests"]

# What a list says of each name.
_STATS = {kind: {"st_mode": kind} for kind in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)}


class Requests:
    """The requests for one file system, mounted on `directory`.

    `on_ready` is called when the kernel begins to ask.

    What is not defined here the file system answers itself, and what it does
    not define either the kernel is told once that there is none.
    """

    # Read by fusepy: times are nanoseconds, and a time may be "now" or "leave it".
    use_ns = True
    flag_utime_omit_ok = 1

    def __init__(
        self, file_system: Operations, directory: str, on_ready: Callable[[], None]
    ) -> None:
        self._file_system = file_system
        self._on_ready = on_ready
        self._open_files: dict[int, OpenFile] = {}
        self._positions: dict[int, Position] = {}  # of files that writes do not move
        self._open_directories: dict[int, OpenDirectory] = {}
        self._numbers = count(1)
        self._sizes = KernelSizes(directory, file_system.fstype.declared_size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file_system, name)

    def init(self, path: str) -> None:  # noqa: ARG002 - fusepy's signature
        """The kernel is there."""
        self._on_ready()

    def getattr(self, path: str, info: FileInfo | None = None) -> dict[str, int]:
        """stat(2) and fstat(2), and every look-up of a name."""
        file = None if info is None else self._open_files[info.fh]
        attributes = self._file_system.getattr(path, file)
        self._sizes.heard(path, attributes["st_size"])
        return attributes

    def opendir(self, path: str) -> int:
        """An open directory gets a number."""
        number = next(self._numbers)
        self._open_directories[number] = self._file_system.opendir(path)
        return number

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:  # noqa: ARG002
        """Names and types."""
        entries = self._file_system.readdir(self._open_directories[fh])
        return [(name, _STATS[kind], 0) for name, kind in entries]

    def releasedir(self, path: str, fh: int) -> int:  # noqa: ARG002 - fusepy's signature
        """The last descriptor of a directory was closed."""
        del self._open_directories[fh]
        return 0

    def open(self, path: str, info: FileInfo) -> int:
        """An open file gets a number."""
        file = self._file_system.open(path, info.flags)
        # A file is looked up before it is opened: the kernel has heard what it declares.
        if not info.flags & os.O_WRONLY and not self._sizes.is_declared(path):
            self._sizes.check(path, self._file_system.length(file))
        if info.flags & os.O_TRUNC:
            self._sizes.heard(path, 0)
        info.fh = next(self._numbers)
        self._open_files[info.fh] = file
        if not self._file_system.fstype.writes_move:
            self._positions[info.fh] = Position()
        info.direct_io = 1  # a read asks us, whatever length the kernel believes in
        return 0

    def read(self, path: str, size: int, offset: int, info: FileInfo) -> bytes:  # noqa: ARG002
        """A piece of a text."""
        file = self._open_files[info.fh]
        # Nobody's read: the kernel fills pages, for sendfile(2), and a short one is the last.
        paged = not info.lock_owner
        position = self._positions.get(info.fh)
        place = offset if position is None else position.place(offset)
        piece = self._file_system.read(file, size, place, paged=paged)
        if position is not None:
            position.have_read(offset, len(piece))
        if paged and len(piece) < size:
            self._sizes.heard(file.path, offset + len(piece))
        return piece

    def write(self, path: str, data: bytes, offset: int, info: FileInfo) -> int:  # noqa: ARG002
        """One store, wherever in the file the kernel believes that it is."""
        file = self._open_files[info.fh]
        taken = self._file_system.write(file, data)
        self._sizes.grown(file.path, offset + taken)
        if info.fh in self._positions:
            self._positions[info.fh].have_written(offset, taken)
        return taken

    def release(self, path: str, info: FileInfo) -> int:  # noqa: ARG002 - fusepy's signature
        """The last descriptor was closed."""
        del self._open_files[info.fh]
        self._positions.pop(info.fh, None)
        return 0

    def truncate(self, path: str, length: int, info: FileInfo | None = None) -> int:  # noqa: ARG002
        """Another length, by path or by descriptor."""
        file = None if info is None else self._open_files[info.fh]
        return self._file_system.truncate(path, file)

    def fsync(self, path: str, datasync: int, info: FileInfo) -> int:  # noqa: ARG002
        """A file written back."""
        return self._file_system.fsync(path)

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002
        """A directory written back."""
        return self._file_system.fsyncdir(path)

    def create(self, path: str, mode: int, info: FileInfo) -> int:  # noqa: ARG002
        """open(2) with O_CREAT of a new name."""
        return self._file_system.create(path)

    def mknod(self, path: str, mode: int, device: int) -> int:  # noqa: ARG002
        """A pipe or a device."""
        return self._file_system.mknod(path)

    def mkdir(self, path: str, mode: int) -> int:  # noqa: ARG002 - fusepy's signature
        """A directory."""
        return self._file_system.mkdir(path)

    def symlink(self, path: str, target: str) -> int:  # noqa: ARG002 - fusepy's signature
        """A symbolic link."""
        return self._file_system.symlink(path)
