"""`fakeproc run`, as it is typed."""

# ruff: noqa: PLC0415 - `fakeproc --help` is not to wait for what only a run needs

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from fakeproc.run.mounted_guest import Guest

__all__ = ["run"]

_DEFAULT_PROFILE = "hyperv-gen2"


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Example:
  fakeproc run -- irqbalance --oneshot --debug -t 1
  fakeproc run -- sh -c 'echo all 1000 > $FAKEPROC/host/traffic; mpstat -I CPU 1 3'
  fakeproc run --mount /tmp/guest -- lscpu
  fakeproc run
""",
)
@click.option(
    "--profile",
    metavar="NAME|FILE.toml",
    help=f"Which machine.  [default: {_DEFAULT_PROFILE}]",
)
@click.option(
    "--kernel",
    metavar="NAME",
    help="Which kernel it runs, if not the profile's: rfc, rfc-as-posted, rfc-7.2, 6.1, 6.12, "
    "6.18, 7.2.",
)
@click.option(
    "--clock",
    type=click.Choice(["real", "manual"]),
    help="Whether time passes by itself, or only when told.  [default: real]",
)
@click.option(
    "--mount",
    "mountpoint",
    metavar="MOUNTPOINT",
    help="Use the guest that is mounted there, instead of one of the command's own.",
)
@click.option("--keep", is_flag=True, help="Leave the guest mounted afterwards, and say where.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def run(
    profile: str | None,
    kernel: str | None,
    clock: Literal["real", "manual"] | None,
    mountpoint: str | None,
    keep: bool,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND where the guest's /proc and /sys are at the real paths.

    As root or as an ordinary user; nothing outside is touched, and nothing
    that COMMAND has started outlives it.  Without COMMAND: a shell.  In the
    environment, FAKEPROC says where the guest is mounted, so that its console
    is $FAKEPROC/host.

    Exit status: that of COMMAND; 1 if it could not be run, 2 for wrong usage,
    126 if COMMAND cannot be executed, 127 if there is no such command.
    """
    if mountpoint is not None and (profile or kernel or clock or keep):
        raise click.UsageError(
            "with --mount the guest is there already, and stays: "
            "--profile, --kernel, --clock and --keep are for one of the command's own"
        )
    from fakeproc.cli.main import Failure
    from fakeproc.run.mounted_guest import GuestError
    from fakeproc.run.signals import end_as
    from fakeproc.run.supervisor import run as run_on

    try:
        guest = _guest(profile or _DEFAULT_PROFILE, kernel, clock or "real", mountpoint, keep)
    except GuestError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}") from error
    if not command:
        click.echo(
            f"/proc and /sys are those of {guest.profile}, and {guest.mountpoint}/host is its "
            "host's console; leave with 'exit'",
            err=True,
        )
    status = run_on(guest, command)
    if keep:
        click.echo(
            f"fakeproc: the guest is still mounted on {guest.mountpoint}; "
            f"end it with: fakeproc umount {guest.mountpoint}",
            err=True,
        )
    end_as(status)


def _guest(
    profile: str,
    kernel: str | None,
    clock: Literal["real", "manual"],
    mountpoint: str | None,
    keep: bool,
) -> Guest:
    from fakeproc.mount import mountpoints

    _find_registry_as_root_of_a_namespace()
    if mountpoint is not None:
        from fakeproc.run.mounted_guest import MountedGuest

        return MountedGuest(mountpoints.resolved(mountpoint))
    from fakeproc.cli.main import machine_of
    from fakeproc.run.private_guest import OwnGuest, mount_to_keep

    machine = machine_of(profile, kernel, clock)
    return mount_to_keep(machine) if keep else OwnGuest(machine)


def _find_registry_as_root_of_a_namespace() -> None:
    """Let `fakeproc list` inside a user namespace show this user's mounts.

    There one is uid 0, whose registry is another, unless XDG_RUNTIME_DIR says
    where; and it does, once there is one.
    """
    from fakeproc.mount import registry

    directory = registry.run_directory()
    if os.geteuid() == 0:
        return
    if directory.name != "fakeproc":  # no XDG_RUNTIME_DIR: let the directory be its own parent
        link = directory / "fakeproc"
        if not link.is_symlink():
            link.symlink_to(Path())
        directory = link
    os.environ["XDG_RUNTIME_DIR"] = str(directory.parent)
