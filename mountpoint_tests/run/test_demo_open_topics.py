"""scripts/demo-open-topics: what it prints is what the page shows, and nothing of it stays."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from conftest import REPOSITORY

from .runs import Runs
from .test_demo_irqbalance import nothing_is_left

PAGE = REPOSITORY / "docs/explanation/open-topics.md"
TRANSCRIPT = re.compile(
    r"<!-- transcript: scripts/demo-open-topics -->\n```console\n(.*?)```", re.DOTALL
)
PLACES = re.compile(r"^ +(\d+) [0-7]$")  # so many connections on a CPU: another irqbalance's choice


@pytest.fixture
def printed(run: Runs) -> Iterator[list[str]]:
    """What it prints, with the `fakeproc` of this checkout."""
    program = run.directory / "bin/fakeproc"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fakeproc "$@"\n')
    program.chmod(0o755)
    (run.directory / "tmp").mkdir()
    path = f"{program.parent}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run(
        [REPOSITORY / "scripts/demo-open-topics", "--no-setup", "--fast"],
        env=run.environment | {"PATH": path, "TMPDIR": str(run.directory / "tmp")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-2000:] + done.stderr
    yield [line.rstrip() for line in done.stdout.splitlines()]
    assert nothing_is_left(run)


def test_the_page_has_what_the_demonstration_prints(printed: list[str]) -> None:
    found = TRANSCRIPT.search(PAGE.read_text())
    assert found
    expected = [line.rstrip() for line in found[1].splitlines()]
    assert [x for x in printed if not PLACES.match(x)] == [
        x for x in expected if not PLACES.match(x)
    ]
    places = [int(place[1]) for line in printed if (place := PLACES.match(line))]
    assert sum(places) == 500
    assert len(places) > 1, "irqbalance has moved some"
    assert max(map(len, printed)) <= 100
