"""Filling the record of accesses, while somebody wants it.

What the kernel answers by itself does not get here: a name that is known is
found without asking.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from fakeproc.access_record import Access, Operation
from fakeproc.errno_names import errno_name
from fakeproc.timeline import SECOND
from fakeproc.vfs.open_files import OpenFile

if TYPE_CHECKING:
    from fakeproc.timeline import Sleeper
    from fakeproc.vfs.fstypes import FileSystemType
    from fakeproc.vfs.permissions import Caller
    from fakeproc.vfs.request import Boundary

__all__ = ["command_of", "recorded"]

P = ParamSpec("P")
R = TypeVar("R")

_OPERATIONS: dict[str, Operation] = {
    "lookup": "missing",
    "getattr": "missing",
    "open": "open",
    "opendir": "list",
    "read": "read",
    "writing": "write",
}
_DIRECTIONS = {os.O_RDONLY: b"r", os.O_WRONLY: b"w", os.O_RDWR: b"rw"}


class Recording(Protocol):
    """A file system whose operations are recorded."""

    boundary: Boundary
    fstype: FileSystemType
    caller: Callable[[], Caller]


F = TypeVar("F", bound=Recording)
W = TypeVar("W", bound=str | OpenFile)


def recorded(
    operation: Callable[Concatenate[F, W, P], R],
) -> Callable[Concatenate[F, W, P], R]:
    """Note what an operation on a path or an open file did, and its end, if the record is on."""
    name = operation.__name__

    @wraps(operation)
    def noting(self: F, where: W, /, *arguments: P.args, **keywords: P.kwargs) -> R:
        if not (self.boundary.machine.accesses.on and self.fstype.of_the_guest):
            return operation(self, where, *arguments, **keywords)
        path = where.path if isinstance(where, OpenFile) else where
        with _noting(self, name, path, arguments) as note:
            result = operation(self, where, *arguments, **keywords)
            if isinstance(result, Generator):
                return _to_its_end(self, name, path, arguments, result)  # type: ignore[return-value]
            note(result)
        return result

    noting.unrecorded = operation  # type: ignore[attr-defined]  # for `vfs.request.request`
    return noting


def _to_its_end(
    file_system: Recording, name: str, path: str, arguments: tuple[object, ...], sleeper: Sleeper[R]
) -> Sleeper[R]:
    """An operation that takes machine time, noted when it is done."""
    with _noting(file_system, name, path, arguments) as note:
        result = yield from sleeper
        note(result)
    return result


@contextmanager
def _noting(
    file_system: Recording, name: str, path: str, arguments: tuple[object, ...]
) -> Iterator[Callable[[object], None]]:
    """Note the error that an operation ends with, or what it is called with."""
    looks = _OPERATIONS[name] == "missing"

    def note(result: object) -> None:
        if not looks:
            _note(file_system, name, path, arguments, result)

    try:
        yield note
    except BaseException as error:
        code = getattr(error, "errno", None) or errno.EIO
        if not looks or code == errno.ENOENT:
            _note(file_system, name, path, arguments, errno_name(code))
        raise


def _note(
    file_system: Recording, name: str, path: str, arguments: tuple[object, ...], result: object
) -> None:
    machine = file_system.boundary.machine
    caller = file_system.caller()
    below = path.encode("latin-1").decode(errors="surrogateescape").rstrip("/")
    machine.accesses.note(
        Access(
            machine.timeline.now / SECOND,
            caller.pid,
            sys.intern(command_of(caller.pid)),
            _OPERATIONS[name],
            sys.intern(f"/{file_system.fstype.name}{below}"),
            _count(name, result),
            result if isinstance(result, str) else None,
            _data(name, arguments),
        )
    )


def _count(name: str, result: object) -> int:
    if name == "writing" and isinstance(result, int):
        return result
    return len(result) if isinstance(result, bytes) else 0


def _data(name: str, arguments: tuple[object, ...]) -> bytes:
    match name, arguments:
        case "writing", (bytes() as data, *_):
            return data
        case "open", (int() as flags, *_):
            return _DIRECTIONS.get(flags & (os.O_WRONLY | os.O_RDWR), b"")
    return b""


def command_of(pid: int) -> str:
    """The name of a process, as ps shows it; "?" once it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_bytes().rstrip(b"\n").decode(errors="surrogateescape")
    except OSError:
        return "?"
