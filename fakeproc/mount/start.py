"""Starting a daemon: in the background, with a log, and not back before its tree can be read."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from fakeproc.mount import registry
from fakeproc.mount.daemon import LibfuseError, serve
from fakeproc.mount.mountpoints import MountError
from fakeproc.mount.processes import Report, detached, die_with_parent

if TYPE_CHECKING:
    from pathlib import Path

    from fakeproc.machine import Machine

__all__ = ["DaemonDiedError", "Prepare", "adopted_by", "log_to_standard_error", "start"]

Prepare: TypeAlias = Callable[[], None]


class DaemonDiedError(MountError):
    """A daemon that ended without a report; `log`, which is kept, has its last words."""

    def __init__(self, why: str, log: Path) -> None:
        super().__init__(why)
        self.log = log


def start(
    machine: Callable[[], Machine],
    place: Path,
    allow_other: bool,
    prepare: Prepare = lambda: None,
    *,
    temporary: bool = False,
) -> None:
    """Start a daemon that serves a machine on `place`; return when it does.

    `machine` and `prepare` are called in the daemon.  A `temporary` place is
    removed with the mount.  Raises OSError, MountError, which says what the
    daemon or libfuse said last, and DaemonDiedError; its log alone is kept.
    """
    log = registry.log_of(place)

    def daemon(report: Report) -> None:
        log_to_standard_error()
        try:
            prepare()
            serve(machine(), place, allow_other, report.ready, temporary=temporary)
        except BrokenPipeError:  # nobody waits any more; nothing is mounted any more
            registry.discard_log(place)
        except LibfuseError as error:
            report.failed(": ".join((str(error), *_libfuse_words(log)[-1:])))
        except MountError as error:
            report.failed(str(error))
        except OSError as error:
            report.failed(f"{error.filename}: {error.strerror}")

    failure = detached(daemon, log)
    if failure is None:
        return
    if failure:
        registry.discard_log(place)
        raise MountError(failure)
    failure = "the daemon ended before the tree could be read"
    raise DaemonDiedError(": ".join((failure, *_lines(log)[-1:])), log)


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()


def _libfuse_words(log: Path) -> list[str]:
    """What libfuse and fusermount3 have written to standard error."""
    return [line for line in _lines(log) if line.startswith("fuse")]


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
