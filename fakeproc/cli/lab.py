"""`fakeproc lab`."""

# ruff: noqa: PLC0415 - Dask and Altair are extras, and imported only here

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fakeproc.cli.options import BadInput, Failure, example, print_table, sentence
from fakeproc.shell_words import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fakeproc.lab.bench import Progress
    from fakeproc.lab.cell import Result
    from fakeproc.lab.schema import Cell, Laboratory

__all__ = ["lab"]

_WITHOUT = "the laboratory needs Dask and Altair: pip install 'fakeproc[lab]'"


@click.command(
    epilog=example(
        "fakeproc lab irqbalance-policies -o results",
        "fakeproc lab mine.toml -o results --baseline old/cells.csv",
        "fakeproc lab mine.toml --scheduler tcp://scheduler:8786",
    )
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lab"),
    show_default=True,
    metavar="DIRECTORY",
    help="Where results are kept; cells that are there already are not run again.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 4096),
    metavar="N",
    help="How many cells run at a time on this computer.  [default: its CPUs]",
)
@click.option("--scheduler", metavar="ADDRESS", help="Run on the Dask cluster of this scheduler.")
@click.option(
    "--baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="CELLS.csv",
    help="Mark in the report what is better or worse than in these results.",
)
@click.argument("file")
def lab(
    file: str, output: Path, workers: int | None, scheduler: str | None, baseline: Path | None
) -> None:
    """Run the experiments of FILE, a TOML file or a laboratory that comes with fakeproc.

    Each cell is a machine, a kernel, a traffic, a tool and a seed, run for some
    time of the guest.  Writes cells.csv, samples.csv, the journals and report.html.

    Exit status: 1 where a cell could not be run or an expectation does not hold.
    """
    try:
        from fakeproc.lab import report, tables
    except ImportError as error:
        raise Failure(f"{_WITHOUT} ({error})") from error
    from fakeproc.lab.bench import load as load_result
    from fakeproc.lab.bench import stored
    from fakeproc.lab.schema import LabError, load

    try:
        laboratory = load(file)
        cells = list(laboratory.cells)
        _run_missing(laboratory, cells, output, workers, scheduler)
        results = [load_result(stored(output, cell)) for cell in cells]
        tables.write(results, output)
        _write_journals(results, output)
        page = report.write(laboratory, results, output, baseline)
    except KeyboardInterrupt:
        raise _interrupted(output) from None
    except LabError as error:
        raise BadInput(str(error)) from error
    except (OSError, ValueError) as error:
        raise Failure(sentence(error)) from error
    click.echo(f"{len(results)} cells; see {shown(page)}")
    broken = [said for it in laboratory.expect for said in tables.broken(it, results)]
    for said in broken[:-1]:
        click.echo(f"fakeproc: {said}", err=True)
    if broken:
        raise Failure(broken[-1])


class _Interrupted(Failure):
    """Ended by ctrl+c; the exit status says so, as a shell's does."""

    exit_code = 128 + signal.SIGINT


def _interrupted(output: Path) -> _Interrupted:
    kept = len(list((output / "cells").glob("*.json")))
    return _Interrupted(
        f"interrupted: {kept} cells are kept in {shown(output)}, and the same command goes on"
    )


def _run_missing(
    laboratory: Laboratory,
    cells: Sequence[Cell],
    output: Path,
    workers: int | None,
    scheduler: str | None,
) -> None:
    """Run the cells without a result.  Raises Failure."""
    from fakeproc.lab.bench import cluster, preflight, run_all, stored

    todo = [cell for cell in cells if not stored(output, cell).is_file()]
    if not todo:
        return
    programs = sorted({tool.command[0] for tool in laboratory.tools if tool.command})
    with cluster(scheduler, workers) as client:
        lacking = preflight(client, [*programs, "timeout"])
        if lacking:
            print_table(("worker", "missing"), list(lacking.items()))
            raise Failure(f"{len(lacking)} workers cannot run the cells")
        with _progress(len(cells), len(cells) - len(todo)) as progress:
            failed = run_all(client, todo, output, progress)
    for cell, why in failed[:-1]:
        click.echo(f"fakeproc: {cell.name}: {why}", err=True)
    if failed:
        cell, why = failed[-1]
        raise Failure(f"{cell.name}: {why} ({len(failed)} of {len(cells)} cells failed)")


class _progress:  # noqa: N801 - used like a function
    """A bar with the time that is left, on a terminal; elsewhere nothing."""

    def __init__(self, total: int, done: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("cells", total=total, completed=done)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self._ended

    def _ended(self, cell: Cell, well: bool) -> None:
        self._bar.update(self._task, advance=1, description="cells" if well else cell.name)

    def __exit__(self, *_error: object) -> None:
        self._bar.stop()


def _write_journals(results: Sequence[Result], output: Path) -> None:
    directory = output / "journals"
    directory.mkdir(exist_ok=True)
    for result in results:
        (directory / f"{result.name}.journal").write_text(result.journal)
