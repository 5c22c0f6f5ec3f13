"""`fakeproc lab`: a table of experiments, run, kept, compared and drawn."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

import pytest
from conftest import CommandLine

from fakeproc.lab import schema, tables
from fakeproc.lab.schema import LabError
from fakeproc.lab.tables import Mean

SMALL = """\
description = "Two <tools> & a seed"
machines = ["hyperv-2socket"]
kernels = ["rfc"]
guest_time_s = 60
sample_s = 20

[[traffic]]
name = "busy"
rates = { scsi = 1200, netvsc = 300 }

[[tools]]
name = "nothing"

[[tools]]
name = "all to 3"
command = ["sh", "-c", "for irq in /proc/irq/3[1-8]; do echo 3 > $irq/smp_affinity_list; done"]

[[expect]]
measure = "busiest_share"
at_most = 0.2
"""


@pytest.mark.usefixtures("_fuse")
def test_a_laboratory_is_run_kept_and_not_run_again(cli: CommandLine, tmp_path: Path) -> None:
    file, out = tmp_path / "small.toml", tmp_path / "out"
    file.write_text(SMALL)
    done = cli("lab", file, "-o", out, "--workers", 1)
    assert done.returncode == 1
    assert done.stdout == f"2 cells; see {out}/report.html\n"
    assert re.fullmatch(
        r"fakeproc: hyperv-2socket - rfc - busy - all to 3 - 1: busiest_share is 0\.\d+, "
        r"not at most 0\.2\n",
        done.stderr,
    )

    with (out / "cells.csv").open() as rows:
        nothing, moved = csv.DictReader(rows)
    assert (nothing["tool"], nothing["moves"], nothing["writes"]) == ("nothing", "0", "0")
    assert (moved["tool"], moved["writes"], moved["refusals"]) == ("all to 3", "8", "0")
    assert int(moved["moves"]) == 7  # one queue was on CPU 3
    assert float(moved["busiest_share"]) > float(nothing["busiest_share"])
    assert nothing["lost"] == moved["lost"] == "0"
    with (out / "samples.csv").open() as rows:
        samples = list(csv.DictReader(rows))
    assert {row["time_s"] for row in samples} == {"20.0", "40.0", "60.0"}
    assert {row["cpu"] for row in samples} == {str(cpu) for cpu in range(16)}
    journal = (out / "journals/hyperv-2socket - rfc - busy - all to 3 - 1.journal").read_text()
    assert journal.count("/smp_affinity_list\t") == 8

    page = (out / "report.html").read_text()
    assert "Two &lt;tools&gt; &amp; a seed" in page
    assert not re.search(r"(?:src|href)=.?https?:", page)
    assert len(list((out / "pictures").glob("*.svg"))) == 2

    # A cell that is there is not run again; one that is not gives the same bytes as before.
    before = (out / "cells.csv").read_bytes()
    kept, again = sorted((out / "cells").iterdir())
    inode = kept.stat().st_ino
    again.unlink()
    done = cli("lab", file, "-o", out, "--workers", 1, "--baseline", out / "cells.csv")
    assert (out / "cells.csv").read_bytes() == before
    assert kept.stat().st_ino == inode
    assert again.is_file()
    assert "was" not in (out / "report.html").read_text().split("<figure>")[0].split("</p>")[1]

    # What is damaged is said, and so is what cannot run.
    again.write_text("{}")
    done = cli("lab", file, "-o", out)
    assert (done.returncode, done.stderr) == (1, f"fakeproc: {again}: no result of a cell\n")
    os.truncate(again, 0)
    again.unlink()
    file.write_text(SMALL.replace('["sh"', '["nosuchprogram"'))
    done = cli("lab", file, "-o", tmp_path / "none", "--workers", 1)
    assert done.returncode == 1
    assert "nosuchprogram is not installed" in done.stdout
    assert "workers cannot run the cells" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kernels = ["rfc"]', 'kernels = ["2.4"]', "kernels: '2.4' is none of: rfc, "),
        ("guest_time_s = 60", "guest_time_s = 0", "guest_time_s: input should be greater than 0"),
        ("sample_s = 20", "sample_s = 0.0001", "sample_s: more than 10000 samples of a cell"),
        ('name = "all to 3"', 'name = "nothing"', "tools: 'nothing' is there twice"),
        ('name = "busy"', 'name = "a/b"', "traffic.0.name: string should match pattern"),
        ('"busiest_share"', '"beauty"', "expect.0.measure: input should be 'cv', 'jain'"),
        ("sample_s", "samples", "samples: extra inputs are not permitted"),
        ("[[tools]]", "[[tools", "small.toml: "),
        ('machines = ["hyperv-2socket"]', "machines = []", "machines: tuple should have at least"),
    ],
)
def test_what_a_file_may_not_say(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = tmp_path / "small.toml"
    file.write_text(SMALL.replace(old, new))
    with pytest.raises(LabError) as error:
        schema.load(str(file))
    assert str(error.value).startswith(str(file))
    assert said in str(error.value)


def test_a_file_that_is_not_there_names_the_laboratories(cli: CommandLine) -> None:
    done = cli("lab", "nowhere.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "fakeproc: nowhere.toml is no file, and none of the laboratories: "
        "irqbalance-policies, offline-under-load\n"
    )


@pytest.mark.parametrize("name", schema.names())
def test_the_laboratories_that_come_with_it_are_right(name: str) -> None:
    laboratory = schema.load(name)
    cells = list(laboratory.cells)
    assert len({cell.name for cell in cells}) == len(cells)
    assert laboratory.expect


def test_a_cell_survives_being_kept() -> None:
    cell = next(schema.load("offline-under-load").cells)
    assert schema.Cell.model_validate(json.loads(cell.model_dump_json())) == cell


@pytest.mark.parametrize(
    ("values", "mean", "margin"),
    [([3.0], 3.0, 0.0), ([1.0, 3.0], 2.0, 12.706), ([1.0, 1.0, 1.0], 1.0, 0.0)],
)
def test_a_mean_and_its_interval(values: list[float], mean: float, margin: float) -> None:
    found = tables.means(dict.fromkeys(tables.MEASURES, values))["cv"]
    assert (found.value, found.margin) == (mean, pytest.approx(margin))


@pytest.mark.parametrize(
    ("measure", "now", "before", "verdict"),
    [
        ("cv", Mean(0.5, 0.1), Mean(0.9, 0.1), "better"),
        ("cv", Mean(0.9, 0.1), Mean(0.5, 0.1), "worse"),
        ("cv", Mean(0.6, 0.1), Mean(0.5, 0.1), ""),
        ("jain", Mean(0.9, 0.0), Mean(0.5, 0.0), "better"),
        ("lost", Mean(3, 0), Mean(0, 0), "worse"),
        ("writes", Mean(30, 0), Mean(0, 0), ""),
    ],
)
def test_better_and_worse(measure: str, now: Mean, before: Mean, verdict: str) -> None:
    assert tables.compared(now, before, measure) == verdict
