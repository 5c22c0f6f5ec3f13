"""`fakeproc umount`."""

# ruff: noqa: PLC0415

from __future__ import annotations

import click

from fakeproc.cli.options import Failure, example, mountpoint_argument, sentence

__all__ = ["umount"]


@click.command(epilog=example("fakeproc umount /tmp/guest"))
@mountpoint_argument
def umount(mountpoint: str) -> None:
    """Unmount MOUNTPOINT and end its daemon.

    Works while files in it are held open, and when the daemon has died.
    """
    from fakeproc.mount import mountpoints
    from fakeproc.mount.mountinfo import UnmountError
    from fakeproc.mount.umount import NotMountedError, end_mount

    try:
        ended = end_mount(mountpoints.resolved(mountpoint))
    except (NotMountedError, UnmountError, OSError) as error:
        raise Failure(sentence(error)) from error
    number = "" if ended.daemon is None else f" (process {ended.daemon.pid})"
    if ended.dead:
        click.echo(f"unmounted {mountpoint}; its daemon{number} had died")
    elif ended.busy:
        click.echo(f"unmounted {mountpoint} lazily: files in it were held open, and are dead now")
    else:
        click.echo(f"unmounted {mountpoint}")
    if ended.killed:
        click.echo(f"its daemon{number} did not end by itself and was killed")
