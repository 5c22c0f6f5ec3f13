"""`fakeproc run`."""

# ruff: noqa: PLC0415 - `fakeproc --help` is not to wait for what only a run needs

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from fakeproc.cli.options import (
    Failure,
    MachineOptions,
    chosen_machine,
    complete_directory,
    given_options,
    machine_options,
    not_empty,
    sentence,
)
from fakeproc.shell_words import command_word, shown

if TYPE_CHECKING:
    from fakeproc.run.mounted_guest import Guest
    from fakeproc.run.parts import Whose
    from fakeproc.run.signals import Mask

__all__ = ["run"]


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
@machine_options
@click.option(
    "--mount",
    "mountpoint",
    metavar="MOUNTPOINT",
    help="Use the guest that is mounted there, instead of one that lives as long as COMMAND.",
    callback=not_empty,
    shell_complete=complete_directory,
)
@click.option("--keep", is_flag=True, help="Leave the guest mounted afterwards, and say where.")
@click.option(
    "--syscalls",
    type=click.Choice(["guest", "host"]),
    default="guest",
    help="Whose CPUs, name and memory system calls speak of (sched_getaffinity, uname, sysinfo).  "
    "[default: guest]",
)
@click.option(
    "--time",
    type=click.Choice(["guest", "host"]),
    help="Whose time programs see and sleep by; the guest's passes at once when all sleep, if its "
    "clock is manual.  [default: guest with a manual clock, host with a real one]",
)
@click.option(
    "--net",
    type=click.Choice(["guest", "host"]),
    default="guest",
    help="Whose network interfaces and uevents there are.  [default: guest]",
)
@click.option(
    "--host-writable",
    is_flag=True,
    help="Leave what is this computer's own in /proc and /sys writable (sysctls, control groups); "
    "otherwise it is read-only for COMMAND.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Fail where this system forbids a part of this; otherwise a sentence says what.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def run(
    mountpoint: str | None,
    keep: bool,
    syscalls: Whose,
    time: Whose | None,
    net: Whose,
    host_writable: bool,
    strict: bool,
    command: tuple[str, ...],
    **options: Unpack[MachineOptions],
) -> None:
    """Run COMMAND where the guest's /proc and /sys are at the real paths.

    As root or as an ordinary user; nothing outside is touched, and nothing
    that COMMAND has started outlives it.  Without COMMAND: a shell.  In the
    environment, FAKEPROC says where the guest is mounted, so that its console
    is $FAKEPROC/host.

    Exit status: that of COMMAND; 1 if it could not be run, 2 for wrong usage,
    126 if COMMAND cannot be executed, 127 if there is no such command.
    """
    given = given_options(options)
    if mountpoint is not None and (given or keep):
        raise click.UsageError(
            f"with --mount the guest is there already, and stays: {[*given, '--keep'][0]} is for "
            "a guest that lives as long as the command"
        )
    from fakeproc.mount.mountpoints import MountError
    from fakeproc.run.mounted_guest import GuestError
    from fakeproc.run.parts import Parts
    from fakeproc.run.signals import end_as, hold_signals
    from fakeproc.run.supervisor import run as run_on

    mask = hold_signals()
    try:
        guest = _guest(options, mountpoint, keep, mask)
    except (GuestError, MountError, OSError) as error:
        raise Failure(sentence(error)) from error
    if not command:
        click.echo(
            f"/proc and /sys are those of {guest.profile}, and {guest.mountpoint}/host is its "
            "host's console; leave with 'exit'",
            err=True,
        )
    status = run_on(guest, command, Parts(syscalls, time, net, strict, host_writable), mask)
    if keep:
        click.echo(
            f"fakeproc: the guest is still mounted on {shown(guest.mountpoint)}; "
            f"end it with: fakeproc umount {command_word(guest.mountpoint)}",
            err=True,
        )
    end_as(status)


def _guest(options: MachineOptions, mountpoint: str | None, keep: bool, mask: Mask) -> Guest:
    from fakeproc.mount import mountpoints

    _find_registry_as_root_of_a_namespace()
    if mountpoint is not None:
        from fakeproc.run.mounted_guest import MountedGuest

        return MountedGuest(mountpoints.resolved(mountpoint))
    from fakeproc.run.private_guest import PrivateGuest, mount_to_keep

    machine = chosen_machine(options)
    return mount_to_keep(machine, mask) if keep else PrivateGuest(machine)


def _find_registry_as_root_of_a_namespace() -> None:
    """Make `fakeproc list` show this user's mounts inside a user namespace too.

    The user is uid 0 there, whose registry is another one unless
    XDG_RUNTIME_DIR names the place; so this sets it.
    """
    from fakeproc.mount import registry

    directory = registry.run_directory()
    if os.geteuid() == 0:
        return
    if directory.name != "fakeproc":  # no XDG_RUNTIME_DIR: the directory becomes its own parent
        link = directory / "fakeproc"
        if not link.is_symlink():
            link.symlink_to(Path())
        directory = link
    os.environ["XDG_RUNTIME_DIR"] = str(directory.parent)
