"""A guest in this process: for fast tests, and for systems that have no FUSE."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from fakeproc import machine as emulated
from fakeproc.api.console import Console
from fakeproc.api.errors import RefusedError
from fakeproc.api.export import NamespaceRoot
from fakeproc.api.files import Names, Path, guest_path
from fakeproc.play.in_process import InProcessTarget
from fakeproc.play.target import Target
from fakeproc.profiles.select import (
    DEFAULT_PROFILE,
    ClockKind,
    ProfileChoice,
    checked_clock,
    chosen,
)
from fakeproc.recordings.record import Root
from fakeproc.vfs.namespace import Namespace

__all__ = ["Machine"]


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
        without_patches: Collection[int] = (),
    ) -> None:
        machine = emulated.Machine(
            chosen(profile, kernel, cpus, seed, without_patches), checked_clock(clock)
        )
        self._files = Namespace(machine)

    def read(self, path: Path) -> str:
        """What a program gets that opens this file and reads to the end."""
        with _explained(path):
            return self._files.read(_encoded(path)).decode(errors="surrogateescape")

    def write(self, path: Path, data: str | bytes) -> int:
        """Write, and return how many bytes of the data were taken.

        One call is one write, as one `echo` is.
        """
        encoded = data.encode(errors="surrogateescape") if isinstance(data, str) else data
        with _explained(path):
            return self._files.write(_encoded(path), encoded)

    def list(self, path: Path) -> Names:
        """The names in a directory, in the order in which readdir(3) has them."""
        with _explained(path):
            return self._files.list(_encoded(path))

    def readlink(self, path: Path) -> str:
        """Where a symbolic link leads."""
        with _explained(path):
            return self._files.readlink(_encoded(path))

    def exists(self, path: Path) -> bool:
        """Whether a path leads to a file or a directory."""
        try:
            self._files.node(_encoded(path))
        except OSError:
            return False
        return True

    # -- The console -----------------------------------------------------------------

    def _tell(self, file: str, command: str) -> None:
        try:
            self.write(f"/host/{file}", command)
        except OSError as error:
            raise RefusedError(error.strerror) from error

    def _ask(self, file: str) -> str:
        return self.read(f"/host/{file}")

    def _target(self) -> Target:
        return InProcessTarget(self._files)

    def _root(self) -> Root:
        return NamespaceRoot(self._files)

    def _resolve(self, path: Path) -> str:
        try:
            return _decoded("/" + "/".join(self._files.resolve(_encoded(path))))
        except OSError:  # it may have gone since
            return guest_path(path)

    def _walk(self) -> Iterator[str]:
        return map(_decoded, self._files.files("/proc", "/sys"))


def _encoded(path: Path) -> str:
    """The path's bytes as characters, one to one."""
    return guest_path(path).encode(errors="surrogateescape").decode("latin-1")


def _decoded(path: str) -> str:
    return path.encode("latin-1").decode(errors="surrogateescape")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Let an OSError say which path it is about, and in words what is wrong."""
    try:
        yield
    except OSError as error:
        code = error.errno or errno.EIO
        why = error.strerror or ""
        raise OSError(code, why if " " in why else os.strerror(code), guest_path(path)) from None
