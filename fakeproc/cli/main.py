"""The command `fakeproc` and its subcommands.

Exit status: 0; 1 for a failure; 2 for a usage error, a wrong profile included.
What goes wrong is one sentence.

What takes long to import is imported by the command that needs it.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

import click

from fakeproc._version import __version__
from fakeproc.cli.completion import completion
from fakeproc.cli.kernels import kernels
from fakeproc.cli.listing import list_mounts
from fakeproc.cli.mount import mount
from fakeproc.cli.options import example
from fakeproc.cli.profiles import profiles
from fakeproc.cli.run import run
from fakeproc.cli.umount import umount

__all__ = ["command", "main"]


def main() -> NoReturn:
    """Run the command; an error of ours is a sentence too, and its traceback is in a file."""
    try:
        command()
    except Exception as error:  # noqa: BLE001 - a user sees no traceback
        log = _keep_traceback()
        click.echo(f"fakeproc: internal error (please report): {error!r}; see {log}", err=True)
    sys.exit(1)


def _keep_traceback() -> Path:
    from fakeproc.mount import registry

    log = registry.run_directory() / "mistakes.log"
    with log.open("a") as file:
        file.write(f"{time.ctime()}: {' '.join(sys.argv)}\n")
        traceback.print_exc(file=file)
    return log


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example(
        "mkdir /tmp/guest",
        "fakeproc mount /tmp/guest",
        "cat /tmp/guest/proc/interrupts",
        "fakeproc umount /tmp/guest",
    ),
)
@click.version_option(__version__, prog_name="fakeproc", message="%(prog)s %(version)s")
def command() -> None:
    """Show the /proc and /sys of an emulated Hyper-V guest as a live file system."""


for subcommand in (run, mount, umount, list_mounts, profiles, kernels, completion):
    command.add_command(subcommand)
