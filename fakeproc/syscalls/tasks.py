"""The threads of a run, as the real /proc has them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

__all__ = [
    "Activity",
    "Task",
    "activity",
    "children",
    "contents",
    "is_off_the_cpus",
    "processes_below",
    "task",
    "threads",
    "waiting_signals",
]


def contents(path: str) -> bytes:
    """A file of /proc; in a third of the time that pathlib takes.  Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = b""
        while piece := os.read(descriptor, 1 << 16):  # a page at most, of most files
            text += piece
        return text
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


class Activity(NamedTuple):
    """What a thread does now ("R", "S", "T" ...), and how often it has left a CPU so far."""

    state: str
    switches: bytes


def activity(tid: int) -> Activity | None:
    """What a thread does, or None if it has ended."""
    try:
        status = contents(f"/proc/{tid}/status")
    except OSError:  # it has ended
        return None
    state = status.partition(b"\nState:\t")[2][:1]
    return Activity(state.decode(), status.partition(b"\nvoluntary_ctxt_switches")[2])


def is_off_the_cpus(tid: int) -> bool:
    """Whether a thread neither runs nor waits for a CPU to go on, whatever its state says.

    The kernel tells what call it is in only then (`wait_task_inactive`); it waits for a
    thread that is about to sleep.
    """
    try:
        return not contents(f"/proc/{tid}/syscall").startswith(b"running")
    except OSError:  # it has ended, or is a set-uid program: its state has to do
        return True


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
