"""The command `fakeproc` and its subcommands.

Exit status: 0; 1 for a failure; 2 for a usage error, a wrong profile included.
What goes wrong is one sentence.

What takes long to import is imported by the command that needs it.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import errno
import os
import sys
import time
import traceback
from contextlib import suppress
from typing import NoReturn

import click

from fakeproc._version import __version__
from fakeproc.cli.completion import completion
from fakeproc.cli.cost import cost
from fakeproc.cli.diff import diff
from fakeproc.cli.doctor import doctor
from fakeproc.cli.export import export
from fakeproc.cli.host import host
from fakeproc.cli.importing import import_
from fakeproc.cli.journal import replay, save
from fakeproc.cli.kernels import kernels
from fakeproc.cli.lab import lab
from fakeproc.cli.listing import list_mounts
from fakeproc.cli.mount import mount
from fakeproc.cli.options import example, forget_output, sentence
from fakeproc.cli.patches import patches
from fakeproc.cli.play import play
from fakeproc.cli.profiles import profiles
from fakeproc.cli.record import record
from fakeproc.cli.run import run
from fakeproc.cli.top import top
from fakeproc.cli.umount import umount
from fakeproc.shell_words import shown

__all__ = ["command", "main"]


# What writing to a standard output can fail with that is full, closed or broken.
_OUTPUT_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EBADF,
    errno.EIO,
    errno.EPIPE,  # of standard error; click itself ends quietly where it is standard output's
}


def main() -> NoReturn:
    """Run the command; an error of ours is a sentence too, and its traceback is in a file."""
    _open_standard_streams()
    try:
        command()
    except Exception as error:  # noqa: BLE001 - a user sees no traceback
        if isinstance(error, OSError) and not error.filename and error.errno in _OUTPUT_ERRORS:
            forget_output()
            _complain(f"cannot write to standard output: {error.strerror}")
        else:
            _complain(f"internal error (please report): {error!r}{_keep_traceback()}")
    sys.exit(1)


def _open_standard_streams() -> None:
    """Open what the shell has closed (`>&-`), which otherwise the next file to be opened takes.

    A program that is executed gets it closed, as it was.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w", closefd=False))


def _complain(text: str) -> None:
    with suppress(OSError):  # standard error takes nothing either
        click.echo(f"fakeproc: {text}", err=True)


def _keep_traceback() -> str:
    """Keep the traceback of what is being handled; returns where, for the end of a sentence."""
    from fakeproc.mount import registry

    try:
        log = registry.run_directory() / "mistakes.log"
        with log.open("a") as file:
            file.write(f"{time.ctime()}: {' '.join(map(shown, sys.argv))}\n")
            traceback.print_exc(file=file)
    except OSError as error:
        return f" (its traceback cannot be kept: {sentence(error)})"
    return f"; see {shown(log)}"


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


for subcommand in (
    run,
    mount,
    umount,
    list_mounts,
    profiles,
    record,
    import_,
    export,
    kernels,
    patches,
    cost,
    play,
    save,
    replay,
    diff,
    top,
    lab,
    host,
    doctor,
    completion,
):
    command.add_command(subcommand)
