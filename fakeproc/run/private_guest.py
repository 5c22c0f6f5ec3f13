"""A guest of the command's own, and the daemon that serves it."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fakeproc.mount import libfuse, mountpoints, registry
from fakeproc.mount.daemon import serve
from fakeproc.mount.mountinfo import UnmountError
from fakeproc.mount.mountpoints import FUSE_DEVICE, MountError
from fakeproc.mount.processes import Report, detached, end
from fakeproc.run.mounted_guest import Guest, GuestError, MountedGuest
from fakeproc.run.namespace import die_with_parent, private_mounts
from fakeproc.run.signals import Mask, release_signals

if TYPE_CHECKING:
    from fakeproc.machine import Machine

__all__ = ["OwnGuest", "mount_to_keep"]

# A daemon that is busy with a long request is waited for.
_PATIENCE = 5.0

Prepare: TypeAlias = Callable[[], None]


class OwnGuest(Guest):
    """A guest for the time of a command, mounted where nobody else sees it.

    For an ordinary user that is a user namespace, in which they may mount, so
    that no fusermount3 is needed.  Raises GuestError where nobody can mount.
    """

    def __init__(self, machine: Machine) -> None:
        _check_device()
        self._machine = machine
        directory = tempfile.mkdtemp(prefix="guest-", dir=registry.run_directory())
        super().__init__(Path(directory), machine.profile.name)

    def surround(self) -> None:
        """Give the supervisor, and so the daemon, mounts of their own."""
        private_mounts()

    def start(self, mask: Mask) -> None:
        """Start the daemon: a child that the supervisor has adopted, and ends with."""
        supervisor = os.getpid()

        def prepare() -> None:
            # The process in between, which made the session, is about to end.
            while os.getppid() == os.getsid(0):
                time.sleep(0.001)
            die_with_parent(signal.SIGTERM)
            if os.getppid() != supervisor:
                raise GuestError("the command has ended already")
            release_signals(mask)

        # Whoever is in the namespace may look; nobody else can.
        _serve(self._machine, self.mountpoint, allow_other=True, prepare=prepare)
        entry = registry.entry_of(self.mountpoint)
        self.daemon = None if entry is None else entry.process

    def end(self) -> None:
        """End the daemon, and say so if it could not end well."""
        if self.daemon is None or registry.entry_of(self.mountpoint) is None:
            return  # it was unmounted by hand
        if not self.daemon.is_alive():
            raise GuestError("the guest's daemon had died before the command ended")
        if not end(self.daemon, _PATIENCE):
            raise GuestError("the guest's daemon did not end by itself and was killed")

    def clear(self) -> None:
        """Remove the mountpoint, and what a daemon that was killed has left."""
        with suppress(OSError, UnmountError):
            mountpoints.clear(self.mountpoint)
            self.mountpoint.rmdir()


def mount_to_keep(machine: Machine) -> MountedGuest:
    """Mount a guest that outlives the command, as `fakeproc mount` does."""
    place = Path(tempfile.mkdtemp(prefix="fakeproc-"))
    try:
        mountpoints.check(place, allow_other=False)
        _serve(machine, place, allow_other=os.geteuid() == 0, prepare=lambda: None)
    except MountError as error:
        place.rmdir()
        raise GuestError(str(error)) from error
    except GuestError:
        place.rmdir()
        raise
    return MountedGuest(place)


def _check_device() -> None:
    """Raise GuestError where this user cannot mount a FUSE file system, not even in a namespace."""
    if not FUSE_DEVICE.exists():
        raise GuestError(
            f"this machine has no {FUSE_DEVICE}: load it with 'modprobe fuse', or start the "
            f"container with --device {FUSE_DEVICE} --cap-add SYS_ADMIN"
        )
    # No way round by fusermount3: libfuse asks for it only where the device opens.
    if not os.access(FUSE_DEVICE, os.R_OK | os.W_OK):
        raise GuestError(
            f"you may not use {FUSE_DEVICE}: its mode must be 0666 for ordinary users "
            f"('chmod 666 {FUSE_DEVICE}' as root), or run as root"
        )
    try:
        libfuse.load()
    except libfuse.BindingError as missing:
        raise GuestError(str(missing)) from missing


def _serve(machine: Machine, place: Path, allow_other: bool, prepare: Prepare) -> None:
    """Have a daemon serve, after it has prepared itself; return when it does."""
    log = registry.log_of(place)

    def daemon(report: Report) -> None:
        layout = "%(asctime)s %(levelname)s %(name)s: %(message)s"
        logging.basicConfig(level=logging.INFO, format=layout)
        try:
            prepare()
            serve(machine, place, allow_other, report.ready)
        except (MountError, GuestError) as error:
            report.failed(str(error))

    failure = detached(daemon, log)
    if failure is not None:
        said = [line for line in log.read_text().splitlines() if line.startswith("fuse")]
        failure = failure or f"the daemon ended before the tree could be read; see {log}"
        raise GuestError(": ".join((failure, *said[-1:])))
