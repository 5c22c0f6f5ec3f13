"""The daemon: three mounts of one machine, and their orderly end.

A mount is served by a thread that is inside libfuse most of the time, where no
signal handler of Python would run.  So the signals are blocked before there is
any other thread, and one thread waits for them.  The main thread waits for
whatever happens; on a signal it unmounts, and the threads return by themselves.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from fakeproc.mount import libfuse, registry
from fakeproc.mount.mountinfo import UnmountError, mounts_at, unmount
from fakeproc.mount.mountpoints import MountError, directories
from fakeproc.mount.processes import Process
from fakeproc.mount.requests import Requests
from fakeproc.syscalls.identity import PROC_MAGIC, SYSFS_MAGIC
from fakeproc.syscalls.service import Service
from fakeproc.vfs.namespace import file_systems
from fakeproc.vfs.request import Boundary

if TYPE_CHECKING:
    from fakeproc.machine import Machine
    from fakeproc.vfs.operations import Operations

__all__ = ["serve"]

logger = logging.getLogger(__name__)

_ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

# A thread whose mount is gone returns within milliseconds, unless somebody
# holds a file open; then it ends with the process.
_PATIENCE = 0.3


# Names stay valid for an hour: `stat` and `open` of a name reach the daemon
# all the same, so that one that has gone is ENOENT at once.  Attributes are
# never kept, because texts and so sizes change; missing names are never kept,
# because devices come.
_TIMEOUTS: libfuse.Options = {"attr_timeout": 0, "entry_timeout": 3600, "negative_timeout": 0}
_OPTIONS: libfuse.Options = {"fsname": "fakeproc", "subtype": "fakeproc", **_TIMEOUTS}


class _Ready(NamedTuple):
    """The kernel has begun to ask."""


class _Ended(NamedTuple):
    """A mount is gone, or never was."""

    failure: str | None


class _Told(NamedTuple):
    """A signal says that it is time to go."""

    signum: int


_Events = SimpleQueue[_Ready | _Ended | _Told]


def serve(
    machine: Machine, mountpoint: Path, allow_other: bool, on_ready: Callable[[], None]
) -> None:
    """Mount a machine and serve it until a signal, or until all is unmounted.

    Must be called in the main thread, the only one.  `on_ready` is called when
    the tree can be read.  Raises MountError, with nothing left mounted.
    """
    with _signals_blocked():
        try:
            events = _Events()
            threading.Thread(target=_wait_for_a_signal, args=(events,), daemon=True).start()
            threads = _start(machine, mountpoint, allow_other, events)
            _wait_until_ready(events, len(threads))
            _record(machine, mountpoint)
            logger.info("mounted %s on %s", machine.profile.name, mountpoint)
            on_ready()
            _wait_for_the_end(events, len(threads))
        finally:
            left_behind = _unmount(mountpoint)
            registry.forget(mountpoint)
        for thread in threads:
            thread.join(_PATIENCE)
        if not left_behind:
            registry.discard_log(mountpoint)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(
    machine: Machine, mountpoint: Path, allow_other: bool, events: _Events
) -> list[threading.Thread]:
    boundary = Boundary(machine)
    machine.admit = Service(machine, boundary.lock, lambda: _file_systems(mountpoint)).admit

    def on_ready() -> None:
        events.put(_Ready())

    def run(operations: Operations) -> None:
        directory = str(mountpoint / operations.fstype.name)
        options = {**_OPTIONS, "allow_other": allow_other}
        failure = None
        try:
            libfuse.mount(Requests(operations, directory, on_ready), directory, options)
        except RuntimeError as error:
            failure = (
                f"libfuse could not mount {directory} (its status is {error}; in a container this "
                "takes --device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined)"
            )
        events.put(_Ended(failure))

    threads = [
        threading.Thread(target=run, args=(operations,), name=operations.fstype.name, daemon=True)
        for operations in file_systems(boundary, libfuse.caller).values()
    ]
    for directory in directories(mountpoint):
        directory.mkdir()
    for thread in threads:
        thread.start()
    return threads


def _file_systems(mountpoint: Path) -> dict[int, int]:
    """The device numbers of the mounts, and the file systems that they are to programs."""
    return {
        (mountpoint / "proc").stat().st_dev: PROC_MAGIC,
        (mountpoint / "sys").stat().st_dev: SYSFS_MAGIC,
    }


def _wait_until_ready(events: _Events, mounts: int) -> None:
    """Return when all can be read.  Raises MountError, when none is still about to be mounted."""
    failures = []
    while mounts:
        event = events.get()
        if isinstance(event, _Told):
            failures.append(f"{signal.Signals(event.signum).name} came before it could be read")
            continue
        mounts -= 1
        if isinstance(event, _Ended):
            failures.append(event.failure or "it was unmounted before it could be read")
    if failures:
        raise MountError(failures[0])


def _wait_for_the_end(events: _Events, mounts: int) -> None:
    """Return on a signal, or when nothing is left to serve."""
    while mounts and not isinstance(events.get(), _Told):
        mounts -= 1


def _wait_for_a_signal(events: _Events) -> None:
    events.put(_Told(signal.sigwait(_ENDING)))


def _record(machine: Machine, mountpoint: Path) -> None:
    process = Process.of(os.getpid())
    assert process is not None  # noqa: S101 - it is this one
    registry.record(
        registry.Entry(mountpoint, machine.profile.name, process, registry.log_of(mountpoint))
    )


def _unmount(mountpoint: Path) -> list[Path]:
    """Unmount what is mounted, and leave the mountpoint as it was.

    Returns what could not be removed; the log says why.
    """
    left_behind = []
    for directory in directories(mountpoint):
        try:
            for _ in mounts_at(directory):
                unmount(directory)
            with suppress(FileNotFoundError):  # whoever has unmounted it may be quicker
                directory.rmdir()
        except (OSError, UnmountError):
            logger.exception("%s is left behind", directory)
            left_behind.append(directory)
    return left_behind
