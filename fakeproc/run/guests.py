"""The guest of a run: one of the command's own, or one that is mounted already."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fakeproc.mount import binding, mountpoints, registry
from fakeproc.mount.mountinfo import UnmountError, fusermount, is_stale, mounts_at
from fakeproc.mount.mountpoints import FUSE_DEVICE, MountError
from fakeproc.mount.processes import Process, Report, detached, end
from fakeproc.run.namespace import die_with_parent, join, private_mounts
from fakeproc.run.relay import Mask, release_signals

if TYPE_CHECKING:
    from fakeproc.machine import Machine

__all__ = ["Guest", "GuestError", "KeptGuest", "MountedGuest", "OwnGuest"]

# A daemon that is busy with a long request is waited for.
_PATIENCE = 5.0


class GuestError(Exception):
    """There is no such guest, or none can be had; the message is a sentence that says why."""


class Guest(ABC):
    """A guest, as seen by the processes of a run.

    `daemon` is the process that serves it and is to end with the run.
    """

    daemon: Process | None = None

    def __init__(self, mountpoint: Path, profile: str) -> None:
        self.mountpoint = mountpoint
        self.profile = profile

    def surround(self) -> None:
        """In the supervisor, before it has a child: go where the guest will be mounted."""

    def start(self, mask: Mask) -> None:
        """In the supervisor: let there be a guest.  Raises GuestError."""

    def enter(self) -> None:
        """In the command: go where the guest is mounted."""

    @abstractmethod
    def end(self) -> None:
        """In the supervisor, when the command has ended.  Raises GuestError if all was not well."""

    def clear(self) -> None:
        """In the front, at last: leave nothing behind."""


class OwnGuest(Guest):
    """A guest for the time of a command, mounted where nobody else sees it.

    For an ordinary user that is a user namespace, in which one may mount; where
    one may not open the device, fusermount3 mounts it outside.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._is_private = _is_mountable_by_us()
        directory = tempfile.mkdtemp(prefix="guest-", dir=registry.run_directory())
        super().__init__(Path(directory), machine.profile.name)

    def surround(self) -> None:
        """Give the supervisor, and so the daemon, mounts of their own."""
        if self._is_private:
            private_mounts()

    def start(self, mask: Mask) -> None:
        """Start the daemon, as an adopted child of the supervisor."""
        supervisor = os.getpid()

        def beside_us(serve: Serve) -> None:
            # The process in between, which made the session, is about to end.
            while os.getppid() == os.getsid(0):
                time.sleep(0.001)
            die_with_parent(signal.SIGTERM)
            release_signals(mask)
            if os.getppid() == supervisor:
                serve()

        _serve(self._machine, self.mountpoint, beside_us, allow_other=self._is_private)
        entry = registry.entry_of(self.mountpoint)
        self.daemon = None if entry is None else entry.process

    def end(self) -> None:
        """End the daemon; say so if it had ended before."""
        if self.daemon is None or end(self.daemon, _PATIENCE):
            return
        raise GuestError(f"the daemon did not end by itself; see {self._log}")

    @property
    def _log(self) -> Path:
        return registry.log_of(self.mountpoint)

    def clear(self) -> None:
        """Remove the mountpoint, and what a daemon that was killed has left."""
        with suppress(OSError, UnmountError):
            mountpoints.clear(self.mountpoint)
            self.mountpoint.rmdir()
