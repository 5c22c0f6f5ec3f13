"""The three file systems under one root, for callers within this process.

What the kernel does for a program before it asks a file system: it walks the
path, follows links, and opens, reads, writes and closes.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from fakeproc.files.recorded import with_recorded
from fakeproc.files.roots import host_root, proc_root, sys_root
from fakeproc.files.tree import Directory, Node, Symlink
from fakeproc.vfs.fstypes import HOST, PROCFS, PROCFS_OF_NO_SIZE
from fakeproc.vfs.operations import Operations
from fakeproc.vfs.permissions import Caller, Root
from fakeproc.vfs.request import Boundary, request
from fakeproc.vfs.sysfs import SysfsOperations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakeproc.machine import Machine
    from fakeproc.timeline import Sleeper
    from fakeproc.vfs.open_files import OpenFile

__all__ = ["Namespace", "file_systems"]

_MAXSYMLINKS = 40  # include/linux/namei.h
_LARGE = 1 << 16  # bytes, of the buffer that programs read into

Names: TypeAlias = list[str]


class _Step(NamedTuple):
    """A name on the way down, and what it leads to; None where there is nothing."""

    name: str
    node: Node | None


Steps: TypeAlias = list[_Step]


def file_systems(boundary: Boundary, caller: Callable[[], Caller]) -> dict[str, Operations]:
    """The file systems of a machine by name: proc, sys, host.  `caller` says who asks.

    Raises RecordingError where the machine's recording cannot be read any more.
    """
    machine, profile = boundary.machine, boundary.machine.profile
    roots = {"proc": proc_root(machine), "sys": sys_root(machine)}
    roots = with_recorded(roots, profile.recorded, profile.kernel.lacks)
    procfs = PROCFS_OF_NO_SIZE if machine.sizes == "kernel" else PROCFS
    return {
        "proc": Operations(procfs, roots["proc"], boundary, caller),
        "sys": SysfsOperations(roots["sys"], boundary, caller),
        "host": Operations(HOST, host_root(machine), boundary, caller),
    }


class Namespace:
    """A machine's files at /proc, /sys and /host, as root of the guest finds them.

    Paths are the bytes of a path, one character a byte.  Every method raises
    OSError with the errno by which the system call fails.
    """

    def __init__(self, machine: Machine, boundary: Boundary | None = None) -> None:
        root = Root()
        self.boundary = boundary or Boundary(machine)
        machine.files = self  # for the requests that the machine itself makes
        self._file_systems = file_systems(self.boundary, lambda: root)
        self._root = Directory(
            entries={name: each.paths.node("/") for name, each in self._file_systems.items()}
        )

    def open(self, path: str, flags: int, *, kept: bool = True) -> tuple[Operations, OpenFile]:
        """The file at a path, opened, and the file system that reads and writes it."""
        try:
            file_system, below = self.find(path)
        except FileNotFoundError:
            if flags & os.O_CREAT:
                directory, _, name = path.rpartition("/")
                file_system, below = self.find(directory)
                file_system.create(f"{below.rstrip('/')}/{name}")
            raise
        return file_system, file_system.open(below, flags, kept=kept)

    def reading(self, path: str, size: int, offset: int) -> Sleeper[bytes]:
        """One read(2) of a file, as kernel code, which may sleep by a fault."""
        file_system, file = self.open(path, os.O_RDONLY)
        return (yield from file_system.reading(file, size, offset))

    def read(self, path: str) -> bytes:
        """What a program gets that opens this file and reads to the end."""
        file_system, file = self.open(path, os.O_RDONLY)
        found = bytearray()  # grows in place: a large table comes in thousands of pieces
        while piece := file_system.read(file, _LARGE, len(found)):
            found += piece
        return bytes(found)

    def write(self, path: str, data: bytes) -> int:
        """How many bytes of `data` are taken at once, as by one `echo`."""
        file_system, file = self.open(path, os.O_WRONLY | os.O_TRUNC)
        return file_system.write(file, data)

    def writing(self, path: str, data: bytes, *, kept: bool = False) -> Sleeper[int]:
        """The same as kernel code, which may sleep; `kept`, the journal has an entry of it."""
        file_system, file = self.open(path, os.O_WRONLY | os.O_TRUNC, kept=kept)
        return (yield from file_system.writing(file, data, kept=kept))

    def list(self, path: str) -> Names:
        """The names in a directory, in the order in which readdir(3) has them."""
        names = self.resolve(path)
        if not names:
            return [*self._file_systems]
        file_system, below = self._place(names)
        opened = file_system.opendir(below)
        return [name for name, _ in file_system.readdir(opened) if name not in (".", "..")]

    def readlink(self, path: str) -> str:
        """Where a symbolic link leads."""
        file_system, below = self.find(path, follow_last=False)
        return file_system.readlink(below)

    def node(self, path: str, *, follow_last: bool = True) -> Node:
        """The node that a path leads to."""
        node = self._walk(path, follow_last)[-1].node
        assert node is not None  # noqa: S101 - or it would have been ENOENT
        return node

    def files(self, *tops: str) -> Iterator[str]:
        """The path of every file below some directories; links are not followed."""
        waiting = [("/" + "/".join(self.resolve(top)), self.node(top)) for top in tops]
        while waiting:
            path, node = waiting.pop()
            if isinstance(node, Directory):
                for name, _ in node.children():
                    below = node.lookup(name)
                    if below is not None:
                        waiting.append((f"{path}/{name}", below))
            elif not isinstance(node, Symlink):
                yield path

    def resolve(self, path: str, *, follow_last: bool = True) -> Names:
        """The names down to where a path leads, without links.  Raises ENOENT, ENOTDIR, ELOOP."""
        return [step.name for step in self._walk(path, follow_last)[1:]]

    def _walk(self, path: str, follow_last: bool) -> Steps:
        """The steps down to where a path leads, the root first.

        Mirrors `fs/namei.c: link_path_walk`.
        """
        steps = self._steps(path, follow_last)
        if steps[-1].node is None:
            names = [step.name for step in steps[1:]]
            if names[0] in self._file_systems:
                file_system, below = self._place(names)
                file_system.lookup(below)  # for the record of what is looked for in vain
            raise _error(errno.ENOENT)
        return steps

    @request
    def _steps(self, path: str, follow_last: bool) -> Steps:
        """The steps as far as there is something; where there is nothing, the last has no node."""
        if not path:
            raise _error(errno.ENOENT)
        waiting = path.split("/")[::-1]
        steps = [_Step("", self._root)]
        links = 0
        while waiting:
            name = waiting.pop()
            directory = steps[-1].node
            if not isinstance(directory, Directory):
                raise _error(errno.ENOTDIR)
            if name == ".." and len(steps) > 1:
                steps.pop()
            if name in ("", ".", ".."):
                continue
            below = directory.lookup(name)
            if isinstance(below, Symlink) and (waiting or follow_last):
                links += 1
                if links > _MAXSYMLINKS:
                    raise _error(errno.ELOOP)
                waiting += below.target.split("/")[::-1]
                if below.target.startswith("/"):
                    del steps[1:]
                continue
            steps.append(_Step(name, below))
            if below is None:
                break
        return steps

    def find(self, path: str, *, follow_last: bool = True) -> tuple[Operations, str]:
        """The file system of a path, and where in it the path leads."""
        names = self.resolve(path, follow_last=follow_last)
        if not names:
            raise _error(errno.EISDIR if follow_last else errno.EINVAL)
        return self._place(names)

    def _place(self, names: Names) -> tuple[Operations, str]:
        first, *rest = names
        return self._file_systems[first], "/" + "/".join(rest)


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
