"""Find and end the processes that a command has left running.

A process that adopts orphans (`processes.adopt_orphans`) has every process that
a command started among its descendants, also those that went into the
background or into namespaces of their own.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["end_descendants"]

# Seconds.  SIGTERM leaves a program the time to clean up; SIGKILL follows.  A
# process that survives that is not ours to kill (a set-uid program), or is stuck
# in the kernel.
_PATIENCE = 0.5
_LONGEST = 5.0
_INTERVAL = 0.005


def end_descendants(spared: int | None = None) -> None:
    """End every descendant of this process, but not the child `spared`.

    They get SIGTERM, and after a while SIGKILL.
    """
    started = time.monotonic()
    signalled: set[int] = set()
    while found := _descendants(spared):
        waited = time.monotonic() - started
        if waited > _LONGEST:
            return
        if waited < _PATIENCE:
            _signal(found - signalled, signal.SIGTERM)
            _signal(found - signalled, signal.SIGCONT)
            signalled |= found
        else:
            _signal(found, signal.SIGKILL)
        time.sleep(_INTERVAL)


def _signal(pids: set[int], signum: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):  # a set-uid program, say
            os.kill(pid, signum)


def _descendants(spared: int | None) -> set[int]:
    """Those that run; children that have ended are reaped."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        for pid in children.get(waiting.pop(), []):
            if pid != spared:
                found.add(pid)
                waiting.append(pid)
    return found


def _parents() -> list[tuple[int, int]]:
    """Every process and its parent, from /proc/<pid>/stat; the dead are left out.

    (psutil takes as long, 5 ms beside a hundred processes, but 29 ms more to be
    imported, a twelfth of a run, and counts those that have ended.)
    """
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - hundreds of names, in a loop
        if not name.isdigit():
            continue
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            text = Path("/proc", name, "stat").read_bytes()
            state, parent = text.rpartition(b")")[2].split()[:2]
            if state not in (b"Z", b"X"):
                found.append((int(name), int(parent)))
    return found
