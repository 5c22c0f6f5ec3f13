"""The results as tables: a row a cell, a row a sample, and the mean of each experiment.

`cells.csv` and `samples.csv` depend on nothing but the laboratory: two runs of it
give the same bytes.  What the tools took of this computer is in `costs.csv`.
"""

from __future__ import annotations

import csv
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fakeproc.lab.cell import Result
from fakeproc.lab.measures import MEASURES
from fakeproc.lab.schema import Expectation

__all__ = ["KEYS", "Mean", "broken", "compared", "keys_of", "means", "read_cells", "write"]

KEYS = ("machine", "kernel", "traffic", "tool")

# The 97.5 % quantile of Student's t by degrees of freedom; 1.96 from there on.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060,
)  # fmt: skip

# Of these less is better, of the others more, but for those that only describe.
_LESS = {"cv", "busiest_share", "lost", "refusals", "settle_s"}
_MORE = {"jain", "locality"}


@dataclass(frozen=True)
class Mean:
    """A measure of one experiment over its seeds, with its interval of 95 % confidence."""

    value: float
    margin: float

    def __str__(self) -> str:
        return f"{self.value:.3g}" if not self.margin else f"{self.value:.3g} ± {self.margin:.2g}"


def keys_of(result: Result) -> dict[str, str]:
    """What a cell is of, by the names in `KEYS`: the seed apart, its experiment."""
    cell = result.cell
    return {
        "machine": cell.machine.name,
        "kernel": cell.kernel,
        "traffic": cell.traffic.name,
        "tool": cell.tool.name,
    }


def write(results: Sequence[Result], directory: Path) -> None:
    """Write the three tables.  Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    _write(
        directory / "cells.csv",
        [*KEYS, "seed", *MEASURES],
        (keys_of(it) | {"seed": it.cell.seed} | asdict(it.measures) for it in results),
    )
    _write(
        directory / "samples.csv",
        [*KEYS, "seed", "time_s", "cpu", "interrupts"],
        (
            keys_of(it)
            | {"seed": it.cell.seed, "time_s": sample.time_s, "cpu": cpu, "interrupts": count}
            for it in results
            for sample in it.samples
            for cpu, count in sample.by_cpu.items()
        ),
    )
    _write(
        directory / "costs.csv",
        [*KEYS, "seed", "cpu_s"],
        (keys_of(it) | {"seed": it.cell.seed, "cpu_s": f"{it.cpu_s:.3f}"} for it in results),
    )


def _write(path: Path, columns: list[str], rows: Iterable[dict[str, object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_cells(path: Path) -> dict[tuple[str, ...], dict[str, list[float]]]:
    """The measures of a `cells.csv` by experiment.  Raises OSError, ValueError."""
    found: dict[tuple[str, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if not {*KEYS, *MEASURES} <= row.keys():
                raise ValueError(f"{path}: not a table of cells")
            for measure in MEASURES:
                found[tuple(row[key] for key in KEYS)][measure].append(float(row[measure]))
    return found


def means(values: dict[str, list[float]]) -> dict[str, Mean]:
    """Each measure's mean over the seeds of one experiment."""
    return {measure: _mean(values[measure]) for measure in MEASURES}


def _mean(values: Sequence[float]) -> Mean:
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Mean(mean, 0.0)
    t = _T[len(values) - 2] if len(values) - 2 < len(_T) else 1.96
    return Mean(mean, t * statistics.stdev(values) / math.sqrt(len(values)))


def compared(now: Mean, before: Mean, measure: str) -> str:
    """Say "better", "worse" or "" of a measure, where the two intervals do not meet."""
    if abs(now.value - before.value) <= now.margin + before.margin or measure not in _LESS | _MORE:
        return ""
    return "better" if (now.value < before.value) == (measure in _LESS) else "worse"


def broken(expectation: Expectation, results: Iterable[Result]) -> list[str]:
    """A sentence for each cell in which an expectation does not hold."""
    said = []
    for result in results:
        keys = keys_of(result)
        meant = all(getattr(expectation, key) in (None, keys[key]) for key in KEYS)
        value = asdict(result.measures)[expectation.measure]
        low, high = expectation.at_least, expectation.at_most
        if meant and low is not None and value < low:
            said.append(f"{result.name}: {expectation.measure} is {value:g}, not at least {low:g}")
        if meant and high is not None and value > high:
            said.append(f"{result.name}: {expectation.measure} is {value:g}, not at most {high:g}")
    return said
