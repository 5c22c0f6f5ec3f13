"""The threads of a run, as the real /proc has them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

__all__ = [
    "Task",
    "activity",
    "children",
    "contents",
    "processes_below",
    "task",
    "threads",
    "waiting_signals",
]


def contents(path: str) -> bytes:
    """A small file of /proc; in a third of the time that pathlib takes.  Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


class Task(NamedTuple):
    """One thread: who it is, and where it comes from.

    `started` (clock ticks since the boot) tells it from a later thread of that number.
    """

    tid: int
    tgid: int
    parent: int
    started: int


def task(tid: int) -> Task | None:
    """The thread, or None if it has ended."""
    try:
        text = contents(f"/proc/{tid}/stat")
        status = _field(tid, b"Tgid:")
    except OSError:  # it has ended, between open and read too
        return None
    fields = text.rpartition(b")")[2].split()
    return Task(tid, int(status), int(fields[1]), int(fields[19]))


def _field(tid: int, name: bytes) -> bytes:
    """One line of /proc/<tid>/status.  Raises OSError if the thread has ended."""
    text = contents(f"/proc/{tid}/status")
    return text.partition(b"\n" + name)[2].partition(b"\n")[0].strip()


def threads(tgid: int) -> list[int]:
    """The threads of a process; none if it has ended."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{tgid}/task")]  # noqa: PTH208 - names
    except OSError:
        return []


def children(tgid: int) -> Iterator[int]:
    """The processes that a process has started, or adopted (CONFIG_PROC_CHILDREN)."""
    for tid in threads(tgid):
        with suppress(OSError):  # it has ended
            yield from map(int, contents(f"/proc/{tgid}/task/{tid}/children").split())


def processes_below(tgid: int) -> Iterator[int]:
    """Every descendant of a process."""
    waiting = [tgid]
    while waiting:
        for child in children(waiting.pop()):
            yield child
            waiting.append(child)


def activity(tid: int) -> tuple[str, bytes] | None:
    """What a thread does now ("R", "S", "T" ...), and how often it was given a CPU so far.

    None if it has ended.
    """
    try:
        state = contents(f"/proc/{tid}/stat").rpartition(b")")[2].split()[0]
        status = contents(f"/proc/{tid}/status")
    except OSError:  # it has ended
        return None
    return state.decode(), status.partition(b"\nvoluntary_ctxt_switches")[2]


def waiting_signals(tid: int) -> int:
    """The signals that have come and wait, bit n-1 for signal n; none if it has ended."""
    try:
        status = contents(f"/proc/{tid}/status")
    except OSError:
        return 0
    waiting = 0
    for name in (b"\nSigPnd:", b"\nShdPnd:"):
        waiting |= int(status.partition(name)[2].partition(b"\n")[0], 16)
    return waiting
