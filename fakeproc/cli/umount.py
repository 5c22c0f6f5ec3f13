"""`fakeproc umount`."""

# ruff: noqa: PLC0415

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fakeproc.cli.options import (
    Failure,
    example,
    mountpoint_argument,
    report,
    sentence,
)
from fakeproc.shell_words import shown

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["umount"]


@click.command(epilog=example("fakeproc umount /tmp/guest", "fakeproc umount --all"))
@click.option("--all", "every", is_flag=True, help="Unmount all that 'fakeproc list' shows.")
@mountpoint_argument(required=False)
def umount(mountpoint: str | None, every: bool) -> None:
    """Unmount MOUNTPOINT and end its daemon.

    Works while files in it are held open, and when the daemon has died.
    """
    from fakeproc.mount import mountpoints

    if every == (mountpoint is not None):
        raise click.UsageError("give either MOUNTPOINT or --all")
    try:
        places = {mountpoint: mountpoints.resolved(mountpoint)} if mountpoint else _all_places()
    except (mountpoints.MountError, OSError) as error:
        raise Failure(sentence(error)) from error
    failures = [failure for name, place in places.items() if (failure := _umount(name, place))]
    for failure in failures[:-1]:
        failure.show()
    if failures:
        raise failures[-1]


def _all_places() -> dict[str, Path]:
    from fakeproc.mount import registry

    entries = registry.entries()
    return {
        str(entry.mountpoint): entry.mountpoint
        for entry in entries
        if isinstance(entry, registry.Entry)
    }


def _umount(name: str, place: Path) -> Failure | None:
    """End one mount and say how it went; returns the failure where it did not."""
    from fakeproc.mount.mountinfo import UnmountError
    from fakeproc.mount.umount import NotMountedError, end_mount

    try:
        ended = end_mount(place)
    except (NotMountedError, UnmountError, OSError) as error:
        return Failure(sentence(error))
    number = "" if ended.daemon is None else f" (process {ended.daemon.pid})"
    if ended.dead:
        report(f"unmounted {shown(name)}; its daemon{number} had died")
    elif ended.busy:
        report(f"unmounted {shown(name)} lazily: files in it were held open, and are dead now")
    else:
        report(f"unmounted {shown(name)}")
    if ended.killed:
        report(f"its daemon{number} did not end by itself and was killed")
    return None
