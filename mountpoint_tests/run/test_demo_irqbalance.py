"""scripts/demo-irqbalance: its figures are measured, its bars are its figures, nothing stays."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, mounts_below

from .runs import Runs, eventually, processes_of

ROW = re.compile(r"^CPU (\d) +(\d+) (#*) +(\d+) (#*)$", re.MULTILINE)
SUMMARY = re.compile(r"(\d+) of (\d+) masks changed, (\d+) interrupts moved to another CPU")
UNIT = 120


@pytest.fixture
def demo(run: Runs) -> list[str]:
    """The command, that finds this `fakeproc` in PATH and leaves its files where we look."""
    program = run.directory / "bin/fakeproc"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fakeproc "$@"\n')
    program.chmod(0o755)
    script = REPOSITORY / "scripts/demo-irqbalance"
    path = f"PATH={program.parent}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    temporary = run.directory / "tmp"
    temporary.mkdir()
    return ["env", path, f"TMPDIR={temporary}", str(script), "--no-setup", "--fast"]


def nothing_is_left(run: Runs) -> bool:
    left = [*(run.directory / "tmp").iterdir(), *mounts_below(run.directory)]
    return not left and not processes_of(run.directory)


def test_the_figures_are_measured(run: Runs, demo) -> None:
    interrupts = Path("/proc/irq/default_smp_affinity").read_text()
    done = subprocess.run(
        ["env", "seconds=1", *demo],
        env=run.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-2000:] + done.stderr
    assert "\x1b" not in done.stdout
    rows = [tuple(row) for row in ROW.findall(done.stdout)]
    assert [row[0] for row in rows] == list("01234567") * 3
    for _, before, bar_before, now, bar_now in rows:
        assert len(bar_before) == round(int(before) / UNIT + 1e-9)
        assert len(bar_now) == round(int(now) / UNIT + 1e-9)
    tables = [rows[0:8], rows[8:16], rows[16:24]]
    for table in tables:  # four disk channels and eight of the network card
        assert sum(int(row[1]) for row in table) == pytest.approx(4 * 1200 + 8 * 300, rel=0.1)
        assert sum(int(row[3]) for row in table) == pytest.approx(4 * 1200 + 8 * 300, rel=0.1)
    one, two, core = ([int(number) for number in found] for found in SUMMARY.findall(done.stdout))
    assert one == [21, 21, 0]
    assert two[:2] == [21, 21]
    assert two[2] > 0
    assert core[0] == core[2] > 10
    assert min(int(row[3]) for row in tables[2]) > 0  # by CPU, no CPU stays idle
    assert nothing_is_left(run)
    assert Path("/proc/irq/default_smp_affinity").read_text() == interrupts


def test_interrupted_it_leaves_nothing(run: Runs, demo) -> None:
    process = subprocess.Popen(
        demo, env=run.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while "said" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert eventually(lambda: nothing_is_left(run))
