"""`fakeproc top`."""

# ruff: noqa: PLC0415 - Textual is an extra, and imported only here

from __future__ import annotations

from pathlib import Path

import click

from fakeproc.cli.options import Failure, complete_directory, example, not_empty, sentence
from fakeproc.shell_words import no_mount

__all__ = ["top"]

_WITHOUT = "the view needs Textual: pip install 'fakeproc[view]'"


@click.command(
    epilog=example(
        "fakeproc top /tmp/guest",
        "fakeproc top                 # this computer, read-only",
        "fakeproc top --web /tmp/guest",
    )
)
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look; a large machine is looked at less often.",
)
@click.option(
    "--web",
    is_flag=True,
    help="Serve the view to a browser on this computer, at an address with a secret in it.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="The port for --web.  [default: one that is free]",
)
@click.argument("mountpoint", required=False, callback=not_empty, shell_complete=complete_directory)
def top(mountpoint: str | None, interval: float, web: bool, port: int) -> None:
    """Watch interrupts move over CPUs: the guest on MOUNTPOINT, or this computer.

    A cell is the interrupts a second of a row on a CPU; `>` marks the CPU that
    an interrupt comes to.  The arrow keys or a click select a cell; a click into
    another column of the selected row moves the interrupt there.  The keys at
    the foot act on a guest, and each shows the command that does the same.
    """
    root = Path(mountpoint or "/").absolute()
    if mountpoint is not None and not (root / "host/state.json").is_file():
        raise Failure(no_mount(mountpoint))
    try:
        from fakeproc.view.app import Top
    except ImportError as error:
        raise Failure(f"{_WITHOUT} ({error})") from error
    from fakeproc.api.files import DirectoryFiles
    from fakeproc.view.sources import ComputerSource, GuestSource

    if web:
        from fakeproc.view.web import serve

        try:
            serve(root if mountpoint else None, interval, port)
        except OSError as error:
            raise Failure(f"port {port}: {sentence(error)}") from error
        return
    files = DirectoryFiles(root)
    Top(GuestSource(files) if mountpoint else ComputerSource(files), interval).run()
