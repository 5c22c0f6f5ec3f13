"""Questions to the record of accesses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import overload

from fakeproc.access_record import Access
from fakeproc.api.files import Path

__all__ = ["Accesses"]


class Accesses(Sequence[Access]):
    """What was opened, read, written, listed and looked for in vain, the earliest first.

    Paths are those of the guest, as in `/proc/irq/39/smp_affinity`; a path of
    the mount will do as well.  Links are followed, so that a channel is found
    by any of its names.  `lost` so many at the beginning have been forgotten.
    """

    def __init__(
        self, accesses: Iterable[Access], resolve: Callable[[Path], str], lost: int = 0
    ) -> None:
        self._accesses = tuple(accesses)
        self._resolve = resolve
        self.lost = lost

    def __len__(self) -> int:
        return len(self._accesses)

    @overload
    def __getitem__(self, index: int) -> Access: ...
    @overload
    def __getitem__(self, index: slice) -> Accesses: ...
    def __getitem__(self, index: int | slice) -> Access | Accesses:
        if isinstance(index, slice):
            return self._some(self._accesses[index])
        return self._accesses[index]

    def __repr__(self) -> str:
        return f"<{len(self)} accesses>"

    def __str__(self) -> str:
        return "".join(f"{access}\n" for access in self)

    def by(self, *commands: str, pid: int | None = None) -> Accesses:
        """Those of commands (as `ps -o comm` names them), or of one process."""
        return self._some(
            access
            for access in self
            if (not commands or access.command in commands) and pid in (None, access.pid)
        )

    def below(self, path: Path) -> Accesses:
        """Those to a file, or to a directory and all that is in it."""
        top = self._resolve(path).rstrip("/")
        return self._some(a for a in self if a.path == top or a.path.startswith(f"{top}/"))

    def writes(self, path: Path = "/") -> Accesses:
        """Who wrote there, what, when, and with what result."""
        return self._some(a for a in self.below(path) if a.operation == "write")

    def refused(self) -> Accesses:
        """What was refused, apart from what was not there."""
        return self._some(a for a in self if a.error and a.error != "ENOENT")

    def missing(self) -> list[str]:
        """The paths that were looked for in vain, each once, in the order of the first time."""
        return list(dict.fromkeys(access.path for access in self if access.error == "ENOENT"))

    def untouched(self, paths: Iterable[str]) -> list[str]:
        """Which of these paths were neither opened nor listed."""
        touched = {access.path for access in self if access.operation != "missing"}
        return [path for path in paths if path not in touched]

    def _some(self, accesses: Iterable[Access]) -> Accesses:
        return Accesses(accesses, self._resolve, self.lost)

    def __iter__(self) -> Iterator[Access]:
        return iter(self._accesses)
