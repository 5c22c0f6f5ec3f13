"""Whether all programs of the runs sleep, so that nothing happens until time passes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from fakeproc.syscalls.tasks import activity, processes_below, threads

__all__ = ["all_at_rest"]

# Sleeping, stopped (by a signal or a debugger), dead or nearly so, a kernel thread.
_RESTING = frozenset("STtZXI")


def all_at_rest(supervisors: Iterable[int], is_asked: Callable[[], bool]) -> bool:
    """Whether every thread below the `supervisors` sleeps, and none has asked for an answer.

    Looks twice, and in between whether somebody is to be answered: a thread that was
    given a CPU since may have woken another.  Those that wait for us to wake them are
    looked at, too: a signal may have woken one that has not run yet, and its call is
    still a call that waits until it does.
    """
    watched = list(supervisors)
    before = _activities(watched)
    if before is None or is_asked():
        return False
    return before == _activities(watched)


def _activities(supervisors: list[int]) -> dict[int, tuple[str, bytes]] | None:
    """What each thread does; None if one does something."""
    found = {}
    ours = os.getpid()
    for supervisor in supervisors:
        for process in processes_below(supervisor):
            if process == ours:
                continue
            for tid in threads(process):
                what = activity(tid)
                if what is None:
                    continue
                if what[0] not in _RESTING:
                    return None
                found[tid] = what
    return found
