"""`fakeproc diff`: two guests, or two moments of one, in words."""

# ruff: noqa: PLC0415

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fakeproc.cli.options import (
    BadInput,
    Failure,
    complete_words,
    example,
    read_journal,
    sentence,
)
from fakeproc.shell_words import no_mount, shown

if TYPE_CHECKING:
    from fakeproc.api.state import State
    from fakeproc.vfs.namespace import Namespace

__all__ = ["diff"]


@click.command(
    epilog=example(
        "fakeproc diff /tmp/guest /tmp/other",
        "fakeproc diff failure.journal@33760 failure.journal",
    )
)
@click.argument("before", shell_complete=complete_words(dict, "file"))
@click.argument("now", shell_complete=complete_words(dict, "file"))
def diff(before: str, now: str) -> None:
    """Say what is different in NOW from what it is in BEFORE.

    Each is a mountpoint, or a file of 'fakeproc save', which @MOMENT behind its name takes at an
    earlier moment, in seconds of the machine.

    Exit status: 0 where nothing is different, 1 where something is.
    """
    from fakeproc.api.comparison import in_words

    lines = in_words(_state(before), _state(now))
    for line in lines:
        click.echo(line)
    sys.exit(1 if lines else 0)


def _state(which: str) -> State:
    """The state of a mounted guest, or of one that is played again.  Raises BadInput, Failure."""
    from fakeproc.api.state import State
    from fakeproc.journal import JournalError, nanoseconds
    from fakeproc.play.replay import Look, play_again

    if (Path(which) / "host/state.json").is_file():
        try:
            return State.parse((Path(which) / "host/state.json").read_text())
        except OSError as error:
            raise Failure(sentence(error)) from error
    if Path(which).is_dir():
        raise BadInput(no_mount(which))
    path, at, moment = which.rpartition("@")
    if not at or Path(which).exists():
        path, moment = which, ""
    saved = read_journal(path)
    texts: list[bytes] = []

    def look(files: Namespace) -> None:
        texts.append(files.read("/host/state.json"))

    try:
        seen = Look(nanoseconds(moment), look) if moment else None
        played = play_again(saved, look=seen)
    except (JournalError, ValueError) as error:
        raise BadInput(f"{shown(which)}: {error}") from error
    if not moment:
        look(played.files)
    return State.parse(texts[0].decode())
