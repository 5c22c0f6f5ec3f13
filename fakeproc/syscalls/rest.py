"""Whether all programs of the runs sleep, so that nothing happens until time passes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from fakeproc.syscalls.tasks import Activity, activity, is_off_the_cpus, processes_below, threads

__all__ = ["Processes", "all_at_rest"]

# Sleeping, stopped (by a signal or a debugger), dead or nearly so, a kernel thread.
_RESTING = frozenset("STtZXI")
_DEAD = frozenset("ZX")


class Processes(NamedTuple):
    """The processes of a run: all below `supervisor`, who ends them when `command` has ended."""

    supervisor: int
    command: int


def all_at_rest(runs: Iterable[Processes], is_asked: Callable[[], bool]) -> bool:
    """Whether every thread of the `runs` sleeps, and none has asked for an answer.

    Looks twice, and in between whether somebody is to be answered, and whether each
    thread is off the CPUs: one that has not been given a CPU between the two looks, and
    was off in between, cannot have woken another.  That it says that it sleeps is not
    enough: it does so before it looks for what it waits for (`do_wait`), goes on if that
    is there, and on a busy computer loses its CPU on the way.  Those that wait for us to
    wake them are looked at, too: a signal may have woken one that has not run yet, and
    its call is still a call that waits until it does.

    A run whose command has ended is not at rest: what it has left behind is being ended.
    """
    watched = list(runs)
    before = _activities(watched)
    if before is None or is_asked() or not all(map(is_off_the_cpus, before)):
        return False
    return before == _activities(watched)


def _activities(runs: list[Processes]) -> dict[int, Activity] | None:
    """What each thread does; None if one does something."""
    found = {}
    ours = os.getpid()
    for run in runs:
        goes_on = False
        for process in processes_below(run.supervisor):
            if process == ours:
                continue
            for tid in threads(process):
                what = activity(tid)
                if what is None:
                    continue
                if what.state not in _RESTING:
                    return None
                found[tid] = what
                goes_on |= process == run.command and what.state not in _DEAD
        if not goes_on and threads(run.supervisor):
            return None
    return found
