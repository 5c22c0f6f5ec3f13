"""The record of accesses: who opened, read and wrote what, and looked for what in vain.

It is off until somebody wants it.  The mount fills it, the host console shows
it, and the Python API asks it questions; a line of the console is the form in
which it travels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from fakeproc.history import History

__all__ = ["Access", "AccessRecord", "Operation", "escaped", "unescaped"]

Operation: TypeAlias = Literal["open", "read", "write", "list", "missing"]

CAPACITY = 100_000
MOST_BYTES = 16 << 20  # of their paths and data together
_LOST = "# the oldest have been forgotten, so many: "


@dataclass(frozen=True, slots=True)
class Access:
    """One access to the guest's files.

    `result` is the number of bytes for a read and a write, and 0 otherwise;
    `error` is the name of the errno where it was refused.  `data` is what was
    written; for an open it is "r", "w" or "rw".  `missing` is a name that was
    looked up and is not there: below a directory that is missing, a program
    does not get to ask for more.
    """

    time_s: float
    pid: int
    command: str
    operation: Operation
    path: str
    result: int = 0
    error: str | None = None
    data: bytes = b""

    def __str__(self) -> str:
        fields = [
            f"{self.time_s:.6f}",
            str(self.pid),
            escaped(self.command.encode(errors="surrogateescape")),
            self.operation,
            escaped(self.path.encode(errors="surrogateescape")),
            self.error or str(self.result),
        ]
        return "\t".join([*fields, escaped(self.data)] if self.data else fields)

    @classmethod
    def parse(cls, line: str) -> Access:
        """What `str` has printed.  Raises ValueError."""
        time, pid, command, operation, path, result, *data = line.split("\t")
        for known in get_args(Operation):
            if operation == known:
                break
        else:
            raise ValueError(f"{operation!r} is no operation: {line!r}")
        refused = not result.isdigit()
        return cls(
            float(time),
            int(pid),
            unescaped(command).decode(errors="surrogateescape"),
            known,
            unescaped(path).decode(errors="surrogateescape"),
            0 if refused else int(result),
            result if refused else None,
            unescaped(data[0]) if data else b"",
        )


def escaped(data: bytes) -> str:
    """Bytes as one line of ASCII without tabs, as in a Python string."""
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


def unescaped(text: str) -> bytes:
    """What `escaped` was given.  Raises ValueError."""
    return text.encode("ascii").decode("unicode_escape").encode("latin-1")


@dataclass
class AccessRecord:
    """The accesses since it was switched on or cleared."""

    on: bool = False
    accesses: History[Access] = field(
        default_factory=lambda: History(
            CAPACITY, MOST_BYTES, lambda access: len(access.path) + len(access.data)
        )
    )

    @property
    def lost(self) -> int:
        """How many of the oldest have fallen out."""
        return self.accesses.lost

    def note(self, access: Access) -> None:
        """Add one."""
        self.accesses.append(access)

    def clear(self) -> None:
        """Forget all."""
        self.accesses.clear()

    def __str__(self) -> str:
        lost = f"{_LOST}{self.lost}\n" if self.lost else ""
        return lost + "".join(f"{access}\n" for access in self.accesses)

    @classmethod
    def parse(cls, text: str) -> AccessRecord:
        """What `str` has printed.  Raises ValueError."""
        record = cls()
        for line in text.splitlines():
            if line.startswith(_LOST):
                record.accesses.lost = int(line.removeprefix(_LOST))
            else:
                record.accesses.append(Access.parse(line))
        return record
