"""Ending a mount, whatever state it is in."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fakeproc.mount import mountpoints, registry
from fakeproc.mount.mountinfo import Mount, is_stale, mounts_at, unmount
from fakeproc.mount.processes import PATIENCE, Process, end
from fakeproc.shell_words import command_word, no_mount, shown

__all__ = ["Ended", "NotMountedError", "end_mount"]


class NotMountedError(Exception):
    """The user has no such mount; the message says what is known of it."""


class Ended(NamedTuple):
    """How a mount ended.

    `busy`: files in it were held open, so that it went lazily.  `killed`: the
    daemon had to be.  `dead`: it had died before.
    """

    daemon: Process | None
    busy: bool
    killed: bool
    dead: bool


def end_mount(mountpoint: Path, patience: float = PATIENCE) -> Ended:
    """Unmount, end the daemon, and leave the mountpoint as it was; none if it was temporary.

    A daemon that does not end within `patience`, in seconds, is killed.
    Raises NotMountedError, UnmountError and OSError.
    """
    entry = registry.entry_of(mountpoint)
    mounts = [
        mount
        for directory in mountpoints.directories(mountpoint)
        for mount in mounts_at(directory)
        if mount.is_ours
    ]
    if entry is None:
        _check_there_is_something_to_end(mountpoint, mounts)
        # Its entry was lost, with the user's session perhaps.  Once nothing is
        # mounted any more, the daemon ends by itself.
        daemon = None
        dead = any(is_stale(mount.mountpoint) for mount in mounts)
    else:
        daemon = entry.process
        dead = not entry.is_alive()
    busy = [mount for mount in mounts if unmount(mount.mountpoint)]
    killed = daemon is not None and not dead and not end(daemon, patience)
    mountpoints.clear(mountpoint)
    return Ended(daemon, bool(busy) and not dead, killed, dead)


def _check_there_is_something_to_end(mountpoint: Path, mounts: list[Mount]) -> None:
    if not mounts:
        parent = registry.entry_of(mountpoint.parent)
        if parent is not None:
            raise NotMountedError(
                f"{shown(mountpoint)} is a part of the mount on {shown(mountpoint.parent)}; "
                f"end it with: fakeproc umount {command_word(mountpoint.parent)}"
            )
        raise NotMountedError(no_mount(mountpoint))
    if not all(mount.may_be_unmounted for mount in mounts):
        raise NotMountedError(f"{shown(mountpoint)} is mounted by another user")
