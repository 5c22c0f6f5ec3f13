"""What can be made to go wrong on the host's side, and how often."""

from __future__ import annotations

from collections import Counter, defaultdict
from enum import Enum

__all__ = ["Fault", "Faults"]


class Fault(Enum):
    """A thing that goes wrong; the value is how the console spells it."""

    MODIFYCHANNEL_NAK = "modifychannel nak"  # refused, and said so
    MODIFYCHANNEL_DROP = "modifychannel drop"  # acted on, and never acknowledged
    MODIFYCHANNEL_IGNORE = "modifychannel ignore"  # neither acted on nor answered
    POST_EAGAIN = "post eagain"  # HV_STATUS_INVALID_CONNECTION_ID
    POST_ENOBUFS = "post enobufs"  # HV_STATUS_INSUFFICIENT_BUFFERS
    POST_EINVAL = "post einval"  # HV_STATUS_INVALID_PARAMETER
    OPEN_FAIL = "open fail"  # OpenChannelResult with a status


class Faults:
    """Faults that wait to happen, each a number of times, and event flags that are stuck."""

    def __init__(self) -> None:
        self.waiting: Counter[Fault] = Counter()
        # By virtual processor and connection: relids whose event flag is set and never consumed.
        self._stuck: defaultdict[tuple[int, int], set[int]] = defaultdict(set)

    def arm(self, fault: Fault, times: int) -> None:
        """Make a fault happen the next `times` times that it can."""
        self.waiting[fault] += times

    def consume(self, fault: Fault) -> bool:
        """Whether a fault happens now; then it waits once less."""
        if not self.waiting[fault]:
            return False
        self.waiting[fault] -= 1
        return True

    def jam(self, vp: int, relid: int, connection: int = 0) -> None:
        """Set an event flag on a virtual processor, never to be consumed."""
        self._stuck[vp, connection].add(relid)

    def stuck_on(self, vp: int, connection: int) -> set[int]:
        """The relids of a connection whose event flag is stuck on a virtual processor."""
        return self._stuck.get((vp, connection), set())

    @property
    def jammed(self) -> list[tuple[int, int]]:
        """Connection and relid of the event flags that are stuck anywhere."""
        return sorted({(on, relid) for (_, on), relids in self._stuck.items() for relid in relids})

    def clear(self) -> None:
        """Disarm all faults and clear all jammed flags."""
        self.waiting.clear()
        self._stuck.clear()
