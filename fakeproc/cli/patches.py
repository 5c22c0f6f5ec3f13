"""`fakeproc patches`."""

# ruff: noqa: PLC0415 - `fakeproc --help` imports nothing that only a machine needs

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

import click

from fakeproc.cli.options import BadInput, example, print_table

__all__ = ["patches"]


@click.command(epilog=example("fakeproc patches", "fakeproc patches 11"))
@click.argument("numbers", nargs=-1, type=int, metavar="[N]...")
def patches(numbers: tuple[int, ...]) -> None:
    """List the patches of the series, or show what some of them are for.

    For each N the commands are run in two guests in this process, without the
    patch (and those that need it) and with it.  They can be typed in a mounted
    guest as well, where --without-patch leaves a patch out.
    """
    from fakeproc.play.patches import EXPERIMENTS, compare
    from fakeproc.series import ALL_PATCHES, NEEDS, Patch, without

    unknown = [number for number in numbers if number not in EXPERIMENTS]
    if unknown:
        raise BadInput(f"a patch is a number from 1 to {len(EXPERIMENTS)}, not {unknown[0]}")
    if not numbers:
        rows = [
            (str(number), experiment.what, _list(NEEDS.get(Patch(number), ())))
            for number, experiment in EXPERIMENTS.items()
        ]
        print_table(("patch", "what it does", "needs"), rows)
        return
    for at, number in enumerate(numbers):
        experiment = EXPERIMENTS[number]
        before, after = compare(number)
        others = sorted(ALL_PATCHES - without(ALL_PATCHES, {number}) - {number})
        also = f", and without {_list(others)}" if others else ""
        click.echo(("\n" if at else "") + f"patch {number} {experiment.what}")
        _indented(experiment.commands)
        click.echo(f"without it{also}:")
        _indented(before)
        click.echo("with it:")
        _indented(after)


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(str(int(number)) for number in sorted(numbers))


def _indented(lines: Sequence[str]) -> None:
    for line in lines or ["(nothing)"]:
        click.echo(textwrap.indent(line, "    "))
