"""`fakeproc host`."""

# ruff: noqa: PLC0415

from __future__ import annotations

from pathlib import Path

import click

from fakeproc.cli.options import BadInput, Failure, example, mountpoint_argument, sentence
from fakeproc.shell_words import no_mount

__all__ = ["host"]


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog=example(
        "fakeproc host /tmp/guest clock",
        "fakeproc host /tmp/guest clock advance 10",
        "fakeproc host /tmp/guest traffic netvsc 1000 poisson",
        "fakeproc host /tmp/guest rescind 13",
    ),
)
@mountpoint_argument()
@click.argument("file", metavar="FILE")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def host(mountpoint: str, file: str, command: tuple[str, ...]) -> None:
    """Give the host of the guest on MOUNTPOINT a command, or print what FILE of host/ has.

    FILE is a file of the host's console; COMMAND is written to it as one line.
    A command that the host refuses is a usage error, and the sentence says why.
    """
    console = Path(mountpoint) / "host"
    if not (console / "state.json").is_file():
        raise Failure(no_mount(mountpoint))
    names = sorted(path.name for path in console.iterdir())
    if file not in names:
        raise BadInput(f"host/ has no file {file!r}; it has: {', '.join(names)}")
    mode = (console / file).stat().st_mode
    if not command and not mode & 0o444:
        raise BadInput(f"host/{file} has nothing to read: give it a command")
    if command and not mode & 0o222:
        raise BadInput(f"host/{file} takes no writes: it is there to be read")
    try:
        if not command:
            click.echo((console / file).read_text(), nl=False)
            return
        with (console / file).open("wb", buffering=0) as opened:
            opened.write(f"{' '.join(command)}\n".encode())
    except OSError as error:
        raise _refused(console, file, error) from error


def _refused(console: Path, file: str, error: OSError) -> click.ClickException:
    """What the guest's log says of it, where the host's console has refused."""
    from fakeproc.api.refusals import reason

    why = reason((console / "log").read_text(), f"/host/{file}")
    return Failure(sentence(error)) if why is None else BadInput(why)
