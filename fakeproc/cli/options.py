"""What the subcommands share: how they fail, and the options that say which machine is meant."""

# ruff: noqa: PLC0415 - `fakeproc --help` imports nothing that only a machine needs

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click
from click.shell_completion import CompletionItem

from fakeproc.defaults import DEFAULT_PROFILE, MAX_CPUS, MAX_SEED
from fakeproc.shell_words import shown

if TYPE_CHECKING:
    from fakeproc.journal import Saved
    from fakeproc.machine import Machine

__all__ = [
    "BadInput",
    "Failure",
    "MachineOptions",
    "chosen_machine",
    "complete_directory",
    "complete_words",
    "example",
    "forget_output",
    "given_options",
    "json_option",
    "machine_options",
    "mountpoint_argument",
    "not_empty",
    "print_rows",
    "print_table",
    "profile_words",
    "read_journal",
    "report",
    "sentence",
]

F = TypeVar("F", bound=Callable[..., Any])
Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]

DEFAULT_CLOCK = "real"


class Failure(click.ClickException):
    """One sentence for the user: it cannot be done."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        """Print it, as other commands do; a standard error that is full changes no exit status."""
        with suppress(OSError):
            click.echo(f"fakeproc: {self.format_message()}", file=file, err=file is None)


class BadInput(Failure):
    """One sentence for the user: a usage error."""

    exit_code = 2


def sentence(error: Exception) -> str:
    """An exception as one sentence: the file, and what is wrong with it."""
    if isinstance(error, OSError) and error.errno:
        if isinstance(error.filename, str | bytes | os.PathLike):
            return f"{shown(os.fsdecode(error.filename))}: {error.strerror}"
        return str(error.strerror)
    return str(error)


def report(text: str) -> None:
    """Say what was done.  It is done, so that a full standard output is no failure, but is said."""
    try:
        click.echo(text)
    except BrokenPipeError:  # the reader has closed the pipe
        forget_output()
    except OSError as error:
        forget_output()
        with suppress(OSError):
            click.echo(f"fakeproc: cannot write to standard output: {error.strerror}", err=True)


def forget_output() -> None:
    """Drop what standard output does not take, which Python would try to write at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def example(*lines: str) -> str:
    """The epilog of a help text."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


# -- Completion in a shell ---------------------------------------------------------------


def complete_words(known: Callable[[], Mapping[str, str]], path: str = "") -> Completer:
    """Offer the known words, each with what it means; where none fits, a "dir" or "file"."""

    def complete(
        _context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        found = [
            CompletionItem(word, help=meaning)
            for word, meaning in known().items()
            if word.startswith(incomplete)
        ]
        return found if found or not path else [CompletionItem(incomplete, type=path)]

    return complete


def profile_words() -> Mapping[str, str]:
    """The built-in profiles, each with its description."""
    from fakeproc.profiles import description, names

    return {name: description(name) for name in names()}


def _kernel_words() -> Mapping[str, str]:
    from fakeproc.profiles.kernels import KERNELS

    return {name: f"{version}, series {series}" for name, (version, series) in KERNELS.items()}


def not_empty(_context: click.Context, _parameter: click.Parameter, path: str | None) -> str | None:
    """Refuse the empty path, which would lead to the working directory."""
    if path == "":
        raise click.BadParameter("an empty path is no mountpoint")
    return path


complete_directory = complete_words(dict, "dir")


def mountpoint_argument(*, required: bool = True) -> Callable[[F], F]:
    """Add the argument MOUNTPOINT."""
    return click.argument(
        "mountpoint", required=required, callback=not_empty, shell_complete=complete_directory
    )


def read_journal(path: str) -> Saved:
    """What `fakeproc save` has written.  Raises BadInput, and Failure where it cannot be read."""
    from fakeproc.journal import JournalError, Saved

    try:
        return Saved.parse(Path(path).read_text(), path)
    except UnicodeDecodeError as error:
        raise BadInput(f"{shown(path)}: not a text file") from error
    except JournalError as error:
        raise BadInput(str(error)) from error
    except OSError as error:
        raise Failure(sentence(error)) from error


# -- Which machine -----------------------------------------------------------------------


class MachineOptions(TypedDict):
    """The options that say which machine is meant; None where an option is not given."""

    profile: str | None
    kernel: str | None
    without_patches: tuple[int, ...]
    cpus: int | None
    seed: int | None
    clock: str | None
    sizes: str | None


_OPTIONS = (
    click.option(
        "--profile",
        metavar="NAME|FILE",
        help="Which machine: a built-in one ('fakeproc profiles'), a TOML file, or an archive."
        f"  [default: {DEFAULT_PROFILE}]",
        shell_complete=complete_words(profile_words, "file"),
    ),
    click.option(
        "--kernel",
        metavar="NAME",
        help="Which kernel it runs, if not the profile's; 'fakeproc kernels' lists them.",
        shell_complete=complete_words(_kernel_words),
    ),
    click.option(
        "--without-patch",
        "without_patches",
        type=int,
        multiple=True,
        metavar="N",
        help="Leave out this patch of the series, and those that need it; may be given more than "
        "once.",
    ),
    click.option(
        "--cpus",
        type=click.IntRange(1, MAX_CPUS),
        metavar="N",
        help="How many CPUs it has, if not the profile's number.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, MAX_SEED),
        metavar="N",
        help="The seed of all chance, if not the profile's.",
    ),
    click.option(
        "--clock",
        type=click.Choice(["real", "manual"]),
        help="Whether time passes by itself, or only by a write to host/clock."
        f"  [default: {DEFAULT_CLOCK}]",
    ),
    click.option(
        "--sizes",
        type=click.Choice(["length", "kernel"]),
        help="What the size of a file of /proc is: the length of its text, or 0 as in the kernel, "
        "where sendfile then copies nothing.  [default: length]",
    ),
)


def machine_options(command: F) -> F:
    """Add the options that say which machine is meant, in the order of the help text."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given_options(options: MachineOptions) -> list[str]:
    """Those that somebody has given, as they are written."""
    spelt = {"without_patches": "--without-patch"}
    return [
        spelt.get(name, f"--{name}") for name, value in options.items() if value not in {None, ()}
    ]


def chosen_machine(options: MachineOptions) -> Machine:
    """The machine that the options name.  Raises BadInput."""
    from fakeproc.machine import Machine
    from fakeproc.profiles import ProfileError
    from fakeproc.profiles.select import chosen

    try:
        profile = chosen(
            options["profile"] or DEFAULT_PROFILE,
            options["kernel"],
            options["cpus"],
            options["seed"],
            options["without_patches"],
        )
    except ProfileError as error:
        raise BadInput(str(error)) from error
    return Machine(
        profile,
        "manual" if options["clock"] == "manual" else "real",
        "kernel" if options["sizes"] == "kernel" else "length",
    )


# -- Tables ------------------------------------------------------------------------------


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], as_json: bool) -> None:
    """A table, or a JSON array with an object for each row."""
    if as_json:
        click.echo(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2))
    else:
        print_table(columns, rows)


def json_option(command: F) -> F:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")(
        command
    )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table for a person, or lines of fields between tabs for a program."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        # Paths are folded, never cut: they are there to be copied.
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table, markup=False)
