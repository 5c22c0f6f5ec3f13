"""`fakeproc import`."""

# ruff: noqa: PLC0415 - `fakeproc --help` is not to wait for what only an import needs

from __future__ import annotations

from pathlib import Path

import click

from fakeproc.cli.options import BadInput, Failure, example, sentence

__all__ = ["import_"]


@click.command(
    "import",
    epilog=example(
        "fakeproc import sosreport-web1.tar.xz -o web1.toml",
        "fakeproc import interrupts.txt lscpu.txt -o reported.toml",
        "fakeproc mount --profile reported.toml /tmp/guest",
    ),
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the profile.  [default: standard output]",
)
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
def import_(sources: tuple[Path, ...], output: Path | None) -> None:
    """Turn what SOURCES tell of a real machine into a profile.

    A source is an archive or a directory with proc/ and sys/ in it (a sos report, a dump
    of hwloc-gather-topology or for 'lscpu --sysroot'), or a text: /proc/interrupts, /proc/cpuinfo,
    /proc/meminfo, /proc/version, /proc/stat, what 'lscpu' or 'lscpu -J' printed, or the output of
    'grep . /proc/irq/*/smp_affinity'.

    What an archive or directory has and is not emulated is shown with the machine as it was
    recorded: the profile names where it is.

    What was found, missing and assumed is written to standard error.
    """
    from fakeproc.profiles import ProfileError, imported

    try:
        _, text, findings = imported(list(sources), output.parent if output else None)
    except ProfileError as error:
        raise BadInput(str(error)) from error
    for line in findings.lines():
        click.echo(line, err=True)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text)
    except OSError as error:
        raise Failure(sentence(error)) from error
