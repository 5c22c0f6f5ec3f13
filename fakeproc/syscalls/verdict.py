"""What becomes of a call that is not answered with a value at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from fakeproc.machine import Machine
    from fakeproc.syscalls.listener import Call

__all__ = ["Handler", "Model", "Verdict"]


class Verdict(Enum):
    """`PROCEED`: the real kernel does it.  `HELD`: it waits for machine time."""

    PROCEED = "proceed"
    HELD = "held"


# Answers a call with what it returns, or raises OSError with its errno.
Handler: TypeAlias = Callable[["Call"], "int | Verdict"]

# Enters the machine, alone and run up to now.  The memory of a program is not touched
# meanwhile: it may be a file of the guest's, which another thread of the daemon serves.
Model: TypeAlias = "Callable[[], AbstractContextManager[Machine]]"
