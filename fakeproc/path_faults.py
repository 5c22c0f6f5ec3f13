"""Reads and writes of the guest's files that go wrong on request.

A fault waits for the n-th read or write of a path, or of a pattern of paths,
and happens once.  The files know nothing of it.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, TypeAlias

from fakeproc.timeline import Completion

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CAPACITY", "PathFault", "PathFaults"]

CAPACITY = 1000  # faults that wait

Operation: TypeAlias = Literal["read", "write"]


@dataclass(eq=False)
class PathFault:
    """One fault: `pattern` is a path from the root, in which `*` stands for anything.

    It happens at the `left`-th request from now; until then each goes well.  At most
    `short` bytes are read or written, `late` is in nanoseconds.  `begin` is called when
    the request begins, and `said` is all of it as the console takes it.
    """

    operation: Operation
    pattern: str
    left: int
    said: str
    error: int = 0
    late: int = 0
    short: int | None = None
    hangs: bool = False
    begin: Callable[[], object] = lambda: None

    def check(self) -> None:
        """Raise its OSError, where it is one."""
        if self.error:
            raise OSError(self.error, f"the fault {self.said!r} of host/fault")

    def __str__(self) -> str:
        return f"{self.operation} {self.pattern} {self.left} {self.said}"


@dataclass
class PathFaults:
    """The faults that wait, and the requests that hang by one."""

    waiting: list[PathFault] = field(default_factory=list)
    hanging: list[Completion[object]] = field(default_factory=list)

    def arm(self, fault: PathFault) -> None:
        """Have a fault wait.  Raises OSError ENOSPC."""
        if len(self.waiting) >= CAPACITY:
            raise OSError(errno.ENOSPC, f"{CAPACITY} faults of files wait already")
        self.waiting.append(fault)

    def take(self, operation: Operation, path: str) -> list[PathFault]:
        """The faults that a request concerns; what has no requests left happens to this one."""
        concerned = [
            fault
            for fault in self.waiting
            if fault.operation == operation and fnmatchcase(path, fault.pattern)
        ]
        for fault in concerned:
            fault.left -= 1
            if not fault.left:
                self.waiting.remove(fault)
        return concerned

    def hang(self) -> Completion[object]:
        """What completes when those that hang are released."""
        hanging: Completion[object] = Completion()
        self.hanging.append(hanging)
        return hanging

    def release(self) -> None:
        """Let the requests go on that hang."""
        hanging, self.hanging = self.hanging, []
        for each in hanging:
            each.complete(None)

    def clear(self) -> None:
        """Disarm all, and release what hangs."""
        self.waiting.clear()
        self.release()

    def __str__(self) -> str:
        return "".join(f"{fault}\n" for fault in self.waiting)
