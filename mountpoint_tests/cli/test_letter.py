"""`fakeproc cost` and `fakeproc patches`: what the author of the series wanted to know."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import fakeproc
from fakeproc.cli.main import command
from fakeproc.guest.hv.interrupt_path import CYCLES, STEPS, cost, extra_cost
from fakeproc.series import SERIES, Patch, Series

STOCK, MEANT = SERIES["absent"], SERIES["as meant"]


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, words)
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("channels", "arm64", "before", "after"),
    [
        # steps and cycles of a wake-up: fixed part + channels x part of each
        (1, False, (35 + 8, 210 + 75), (33 + 28, 165 + 245)),
        (4, False, (35 + 4 * 8, 210 + 4 * 75), (33 + 4 * 28, 165 + 4 * 245)),
        (16, True, (41 + 16 * 8, 245 + 16 * 75), (37 + 16 * 28, 190 + 16 * 245)),
    ],
)
def test_the_steps_of_a_wake_up(channels, arm64, before, after) -> None:
    for series, expected in ((STOCK, before), (MEANT, after)):
        found = cost(series, channels, arm64=arm64)
        assert (found.steps, found.cycles) == expected, series


def test_every_step_has_a_cost_and_belongs_to_a_patch_where_it_changes() -> None:
    for step in STEPS:
        assert step.kind in CYCLES
        assert (step.before != step.after) == (step.patch is not None), step


def test_a_step_changes_with_its_patch_alone() -> None:
    mapped = Series(frozenset({Patch.IRQ_DOMAIN, Patch.MAP_RELIDS}))
    more = cost(mapped, 1, arm64=False).cycles - cost(STOCK, 1, arm64=False).cycles
    assert more == 3 * CYCLES["memory"], "the look-up alone"
    counts_twice = Series(MEANT.patches - {Patch.COUNT_IF_HANDLED})
    assert cost(counts_twice, 1, arm64=False) == cost(MEANT, 1, arm64=False), "arm64 alone"
    assert cost(counts_twice, 1, arm64=True).steps == cost(MEANT, 1, arm64=True).steps + 3


def irq_ticks(kernel: str) -> int:
    """What 100 seconds of 200,000 interrupts a second cost CPU 6, in hundredths of a second."""
    machine = fakeproc.Machine(kernel=kernel)
    machine.write("/host/traffic", "all 0\ntimer 0\n19 200000")

    def ticks() -> int:
        line = next(x for x in machine.read("/proc/stat").splitlines() if x.startswith("cpu6 "))
        return int(line.split()[6])

    before = ticks()
    machine.advance(100)
    return ticks() - before


def test_the_difference_is_charged_to_the_cpu() -> None:
    stock, series = irq_ticks("6.12"), irq_ticks("rfc")
    khz = 2_793_438  # of the default profile
    more = extra_cost(MEANT, STOCK, 1, khz, arm64=False) * 200_000 * 100 / 1e7
    assert stock == pytest.approx(200_000 * 100 * 2_000 / 1e7, abs=2)
    assert series - stock == pytest.approx(more, abs=2)
    assert more > 50


def test_the_table_of_costs() -> None:
    status, output = run("cost", "--json")
    assert status == 0
    rows = json.loads(output)
    assert len(rows) == 2 * 3 * 2
    assert {row["channels"] for row in rows} == {"1", "4", "16"}
    status, output = run("cost")
    assert (status, "cannot replace the measurement" in " ".join(output.split())) == (0, True)
    status, output = run("cost", "--steps", "--json")
    assert len(json.loads(output)) == len(STEPS)


def test_the_list_of_patches() -> None:
    status, output = run("patches")
    lines = [line.split("\t") for line in output.splitlines()[1:]]
    assert status == 0
    assert [line[0] for line in lines] == [str(number) for number in range(1, 13)]
    assert {line[0]: line[2] for line in lines if line[2]} == {
        "4": "3", "5": "3", "8": "7", "9": "8", "10": "8", "11": "10", "12": "10",
    }  # fmt: skip


@pytest.mark.parametrize("number", ["0", "13", "-1", "x"])
def test_a_patch_that_is_not_is_a_sentence(number) -> None:
    status, output = run("patches", "--", number)
    assert status == 2
    assert "patch is a number from 1 to 12" in output or "not a valid integer" in output
