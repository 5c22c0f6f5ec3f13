"""Processes: whether one lives, going into the background, ending together with another."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["PATIENCE", "Process", "Report", "adopt_orphans", "detached", "die_with_parent", "end"]

logger = logging.getLogger(__name__)

# A daemon ends within a moment.  One that is busy with a long request is waited
# for; one that hangs is killed after so many seconds.
PATIENCE = 5.0

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Process(NamedTuple):
    """A process; its start time tells it from a later one of the same number.

    `started` is in clock ticks since the boot, as the kernel counts.  (What
    psutil has is a date, which changes whenever the clock is set.)
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The living process of that number."""
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The name, in parentheses, may itself contain blanks and parentheses.
        fields = status.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def is_alive(self) -> bool:
        """Whether it still runs; one that only waits to be reaped does not."""
        return Process.of(self.pid) == self


def end(process: Process, patience: float = PATIENCE) -> bool:
    """End a process; False if it had to be killed.  Raises PermissionError."""
    for signum, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, patience)):
        if not process.is_alive():
            return True
        try:
            os.kill(process.pid, signum)
        except ProcessLookupError:  # it has just ended
            return True
        deadline = time.monotonic() + seconds
        while process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        if not process.is_alive():
            return signum == signal.SIGTERM
    return False


class Report:
    """The report of a daemon to the process that started it."""

    READY = b"ready"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ready(self) -> None:
        """All is well."""
        self._send(self.READY)

    def failed(self, why: str) -> None:
        """All is over."""
        self._send(why.encode())

    def _send(self, message: bytes) -> None:
        os.write(self._descriptor, message)
        os.close(self._descriptor)


def detached(daemon: Callable[[Report], None], log: Path) -> str | None:
    """Run `daemon` in a process of its own, in the background.

    Returns once it has reported: None if it is ready, or why it failed; empty
    if it ended without a word.  Its output goes to `log`; raises OSError where
    that cannot be written.  Must be called before any thread is started.
    """
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    receiving, sending = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            _become_daemon(daemon, output, sending)
        os._exit(0)
    os.close(output)
    os.close(sending)
    os.waitpid(child, 0)
    with os.fdopen(receiving, "rb") as pipe:
        report = pipe.read()
    return None if report == Report.READY else report.decode()


def _become_daemon(daemon: Callable[[Report], None], output: int, sending: int) -> None:
    status = 1
    try:
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        # What the shell had open (a lock, say) is not ours to keep open.
        os.closerange(3, sending)
        os.closerange(sending + 1, os.sysconf("SC_OPEN_MAX"))
        daemon(Report(sending))
        status = 0
    except BaseException:
        logger.exception("the daemon has failed")
    finally:
        # Threads may still wait in libfuse for files that others hold open;
        # and nothing of the process that forked is ours to tidy up.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def adopt_orphans() -> None:
    """Become the parent of the descendants whose own parent ends, instead of init."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(signum: signal.Signals) -> None:
    """Get this signal when the parent ends, however it ends.

    The kernel forgets it when a process changes who it is: call it after
    making a user namespace.
    """
    _prctl(_PR_SET_PDEATHSIG, int(signum))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "prctl")
