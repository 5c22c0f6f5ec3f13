"""A guest in this process: for fast tests, and for systems that have no FUSE."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeAlias

from fakeproc import machine as emulated
from fakeproc.api.accesses import Path
from fakeproc.api.console import Console
from fakeproc.api.errors import RefusedError
from fakeproc.files.roots import host_root, proc_root, sys_root
from fakeproc.files.tree import Directory, Node, Symlink
from fakeproc.mount.libfuse import Caller
from fakeproc.profiles.select import (
    DEFAULT_PROFILE,
    ClockKind,
    ProfileChoice,
    checked_clock,
    chosen,
)
from fakeproc.vfs.fstypes import HOST, PROCFS, SYSFS
from fakeproc.vfs.operations import Operations
from fakeproc.vfs.permissions import own_ids
from fakeproc.vfs.request import Boundary
from fakeproc.vfs.sysfs import SysfsOperations

__all__ = ["Machine"]

_LONGEST_CHAIN_OF_LINKS = 40  # MAXSYMLINKS
_WHOLE = 1 << 62

Names: TypeAlias = list[str]


@dataclass
class _Open:
    """What libfuse would hand over with an open file."""

    flags: int
    fh: int = 0
    direct_io: int = 0
    lock_owner: int = 1


class Machine(Console):
    """A booted guest, whose files are read and written by methods.

    Paths are those of the guest: "/proc/interrupts", "/sys/bus/vmbus", and
    "/host/clock" for its host's console.  Links are followed as the kernel does.
    What the kernel refuses to root is an OSError with its errno; its text says
    why.
    """

    def __init__(
        self,
        profile: ProfileChoice = DEFAULT_PROFILE,
        *,
        kernel: str | None = None,
        cpus: int | None = None,
        clock: ClockKind = "manual",
        seed: int | None = None,
    ) -> None:
        machine = emulated.Machine(chosen(profile, kernel, cpus, seed), checked_clock(clock))
        self._boundary = boundary = Boundary(machine)
        roots = {
            "proc": proc_root(machine),
            "sys": sys_root(machine),
            "host": host_root(machine),
        }
        self._root = Directory(entries=roots)
        ourselves = Caller(*own_ids(), os.getpid())

        def caller() -> Caller:
            return ourselves

        def ready() -> None:
            """Nobody waits for it."""

        self._file_systems: dict[str, Operations] = {
            "proc": Operations(PROCFS, roots["proc"], boundary, ready, caller),
            "sys": SysfsOperations(roots["sys"], boundary, ready, caller),
            "host": Operations(HOST, roots["host"], boundary, ready, caller),
        }

    def read(self, path: Path) -> str:
        """What a program gets that opens this file and reads to the end."""
        file_system, below = self._find(path)
        with _explained(path):
            info = _Open(os.O_RDONLY)
            file_system.open(below, info)
            try:
                found = file_system.read(below, _WHOLE, 0, info)
            finally:
                file_system.release(below, info)
        return found.decode(errors="surrogateescape")

    def write(self, path: Path, data: str | bytes) -> int:
        """Write, and return how many bytes of the data were taken.

        One call is one write, as one `echo` is.
        """
        encoded = data.encode(errors="surrogateescape") if isinstance(data, str) else data
        file_system, below = self._find(path)
        with _explained(path):
            info = _Open(os.O_WRONLY | os.O_TRUNC)
            file_system.open(below, info)
            try:
                if not encoded and file_system.flavour is SYSFS:
                    return 0  # sysfs_kf_write() asks no store
                return file_system.write(below, encoded, 0, info)
            finally:
                file_system.release(below, info)

    def list(self, path: Path) -> Names:
        """The names in a directory, in the order in which readdir(3) has them."""
        names = self._resolved(path)
        if not names:
            return [*self._file_systems]
        file_system, below = self._place(names)
        with _explained(path):
            handle = file_system.opendir(below)
            found = [name for name, _, _ in file_system.readdir(below, handle)]
        return [name for name in found if name not in (".", "..")]

    def readlink(self, path: Path) -> str:
        """Where a symbolic link leads."""
        file_system, below = self._find(path, follow_last=False)
        with _explained(path):
            return file_system.readlink(below)

    # -- Paths ---------------------------------------------------------------------

    def _find(self, path: Path, *, follow_last: bool = True) -> tuple[Operations, str]:
        """The file system of a path, and where in it the path leads.  Raises OSError."""
        names = self._resolved(path, follow_last=follow_last)
        if not names:
            code = errno.EISDIR if follow_last else errno.EINVAL
            raise OSError(code, os.strerror(code), _text(path))
        return self._place(names)

    def _place(self, names: Names) -> tuple[Operations, str]:
        first, *rest = names
        return self._file_systems[first], _encoded("/" + "/".join(rest))

    def _resolved(self, path: Path, *, follow_last: bool = True) -> Names:
        """The names down to where a path leads.  Mirrors `fs/namei.c: link_path_walk`."""
        text = _text(path)
        if not text:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), text)
        waiting = text.split("/")[::-1]
        names: Names = []
        links = 0
        with _explained(path):
            while waiting:
                name = waiting.pop()
                node = self._node(names)
                if not isinstance(node, Directory):
                    raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                if name == "..":
                    names = names[:-1]
                if name in ("", ".", ".."):
                    continue
                below = self._node([*names, name])
                if isinstance(below, Symlink) and (waiting or follow_last):
                    links += 1
                    if links > _LONGEST_CHAIN_OF_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                    waiting += below.target.split("/")[::-1]
                    names = [] if below.target.startswith("/") else names
                else:
                    names.append(name)
        return names

    def _node(self, names: Names) -> Node:
        if not names:
            return self._root
        if names[0] not in self._file_systems:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        file_system, below = self._place(names)
        with self._boundary.lock:
            self._boundary.machine.catch_up()
            node = file_system.paths.find(below)
        if node is None:
            file_system.getattr(below)  # for the record; it raises ENOENT
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return node

    # -- The console -----------------------------------------------------------------

    def _tell(self, file: str, command: str) -> None:
        try:
            self.write(f"/host/{file}", command)
        except OSError as error:
            raise RefusedError(error.strerror) from error

    def _ask(self, file: str) -> str:
        return self.read(f"/host/{file}")

    def _resolve(self, path: Path) -> str:
        try:
            return "/" + "/".join(self._resolved(path))
        except OSError:  # it may have gone since
            return _text(path)

    def _walk(self) -> Iterator[str]:
        waiting = [["sys"], ["proc"]]
        while waiting:
            names = waiting.pop()
            node = self._node(names)
            if isinstance(node, Directory):
                waiting += [[*names, name] for name, _ in node.children()]
            elif not isinstance(node, Symlink):
                yield "/" + "/".join(names)


def _text(path: Path) -> str:
    return path.as_posix() if isinstance(path, PurePath) else os.fspath(path)


def _encoded(path: str) -> str:
    """Bytes as characters, one to one, as the mount has them."""
    return path.encode(errors="surrogateescape").decode("latin-1")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Let an OSError say which path it is about, and in words what is wrong."""
    try:
        yield
    except OSError as error:
        code = error.errno or errno.EIO
        why = error.strerror or ""
        raise OSError(code, why if " " in why else os.strerror(code), _text(path)) from None
