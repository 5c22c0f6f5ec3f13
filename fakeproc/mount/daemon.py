"""The daemon: three mounts of one machine, and their orderly end.

A mount is served by a thread that is inside libfuse most of the time, where no
signal handler of Python would run.  So the signals are blocked before there is
any other thread, and one thread waits for them.  The main thread waits for
whatever happens; on a signal it unmounts, and the threads return by themselves.
"""

from __future__ import annotations

import gc
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
from fakeproc.mount.gone_names import GoneNames
from fakeproc.mount.mountinfo import UnmountError, mounts_at, unmount
from fakeproc.mount.mountpoints import MountError, directories
from fakeproc.mount.processes import Process
from fakeproc.mount.requests import Requests
from fakeproc.mount.serving import Servers
from fakeproc.mount.substitute import device_of_this_request
from fakeproc.syscalls.identity import PROC_MAGIC, SYSFS_MAGIC
from fakeproc.syscalls.service import Service
from fakeproc.vfs.namespace import Namespace, file_systems
from fakeproc.vfs.request import Boundary

if TYPE_CHECKING:
    from fakeproc.machine import Machine
    from fakeproc.vfs.operations import Operations

__all__ = ["LibfuseError", "serve"]

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


_ADVICE_TO_ROOT = (
    "; in a container this takes --device /dev/fuse --cap-add SYS_ADMIN "
    "--security-opt apparmor=unconfined"
)


class LibfuseError(MountError):
    """libfuse could not mount; it has said why on standard error."""


class _Ready(NamedTuple):
    """The kernel has begun to send requests to a mount."""

    name: str


class _Ended(NamedTuple):
    """A mount is gone, or never was."""

    name: str
    failure: str | None


class _Signalled(NamedTuple):
    """A signal says that it is time to go."""

    signum: int


_Events = SimpleQueue[_Ready | _Ended | _Signalled]


def serve(
    machine: Machine,
    mountpoint: Path,
    allow_other: bool,
    on_ready: Callable[[], None],
    *,
    temporary: bool = False,
) -> None:
    """Mount a machine and serve it until a signal, or until all is unmounted.

    Must be called in the main thread, the only one.  `on_ready` is called when
    the tree can be read.  A `temporary` mountpoint is removed in the end.
    Raises MountError, with nothing left mounted, and OSError.
    """
    # The machine stays for good: the garbage collector need not look at it time and again.
    gc.freeze()
    with _signals_blocked():
        events = _Events()
        gone_names = GoneNames(machine.kernel, mountpoint / "sys")
        try:
            threading.Thread(target=_wait_for_a_signal, args=(events,), daemon=True).start()
            threads = _threads(machine, mountpoint, allow_other, events, gone_names)
            # One after the other: libfuse 3 hands fusermount3 its socket through the
            # environment of the process, where two mounts at once would mix theirs up.
            for thread in threads:
                thread.start()
                _wait_until_ready(events, thread.name)
            gone_names.start()
            _record(machine, mountpoint, temporary)
            logger.info("mounted %s on %s", machine.profile.name, mountpoint)
            on_ready()
            _wait_for_the_end(events, len(threads))
        finally:
            gone_names.stop()
            left_behind = _unmount(mountpoint, temporary)
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


def _threads(
    machine: Machine,
    mountpoint: Path,
    allow_other: bool,
    events: _Events,
    gone_names: GoneNames,
) -> list[threading.Thread]:
    boundary = Boundary(machine)
    servers = Servers()
    Namespace(machine, boundary)  # by which the machine makes requests of its own

    def run(operations: Operations) -> None:
        name = operations.fstype.name
        directory = str(mountpoint / name)
        options = {**_OPTIONS, "allow_other": allow_other}

        def ready() -> None:
            if name == "sys":
                gone_names.device = device_of_this_request()
            events.put(_Ready(name))

        requests = Requests(operations, directory, ready)
        failure = None
        try:
            libfuse.mount(requests, directory, options)
        except RuntimeError as error:
            # An ordinary user's fusermount3 says itself what it lacks.
            advice = _ADVICE_TO_ROOT if os.geteuid() == 0 else ""
            failure = f"libfuse could not mount {directory} (its status is {error}{advice})"
        events.put(_Ended(name, failure))

    threads = [
        threading.Thread(target=run, args=(operations,), name=operations.fstype.name, daemon=True)
        for operations in file_systems(boundary, libfuse.caller).values()
    ]
    servers.threads = threads
    service = Service(
        boundary.entered,
        lambda: _file_systems(mountpoint),
        lambda: boundary.is_waking or servers.are_busy(),
    )
    servers.move_time, servers.on_sleep = service.keeps_time, service.look
    boundary.others, machine.others_release = servers, True
    machine.admit = service.admit
    for directory in directories(mountpoint):
        directory.mkdir()
    return threads


def _file_systems(mountpoint: Path) -> dict[int, int]:
    """The device numbers of the mounts, and the file systems that they are to programs."""
    return {
        (mountpoint / "proc").stat().st_dev: PROC_MAGIC,
        (mountpoint / "sys").stat().st_dev: SYSFS_MAGIC,
    }


def _wait_until_ready(events: _Events, name: str) -> None:
    """Return when a mount can be read.  Raises MountError, once it is no longer being mounted."""
    failures: list[MountError] = []
    while True:
        event = events.get()
        if isinstance(event, _Signalled):
            signame = signal.Signals(event.signum).name
            failures.append(MountError(f"{signame} came before the tree could be read"))
        elif isinstance(event, _Ended):
            failures.append(
                MountError(f"{event.name} was unmounted before the tree could be read")
                if event.failure is None
                else LibfuseError(event.failure)
            )
        if not isinstance(event, _Signalled) and event.name == name:
            break
    if failures:
        raise failures[0]


def _wait_for_the_end(events: _Events, mounts: int) -> None:
    """Return on a signal, or when nothing is left to serve."""
    while mounts and not isinstance(events.get(), _Signalled):
        mounts -= 1


def _wait_for_a_signal(events: _Events) -> None:
    events.put(_Signalled(signal.sigwait(_ENDING)))


def _record(machine: Machine, mountpoint: Path, temporary: bool) -> None:
    process = Process.of(os.getpid())
    assert process is not None  # noqa: S101 - it is this one
    log = registry.log_of(mountpoint)
    registry.record(
        registry.Entry(mountpoint, machine.profile.name, process, log, temporary=temporary)
    )


def _unmount(mountpoint: Path, temporary: bool) -> list[Path]:
    """Unmount what is mounted, and leave the mountpoint as it was; none if it is temporary.

    Returns what could not be removed; the log says why.
    """
    left_behind = []
    for directory in directories(mountpoint):
        try:
            for _ in mounts_at(directory):
                unmount(directory)
            with suppress(FileNotFoundError):  # `fakeproc umount` may be quicker
                directory.rmdir()
        except (OSError, UnmountError):
            logger.exception("%s is left behind", directory)
            left_behind.append(directory)
    if temporary:
        with suppress(OSError):  # not empty: of what is left behind the log speaks
            mountpoint.rmdir()
    return left_behind
