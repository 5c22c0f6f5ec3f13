"""The command `fakeproc`: mount, umount, list, profiles, run, completion.

Exit status: 0; 1 if it cannot be done; 2 if the command or the profile is
wrong.  What goes wrong is one sentence.

Whatever takes long to import is imported by the command that needs it.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click

from fakeproc import __version__
from fakeproc.cli.completion import completion, teach
from fakeproc.cli.run import run

if TYPE_CHECKING:
    from fakeproc.machine import Machine
    from fakeproc.mount.registry import Entry

__all__ = ["main"]

DEFAULT_PROFILE = "hyperv-gen2"


class Failure(click.ClickException):
    """A sentence for the user: it cannot be done."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        """Print it, as other commands do."""
        click.echo(f"fakeproc: {self.format_message()}", file=file, err=file is None)


class BadInput(Failure):
    """A sentence for the user: that is not how to ask for it."""

    exit_code = 2


def main() -> NoReturn:
    """Run the command; a mistake of ours is a sentence too, and its traceback is in a file."""
    try:
        command()
    except Exception as error:  # noqa: BLE001 - a user sees no traceback
        log = _keep_traceback()
        click.echo(f"fakeproc: this is a mistake in fakeproc: {error!r}; see {log}", err=True)
    sys.exit(1)


def _keep_traceback() -> Path:
    from fakeproc.mount import registry

    log = registry.run_directory() / "mistakes.log"
    with log.open("a") as file:
        file.write(f"{time.ctime()}: {' '.join(sys.argv)}\n")
        traceback.print_exc(file=file)
    return log


def _example(*lines: str) -> str:
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_example(
        "mkdir /tmp/guest",
        "fakeproc mount /tmp/guest",
        "cat /tmp/guest/proc/interrupts",
        "fakeproc umount /tmp/guest",
    ),
)
@click.version_option(__version__, prog_name="fakeproc", message="%(prog)s %(version)s")
def command() -> None:
    """Show the /proc and /sys of an emulated Hyper-V guest as a live file system."""


command.add_command(run)


@command.command(
    epilog=_example(
        "fakeproc mount /tmp/guest",
        "echo 3 > /tmp/guest/proc/irq/39/smp_affinity_list",
    )
)
@click.option(
    "--profile",
    metavar="NAME|FILE.toml",
    default=DEFAULT_PROFILE,
    show_default=True,
    help="Which machine; 'fakeproc profiles' lists those that are built in.",
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
    default="real",
    show_default=True,
    help="Whether time passes by itself, or only when told by way of the host console.",
)
@click.option("--allow-other", is_flag=True, help="Let other users in, as far as the modes do.")
@click.option("--foreground", is_flag=True, help="Stay, and log to standard error.")
@click.argument("mountpoint")
def mount(
    profile: str,
    kernel: str | None,
    clock: Literal["real", "manual"],
    allow_other: bool,
    foreground: bool,
    mountpoint: str,
) -> None:
    """Mount a guest on the empty directory MOUNTPOINT.

    Returns when it can be read; a daemon in the background serves it.
    """
    from fakeproc.mount import mountpoints, registry
    from fakeproc.mount.daemon import serve

    machine = machine_of(profile, kernel, clock)
    place = mountpoints.resolved(mountpoint)

    def say_mounted() -> None:
        click.echo(
            f"mounted {machine.profile.name} on {mountpoint}; "
            f"try: cat {mountpoint}/proc/interrupts; end with: fakeproc umount {mountpoint}"
        )

    try:
        with mountpoints.reserved(place):
            cleared = mountpoints.check(place, allow_other)
            if cleared is not None:
                click.echo(cleared)
            if foreground:
                _log_to_standard_error()
                serve(machine, place, allow_other, say_mounted)
            else:
                _serve_detached(partial(serve, machine, place, allow_other), registry.log_of(place))
                say_mounted()
    except (mountpoints.MountError, OSError) as error:
        raise Failure(_sentence(error)) from error


def machine_of(profile: str, kernel: str | None, clock: Literal["real", "manual"]) -> Machine:
    """The machine that the options ask for; raises BadInput."""
    from fakeproc.machine import Machine
    from fakeproc.profiles import ProfileError, load
    from fakeproc.profiles.kernels import with_kernel

    try:
        loaded = load(profile)
        return Machine(loaded if kernel is None else with_kernel(loaded, kernel), clock)
    except ProfileError as error:
        raise BadInput(str(error)) from error


def _serve_detached(serve: Callable[[Callable[[], None]], None], log: Path) -> None:
    """Have a daemon serve; return when it does.  Raises Failure."""
    from fakeproc.mount.mountpoints import MountError
    from fakeproc.mount.processes import Report, detached

    def daemon(report: Report) -> None:
        _log_to_standard_error()
        try:
            serve(report.ready)
        except MountError as error:
            report.failed(str(error))

    failure = detached(daemon, log)
    if failure is not None:
        said = [line for line in log.read_text().splitlines() if line.startswith("fuse")]
        failure = failure or f"the daemon ended before the tree could be read; see {log}"
        raise Failure(": ".join((failure, *said[-1:])))


def _log_to_standard_error() -> None:
    layout = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=layout)


@command.command(epilog=_example("fakeproc umount /tmp/guest"))
@click.argument("mountpoint")
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
        raise Failure(_sentence(error)) from error
    number = "" if ended.daemon is None else f" (process {ended.daemon.pid})"
    if ended.dead:
        click.echo(f"unmounted {mountpoint}; its daemon{number} had died")
    elif ended.busy:
        click.echo(f"unmounted {mountpoint} lazily: files in it were held open, and are dead now")
    else:
        click.echo(f"unmounted {mountpoint}")
    if ended.killed:
        click.echo(f"its daemon{number} did not end by itself and was killed")


@command.command("list", epilog=_example("fakeproc list"))
def list_mounts() -> None:
    """List the mounts of this user.

    Says for each its mountpoint, profile, process, memory, age and log.  Those
    of a daemon that has died are listed until they are unmounted.
    """
    from fakeproc.mount import registry

    try:
        rows = [_row(entry) for entry in registry.entries()]
    except OSError as error:
        raise Failure(_sentence(error)) from error
    _print_table(("mountpoint", "profile", "pid", "memory", "age", "log"), rows)


def _row(entry: Entry) -> Sequence[str]:
    import psutil

    memory = age = "dead"
    if entry.is_alive():
        with suppress(psutil.NoSuchProcess):  # it ends just now
            process = psutil.Process(entry.process.pid)
            age = _duration(time.time() - process.create_time())
            memory = f"{process.memory_info().rss / 2**20:.0f} MiB"
    columns = (entry.mountpoint, entry.profile, entry.process.pid, memory, age, entry.log)
    return [str(column) for column in columns]


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


@command.group(
    invoke_without_command=True,
    epilog=_example(
        "fakeproc profiles",
        f"fakeproc profiles show {DEFAULT_PROFILE} > mine.toml",
        "fakeproc mount --profile mine.toml /tmp/guest",
    ),
)
@click.pass_context
def profiles(context: click.Context) -> None:
    """List the profiles that are built in."""
    if context.invoked_subcommand is not None:
        return
    from fakeproc.profiles import description, names

    _print_table(("name", "description"), [(name, description(name)) for name in names()])


@profiles.command(epilog=_example(f"fakeproc profiles show {DEFAULT_PROFILE} > mine.toml"))
@click.argument("name")
def show(name: str) -> None:
    """Print the TOML of the profile NAME, to start one's own from."""
    from fakeproc.profiles import ProfileError, source

    try:
        click.echo(source(name), nl=False)
    except ProfileError as error:
        raise BadInput(str(error)) from error


command.add_command(completion)
teach(command)


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table for a person, or lines of fields between tabs for a program."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table, markup=False)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return str(error)
