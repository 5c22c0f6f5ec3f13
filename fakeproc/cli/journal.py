"""`fakeproc save` and `fakeproc replay`: a machine as its journal has it."""

# ruff: noqa: PLC0415

from __future__ import annotations

from pathlib import Path

import click

from fakeproc.cli.options import (
    BadInput,
    Failure,
    example,
    mountpoint_argument,
    read_journal,
    sentence,
)
from fakeproc.shell_words import no_mount

__all__ = ["replay", "save"]


@click.command(epilog=example("fakeproc save /tmp/guest -o failure.journal"))
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    help="The file to write, or -.",
)
@mountpoint_argument()
def save(mountpoint: str, output: str) -> None:
    """Save what was done to the guest on MOUNTPOINT, for `fakeproc replay`."""
    from fakeproc.journal import is_journal

    try:
        text = (Path(mountpoint) / "host/journal").read_text()
        if not is_journal(text):
            raise Failure(no_mount(mountpoint))
        if output == "-":
            click.echo(text, nl=False)
        else:
            Path(output).write_text(text)
    except OSError as error:
        raise Failure(sentence(error)) from error


@click.command(epilog=example("fakeproc replay failure.journal"))
@click.option("--profile", metavar="NAME|FILE.toml", help="Play it on another machine.")
@click.argument("journal", type=click.Path())
def replay(journal: str, profile: str | None) -> None:
    """Play JOURNAL on a new machine and say which results differ.

    Exit status: 1 where a result differs.
    """
    from fakeproc.journal import JournalError
    from fakeproc.play.replay import play_again
    from fakeproc.profiles import load
    from fakeproc.profiles.errors import ProfileError

    saved = read_journal(journal)
    try:
        played = play_again(saved, None if profile is None else load(profile))
    except (JournalError, ProfileError) as error:
        raise BadInput(str(error)) from error
    for difference in played.differences:
        click.echo(str(difference))
    number = len(saved.journal.entries)
    if played.differences:
        raise Failure(f"{len(played.differences)} of {number} results differ")
    click.echo(f"played {number} requests: every result is the same")
