"""The guest kernel's log, as `dmesg` shows it."""

from __future__ import annotations

from dataclasses import dataclass

from fakeproc.history import History
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
LOG_BUF_LEN = 1 << 18  # bytes of text: CONFIG_LOG_BUF_SHIFT of a distribution's kernel
AVERAGE = 32  # bytes that a record is taken to have: 1 << PRB_AVGBITS
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
    """A ring of records (`kernel/printk/printk_ringbuffer.c`); the oldest fall out."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.records: History[Record] = History(
            LOG_BUF_LEN // AVERAGE, LOG_BUF_LEN, lambda record: len(record.text)
        )

    def say(self, text: str, level: int = KERN_INFO) -> None:
        """Log one line (`printk`); what does not fit into a record is cut off."""
        text = text.encode(errors="backslashreplace")[:RECORD_MAX].decode(errors="ignore")
        self.records.append(Record(self._timeline.now, level, text))
