"""Which parts of the computer a run replaces by the guest's, besides /proc and /sys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Parts", "Whose"]

Whose: TypeAlias = Literal["guest", "host"]


@dataclass(frozen=True)
class Parts:
    """Whose each part is; `strict` refuses to go on without one that was wanted.

    `host_writable`: what stays the computer's own in /proc and /sys can be written.
    """

    syscalls: Whose = "guest"
    net: Whose = "guest"
    strict: bool = False
    host_writable: bool = False

    @property
    def any(self) -> bool:
        """Whether the guest has any of them."""
        return "guest" in (self.syscalls, self.net)

    def __str__(self) -> str:
        wanted = {"system calls": self.syscalls, "uevents": self.net}
        return " and ".join(name for name, whose in wanted.items() if whose == "guest")
