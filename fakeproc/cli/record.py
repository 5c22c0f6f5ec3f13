"""`fakeproc record`."""

# ruff: noqa: PLC0415 - `fakeproc --help` is not to wait for what only a recording needs

from __future__ import annotations

import sys
from pathlib import Path

import click

from fakeproc.cli.options import example

__all__ = ["record"]


@click.command(
    epilog=example(
        "fakeproc record -o machine.tar.gz",
        "fakeproc record --script | ssh web1 'cat > record.py; python3 record.py'",
    )
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="machine.tar.gz",
    show_default=True,
    help="The archive to write; it must not exist yet.",
)
@click.option("--root", metavar="DIR", default="/", help="Where proc and sys are, if not in /.")
@click.option(
    "--keep-names",
    is_flag=True,
    help="Keep host names, serial numbers, UUIDs, MAC and IP addresses.",
)
@click.option(
    "--script", is_flag=True, help="Print a program that does the same with Python 3.6 alone."
)
def record(output: str, root: str, keep_names: bool, script: bool) -> None:
    """Record this machine's /proc and /sys, to be imported elsewhere.

    Takes what an ordinary user may read; manifest.json in the archive says what could not be.
    """
    from fakeproc.recordings import record as recorder

    if script:
        click.echo(Path(recorder.__file__).read_text(encoding="utf-8"), nl=False)
        return
    words = ["--output", output, "--root", root, *(["--keep-names"] if keep_names else [])]
    sys.exit(recorder.main(words))
