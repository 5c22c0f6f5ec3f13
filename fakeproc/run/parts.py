"""Which parts of the computer a run replaces by the guest's, besides /proc and /sys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Parts", "Whose"]

Whose: TypeAlias = Literal["guest", "host"]


@dataclass(frozen=True)
class Parts:
    """Whose system calls a program makes; `strict` refuses to go on without a part."""

    syscalls: Whose = "guest"
    strict: bool = False
