"""A guest of the command's own, and the daemon that serves it."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fakeproc.mount import mountpoints, registry
from fakeproc.mount.mountinfo import UnmountError
from fakeproc.mount.mountpoints import MountError
from fakeproc.mount.processes import PATIENCE, end
from fakeproc.mount.start import Prepare, adopted_by, start
from fakeproc.run.mounted_guest import Guest, GuestError, MountedGuest
from fakeproc.run.namespace import private_mounts
from fakeproc.run.signals import Mask, release_signals

if TYPE_CHECKING:
    from fakeproc.machine import Machine

__all__ = ["PrivateGuest", "mount_to_keep"]


class PrivateGuest(Guest):
    """A guest that lives as long as the command, mounted where nobody else sees it.

    For an ordinary user that is a user namespace, in which they may mount, so
    that no fusermount3 is needed.  Raises GuestError where nobody can mount.
    """

    def __init__(self, machine: Machine) -> None:
        try:
            mountpoints.check_device()
        except MountError as error:
            raise GuestError(str(error)) from error
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
            adopted_by(supervisor)
            release_signals(mask)

        # Every process in the namespace may look; no other process can.
        _start(self._machine, self.mountpoint, allow_other=True, prepare=prepare)
        entry = registry.entry_of(self.mountpoint)
        self.daemon = None if entry is None else entry.process

    def end(self) -> None:
        """End the daemon, and say so if it could not end well."""
        if self.daemon is None or registry.entry_of(self.mountpoint) is None:
            return  # it was unmounted by hand
        if not self.daemon.is_alive():
            raise GuestError("the guest's daemon had died before the command ended")
        if not end(self.daemon, PATIENCE):
            raise GuestError("the guest's daemon did not end by itself and was killed")

    def clear(self) -> None:
        """Remove the mountpoint, and what a daemon that was killed has left."""
        with suppress(OSError, UnmountError):
            mountpoints.clear(self.mountpoint)
            self.mountpoint.rmdir()


def mount_to_keep(machine: Machine, mask: Mask) -> MountedGuest:
    """Mount a guest that outlives the command, as `fakeproc mount` does."""
    place = Path(tempfile.mkdtemp(prefix="fakeproc-"))
    try:
        mountpoints.check(place, allow_other=False)
        root = os.geteuid() == 0
        _start(machine, place, allow_other=root, prepare=lambda: release_signals(mask))
    except (MountError, OSError) as error:
        place.rmdir()
        raise GuestError(str(error)) from error
    except GuestError:
        with suppress(FileNotFoundError):  # the daemon has removed it
            place.rmdir()
        raise
    return MountedGuest(place)


def _start(machine: Machine, place: Path, allow_other: bool, prepare: Prepare) -> None:
    try:
        start(lambda: machine, place, allow_other, prepare, temporary=True)
    except MountError as error:
        raise GuestError(str(error)) from error
    except OSError as error:  # no room for its log, say
        raise GuestError(f"{error.filename}: {error.strerror}") from error
