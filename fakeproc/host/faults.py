"""What can be made to go wrong on the host's side, and how often."""

from __future__ import annotations

from collections import Counter
from enum import Enum

__all__ = ["Fault", "Faults"]


class Fault(Enum):
    """A thing that goes wrong; the value is how the console spells it."""

    MODIFYCHANNEL_NAK = "modifychannel nak"  # refused, and said so
    MODIFYCHANNEL_DROP = "modifychannel drop"  # acted on, and never acknowledged
    POST_EAGAIN = "post eagain"  # HV_STATUS_INVALID_CONNECTION_ID
    POST_ENOBUFS = "post enobufs"  # HV_STATUS_INSUFFICIENT_BUFFERS
    POST_EINVAL = "post einval"  # HV_STATUS_INVALID_PARAMETER
    OPEN_FAIL = "open fail"  # OpenChannelResult with a status


class Faults:
    """Faults that wait to happen, each so many times."""

    def __init__(self) -> None:
        self.waiting: Counter[Fault] = Counter()
        self.jammed: list[int] = []  # relids whose event flag nobody consumes

    def arm(self, fault: Fault, times: int) -> None:
        """Let a fault happen the next `times` times that it can."""
        self.waiting[fault] += times

    def strikes(self, fault: Fault) -> bool:
        """Whether a fault happens now; then it waits once less."""
        if not self.waiting[fault]:
            return False
        self.waiting[fault] -= 1
        return True

    def clear(self) -> None:
        """Let nothing more go wrong."""
        self.waiting.clear()
        self.jammed.clear()
