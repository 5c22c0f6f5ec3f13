"""The guest of a run, as its processes see it; here one that is mounted already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fakeproc.mount import registry
from fakeproc.mount.mountinfo import is_stale, mounts_at
from fakeproc.run.namespace import join
from fakeproc.run.signals import Mask
from fakeproc.shell_words import command_word, no_mount, shown

if TYPE_CHECKING:
    from fakeproc.mount.processes import Process

__all__ = ["Guest", "GuestError", "MountedGuest"]


class GuestError(Exception):
    """The guest does not exist or cannot be started; the message is a sentence that says why."""


class Guest:
    """A guest, as the processes of a run see it; one that asks nothing of them."""

    def __init__(self, mountpoint: Path, profile: str) -> None:
        self.mountpoint = mountpoint
        self.profile = profile
        self.daemon: Process | None = None  # that is to end with the run

    def surround(self) -> None:
        """In the supervisor, before it has a child: go where the guest will be mounted."""

    def start(self, mask: Mask) -> None:
        """In the supervisor: start the guest.  Raises GuestError."""

    def enter(self) -> None:
        """In the command: go where the guest is mounted."""

    def end(self) -> None:
        """In the supervisor, when the command has ended.  Raises GuestError if all was not well."""

    def clear(self) -> None:
        """In the front, at last: leave nothing behind."""


class MountedGuest(Guest):
    """A guest that is there already, and stays."""

    def __init__(self, mountpoint: Path) -> None:
        entry = registry.entry_of(mountpoint)
        tree = mountpoint / "proc"
        is_here = any(mount.is_ours for mount in mounts_at(tree))
        if is_here and is_stale(tree):
            raise GuestError(
                f"the daemon of {shown(mountpoint)} has died; "
                f"clear it with: fakeproc umount {command_word(mountpoint)}"
            )
        if not is_here and (entry is None or not entry.is_alive()):
            raise GuestError(no_mount(mountpoint))
        super().__init__(mountpoint, mountpoint.name if entry is None else entry.profile)
        # It may be the private guest of another run, which only that run sees mounted.
        self._elsewhere = None if is_here or entry is None else entry.process

    def enter(self) -> None:
        """Join the run that the guest belongs to, if it does."""
        if self._elsewhere is not None:
            join(self._elsewhere.pid)
