"""`fakeproc mount`."""

# ruff: noqa: PLC0415 - `fakeproc --help` is not to wait for what only a mount needs

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from fakeproc.cli.options import (
    BadInput,
    Failure,
    MachineOptions,
    chosen_machine,
    complete_words,
    example,
    given_options,
    machine_options,
    mountpoint_argument,
    read_journal,
    report,
    sentence,
)
from fakeproc.shell_words import command_word, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakeproc.machine import Machine

__all__ = ["mount"]


@click.command(
    epilog=example(
        "fakeproc mount /tmp/guest",
        "echo 3 > /tmp/guest/proc/irq/39/smp_affinity_list",
        "fakeproc mount --journal failure.journal /tmp/again",
    )
)
@machine_options
@click.option(
    "--journal",
    metavar="FILE",
    help="The machine that 'fakeproc save' has saved in FILE: it goes on where it was.",
    shell_complete=complete_words(dict, "file"),
)
@click.option("--allow-other", is_flag=True, help="Let other users in, as far as the modes do.")
@click.option("--foreground", is_flag=True, help="Stay, and log to standard error.")
@mountpoint_argument()
def mount(
    mountpoint: str,
    journal: str | None,
    allow_other: bool,
    foreground: bool,
    **options: Unpack[MachineOptions],
) -> None:
    """Mount a guest on the empty directory MOUNTPOINT.

    Returns when it can be read; a daemon in the background serves it.
    """
    from fakeproc.mount import mountpoints
    from fakeproc.mount.start import DaemonDiedError

    machine = chosen_machine(options) if journal is None else _continued(journal, options)

    def say_mounted() -> None:
        interrupts = command_word(f"{mountpoint}/proc/interrupts")
        report(
            f"mounted {machine.profile.name} on {shown(mountpoint)}; try: cat {interrupts}; "
            f"end with: fakeproc umount {command_word(mountpoint)}"
        )

    try:
        place = mountpoints.resolved(mountpoint)
        with mountpoints.reserved(place):
            cleared = mountpoints.check(place, allow_other)
            if cleared is not None:
                report(cleared)
            if foreground:
                _serve_here(machine, place, allow_other, say_mounted)
            else:
                _serve_in_the_background(machine, place, allow_other)
                say_mounted()
    except DaemonDiedError as error:
        raise Failure(f"{error}; see {shown(error.log)}") from error
    except (mountpoints.MountError, OSError) as error:
        raise Failure(sentence(error)) from error


def _continued(journal: str, options: MachineOptions) -> Machine:
    from fakeproc.journal import JournalError
    from fakeproc.play.replay import continued
    from fakeproc.profiles.select import checked_sizes

    others = [option for option in given_options(options) if option != "--sizes"]
    if others:
        raise click.UsageError(f"with --journal the machine is the journal's: without {others[0]}")
    try:
        return continued(read_journal(journal), checked_sizes(options["sizes"] or "length"))
    except JournalError as error:
        raise BadInput(str(error)) from error


def _serve_here(
    machine: Machine, place: Path, allow_other: bool, on_ready: Callable[[], None]
) -> None:
    from fakeproc.mount.daemon import serve
    from fakeproc.mount.start import log_to_standard_error

    log_to_standard_error()
    serve(machine, place, allow_other, on_ready)


def _serve_in_the_background(machine: Machine, place: Path, allow_other: bool) -> None:
    from fakeproc.mount.start import start

    start(lambda: machine, place, allow_other)
