"""Which parts of the computer a run replaces by the guest's, besides /proc and /sys."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

__all__ = ["Parts", "Whose"]

Whose: TypeAlias = Literal["guest", "host"]


@dataclass(frozen=True)
class Parts:
    """Whose each part is; `strict` refuses to go on without one that was wanted.

    `host_writable`: what stays the computer's own in /proc and /sys can be written.
    Time, if nothing is said of it, is the guest's where that has a manual clock.
    """

    syscalls: Whose = "guest"
    time: Whose | None = None
    net: Whose = "guest"
    strict: bool = False
    host_writable: bool = False

    def on(self, clock: str) -> Parts:
        """The same, with the guest's clock ("manual 12.3", "held 12.3") considered."""
        if self.time is not None:
            return self
        return replace(self, time="host" if clock.startswith("real") else "guest")

    @property
    def any(self) -> bool:
        """Whether the guest has any of them."""
        return "guest" in (self.syscalls, self.time, self.net)

    def __str__(self) -> str:
        wanted = {"system calls": self.syscalls, "time": self.time, "uevents": self.net}
        names = [name for name, whose in wanted.items() if whose == "guest"]
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
