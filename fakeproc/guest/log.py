"""The guest kernel's log, as `dmesg` shows it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from fakeproc.timeline import SECOND, Timeline

__all__ = [
    "KERN_ERR",
    "KERN_INFO",
    "KERN_NOTICE",
    "KERN_WARNING",
    "RECORD_MAX",
    "KernelLog",
    "Record",
]

KERN_ERR = 3
KERN_WARNING = 4
KERN_NOTICE = 5
KERN_INFO = 6
RECORD_MAX = 1024  # bytes: PRINTKRB_RECORD_MAX, what printk cuts a record to


@dataclass(frozen=True, slots=True)
class Record:
    """One line: when it was said (ns of machine time), how loud, and what."""

    instant: int
    level: int
    text: str

    def __str__(self) -> str:
        seconds, rest = divmod(self.instant, SECOND)
        return f"[{seconds:5d}.{rest // 1000:06d}] {self.text}"


class KernelLog:
    """A ring of records (`kernel/printk`); the oldest fall out."""

    def __init__(self, timeline: Timeline, capacity: int = 10_000) -> None:
        self._timeline = timeline
        self.records: deque[Record] = deque(maxlen=capacity)

    def say(self, text: str, level: int = KERN_INFO) -> None:
        """Log one line (`printk`); what does not fit into a record is cut off."""
        text = text.encode(errors="backslashreplace")[:RECORD_MAX].decode(errors="ignore")
        self.records.append(Record(self._timeline.now, level, text))
