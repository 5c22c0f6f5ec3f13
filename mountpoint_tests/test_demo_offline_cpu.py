"""scripts/demo-offline-cpu: it shows what the documentation prints, and nothing of it stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import REPOSITORY, CommandLine
from test_demo import Demo, interrupted, on_a_terminal, stripped

SCRIPT = REPOSITORY / "scripts/demo-offline-cpu"
TRANSCRIPT = re.compile(
    r"<!-- transcript: scripts/demo-offline-cpu -->\n```console\n(.*?)```", re.DOTALL
)
CPU = "sys/devices/system/cpu"


@dataclass(frozen=True)
class Demonstration(Demo):
    """scripts/demo-offline-cpu without set-up, its temporary files in a directory of its own."""

    def start(self, *options: str, **more: object) -> subprocess.Popen[str]:
        command = [SCRIPT, "--no-setup", *options]
        output = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
        return subprocess.Popen(
            command,
            **{
                "env": self.environment,
                "stderr": subprocess.STDOUT,
                "text": True,
                **output,
                **more,
            },
        )


@pytest.fixture
def demo(_fuse: None, cli: CommandLine, tmp_path: Path) -> Iterator[Demonstration]:
    programs, temporary = tmp_path / "bin", tmp_path / "tmp"
    programs.mkdir()
    temporary.mkdir()
    command = programs / "fakeproc"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fakeproc "$@"\n')
    command.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    environment = cli.environment | {"PATH": path, "TMPDIR": str(temporary)}
    environment.pop("NO_COLOR", None)
    made = Demonstration(temporary, environment)
    yield made
    made.assert_nothing_is_left()


@dataclass(frozen=True)
class Step:
    """A command of the transcript, and what it printed."""

    command: str
    printed: list[str]


def steps(transcript: str) -> list[Step]:
    found: list[Step] = []
    for line in transcript.splitlines():
        if line.startswith("$ "):
            found.append(Step(line.removeprefix("$ "), []))
        elif line and not line.startswith("# "):
            found[-1].printed.append(line)
    return found


def test_the_readme_has_what_it_prints(demo: Demonstration) -> None:
    done = demo.run()
    assert done.returncode == 0, done.stdout
    transcript = TRANSCRIPT.search((REPOSITORY / "docs/explanation/offline.md").read_text())
    assert transcript, (
        "docs/explanation/offline.md has no block between the lines <!-- demo-offline-cpu -->"
    )
    assert stripped(done.stdout) == stripped(transcript[1])


def test_every_run_prints_the_same_in_plain_text_and_under_twenty_seconds(demo) -> None:
    began = time.monotonic()
    out = demo.run().stdout
    assert time.monotonic() - began < 20
    assert re.fullmatch(r"[\x20-\x7e\n]*", out)
    assert max(map(len, out.splitlines())) <= 100
    assert demo.run().stdout == out


def test_each_cpu_is_refused_moved_away_from_and_switched_off(demo: Demonstration) -> None:
    done = steps(demo.run().stdout)
    busy = ["bash: line 1: echo: write error: Device or resource busy"]
    at = -1
    for cpu in range(7, 0, -1):
        offline = f"echo 0 > {CPU}/cpu{cpu}/online"
        tried = [number for number, step in enumerate(done) if step.command == offline]
        tried = [number for number in tried if number > at]
        last = next(number for number in tried if done[number].printed == [])
        refusals = [number for number in tried if number < last]
        assert refusals, f"CPU {cpu} went at once"
        assert all(done[number].printed == busy for number in refusals)
        at = last
    commands = " ".join(step.command for step in done)
    for way in (
        r"irq/\$?\w+/smp_affinity;?",
        r"irq/\$?\w+/smp_affinity_list",
        r"channels/\$?\w+/cpu\)?;?",
    ):
        assert len(re.findall(rf"{way}( |$)", commands)) >= 2, way


def test_what_is_told_of_the_race_is_what_happens(demo: Demonstration) -> None:
    """The figures in the sentences are those of the commands: sent, and counted by whom."""
    done = steps(demo.run().stdout)
    sent = [int(re.search(r"\d+", s.printed[2])[0]) for s in done if "state.json" in s.command]
    counted = [
        list(map(int, step.printed[0].split(",")))
        for step in done
        if step.command.startswith("cat sys/kernel/irq/39")
    ]
    before = sum(counted[0])
    lost = [count - (sum(by_cpu) - before) for count, by_cpu in zip(sent, counted, strict=True)]
    assert lost == [0, 0, 0, 0, 500]
    assert (counted[2][6] - counted[1][6], counted[2][0] - counted[1][0]) == (25, 5)
    clocks = [
        float(step.printed[0].split()[1]) for step in done if step.command == "cat host/clock"
    ]
    assert round(clocks[1] - clocks[0], 6) == 0.030


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("line", ["$ fakeproc mount", "$ for n in 29", "$ echo ack", "$ rmdir"])
def test_a_signal_leaves_nothing_behind(demo, number: signal.Signals, line: str) -> None:
    status = interrupted(demo.start(), line, number)
    # It may have been quicker with the last step than the signal.
    assert status in {128 + number} | ({0} if "rmdir" in line else set())


def test_colours_and_short_pauses_on_a_terminal(demo: Demonstration, monkeypatch) -> None:
    monkeypatch.setattr("test_demo.REPOSITORY", standing_in_for_demo(demo))
    out = on_a_terminal(demo, "--fast")
    assert "\x1b[1m$ fakeproc umount guest\x1b[0m" in out
    assert "\x1b[31mbash: line 1: echo: write error: Device or resource busy" in out
    assert "\x1b" not in on_a_terminal(demo, "--fast", NO_COLOR="1")
    assert "$ rmdir guest" in on_a_terminal(demo, pause="0.05")


def standing_in_for_demo(demo: Demonstration) -> Path:
    """A checkout whose scripts/demo is this one, for `on_a_terminal` to run."""
    checkout = demo.directory.parent / "checkout"
    (checkout / "scripts").mkdir(parents=True)
    for name in ("demo-offline-cpu", "demo-steps.sh"):
        (checkout / "scripts" / name).symlink_to(REPOSITORY / "scripts" / name)
    (checkout / "scripts/demo").write_text(
        f'#!/bin/sh\nexec "{checkout}/scripts/demo-offline-cpu" "$@"\n'
    )
    (checkout / "scripts/demo").chmod(0o755)
    return checkout


def test_wrong_usage(demo: Demonstration) -> None:
    done = demo.run("--slow")
    usage = "usage: scripts/demo-offline-cpu [--fast] [--no-setup]\n"
    assert (done.returncode, done.stdout) == (2, usage)


def test_a_step_that_goes_wrong_is_said(demo: Demonstration) -> None:
    command = Path(demo.environment["PATH"].split(":")[0]) / "fakeproc"
    command.write_text("#!/bin/sh\necho fakeproc: it cannot be done >&2\nexit 1\n")
    done = demo.run()
    assert done.returncode == 1
    assert done.stdout.endswith("it cannot be done\ndemo-offline-cpu: that was meant to work\n")
