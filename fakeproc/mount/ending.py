"""Ending a mount, whatever state it is in."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fakeproc.mount import mountpoints, registry
from fakeproc.mount.mountinfo import is_stale, mounts_at, unmount
from fakeproc.mount.processes import Process, end

__all__ = ["Ended", "NotMountedError", "end_mount"]

# A daemon ends within a moment; one that is busy with a long request is
# waited for, and one that hangs is not.
PATIENCE = 5.0


class NotMountedError(Exception):
    """There is no such mount of this user; the message says what is known of it."""


class Ended(NamedTuple):
    """How a mount ended.

    `busy`: files in it were held open, so that it went lazily.  `killed`: the
    daemon had to be.  `dead`: it had died before.
    """

    daemon: Process | None
    busy: bool
    killed: bool
    dead: bool


def end_mount(mountpoint: Path) -> Ended:
    """Unmount, end the daemon, and leave the mountpoint as it was.

    Raises NotMountedError, UnmountError, and PermissionError where the daemon is
    not ours to end.
    """
    entry = registry.entry_of(mountpoint)
    mounted = [
        directory
        for directory in mountpoints.directories(mountpoint)
        if any(mount.is_ours for mount in mounts_at(directory))
    ]
    if entry is None:
        _check_stale(mountpoint, mounted)
    busy = [directory for directory in mounted if unmount(directory)]
    alive = entry is not None and entry.is_alive()
    daemon = None if entry is None else entry.process
    killed = alive and daemon is not None and not end(daemon, PATIENCE)
    mountpoints.clear(mountpoint)
    return Ended(daemon, bool(busy) and alive, killed, not alive)


def _check_stale(mountpoint: Path, mounted: list[Path]) -> None:
    if not mounted:
        parent = registry.entry_of(mountpoint.parent)
        if parent is not None:
            raise NotMountedError(
                f"{mountpoint} is a part of the mount on {mountpoint.parent}: "
                f"say 'fakeproc umount {mountpoint.parent}'"
            )
        raise NotMountedError(
            f"nothing of fakeproc is mounted on {mountpoint}; 'fakeproc list' shows what is where"
        )
    if not all(is_stale(directory) for directory in mounted):
        raise NotMountedError(
            f"{mountpoint} is mounted by another user, or from another run directory"
        )
