"""Starting a daemon: in the background, with a log, and not back before its tree can be read."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from fakeproc.mount import registry
from fakeproc.mount.daemon import serve
from fakeproc.mount.mountpoints import MountError
from fakeproc.mount.processes import Report, detached, die_with_parent

if TYPE_CHECKING:
    from pathlib import Path

    from fakeproc.machine import Machine

__all__ = ["DaemonDiedError", "Prepare", "adopted_by", "log_to_standard_error", "start"]

Prepare: TypeAlias = Callable[[], None]


class DaemonDiedError(MountError):
    """A daemon that ended without a word; its log has its last ones."""


def start(
    machine: Callable[[], Machine],
    place: Path,
    allow_other: bool,
    prepare: Prepare = lambda: None,
) -> None:
    """Start a daemon that serves a machine on `place`; return when it does.

    `machine` and `prepare` are called in the daemon.  Raises MountError, which
    says what the daemon or libfuse said last, or DaemonDiedError.
    """
    log = registry.log_of(place)

    def daemon(report: Report) -> None:
        log_to_standard_error()
        try:
            prepare()
            serve(machine(), place, allow_other, report.ready)
        except MountError as error:
            report.failed(str(error))

    failure = detached(daemon, log)
    if failure is None:
        return
    said = [line for line in log.read_text().splitlines() if line.startswith("fuse")][-1:]
    if failure:
        raise MountError(": ".join((failure, *said)))
    failure = f"the daemon ended before the tree could be read; see {log}"
    raise DaemonDiedError(": ".join((failure, *said)))


def log_to_standard_error() -> None:
    """Have this process log; a daemon's standard error is its log file."""
    layout = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=layout)


def adopted_by(keeper: int) -> None:
    """End with `keeper`, which adopts the daemon.  To be called in the daemon.

    Raises MountError where the keeper has ended already.
    """
    # The process in between, which made the session, is about to end.
    while os.getppid() == os.getsid(0):
        time.sleep(0.0005)
    die_with_parent(signal.SIGTERM)
    if os.getppid() != keeper:
        raise MountError("the process that the guest belongs to has ended already")
