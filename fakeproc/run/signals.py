"""A process that waits for another and stands in for it.

A signal that a process sends to the front is meant for the command, and is passed on.  The
terminal (Ctrl-C, Ctrl-Z) signals the whole process group, the command included,
so its signals are not passed on.  The kernel says with each signal which of both
it is (`si_code`).
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from typing import NoReturn, TypeAlias

__all__ = ["Mask", "attend", "end_as", "hold_signals", "release_signals"]

Mask: TypeAlias = set[signal.Signals | int]

# Faults of our own are not to be held back.
_OURS = {
    signal.SIGKILL,
    signal.SIGSTOP,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGTRAP,
    signal.SIGSYS,
}
_RELAYED = signal.valid_signals() - _OURS

# A user's signal has a code of 0 or less: `SI_USER`, `SI_QUEUE`, `SI_TKILL`.
_FROM_A_PROCESS = 0


def hold_signals() -> Mask:
    """Block signals, for `attend` to take them one by one; returns the mask from before.

    No signal is lost from here on, whenever a process is started.
    """
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, _RELAYED))


def attend(
    child: int,
    *,
    stopped: Callable[[], None] = lambda: None,
    lost: Callable[[], bool] = lambda: False,
) -> int | None:
    """Pass signals on to `child` until it ends; returns its status as waitpid gives it.

    Other children that end meanwhile are reaped.  `stopped` is called when
    the child has been stopped.  Returns None once `lost` returns true: the
    process for which the child is attended has ended.
    """
    while not lost():
        got = signal.sigwaitinfo(_RELAYED)
        if got.si_signo == signal.SIGCHLD:
            status = _reap(child, stopped)
            if status is not None:
                return status
        elif got.si_code <= _FROM_A_PROCESS and not lost():
            os.kill(child, got.si_signo)
    return None


def _reap(child: int, stopped: Callable[[], None]) -> int | None:
    """The status of `child` if it is among those that have ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return None
        if pid == 0:
            return None
        if os.WIFSTOPPED(status):
            if pid == child:
                stopped()
        elif pid == child:
            return status


def release_signals(mask: Mask) -> None:
    """Restore the mask from before `hold_signals`."""
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def end_as(status: int) -> NoReturn:
    """End as another has: with its exit status, or by the signal it died of."""
    if os.WIFSIGNALED(status):
        signum = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the other one has dumped its core
        if signum not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(signum, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signum})
        os.kill(os.getpid(), signum)
    os._exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1)
