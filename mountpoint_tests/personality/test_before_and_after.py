"""scripts/demo-before-after: what it prints, and that nothing of it stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import REPOSITORY, CommandLine, mounts_below
from test_demo import interrupted, processes_of

COLUMN = 48
GAP = 4  # between the columns, with the mark in it


@dataclass(frozen=True)
class Demo:
    """The script without set-up, its temporary files in a directory of its own."""

    directory: Path
    environment: dict[str, str]

    def start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [REPOSITORY / "scripts/demo-before-after", "--no-setup", *options],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *options: str) -> tuple[int, str]:
        process = self.start(*options)
        try:
            out, _ = process.communicate(timeout=120)
        finally:
            process.kill()  # only if it hangs
        return process.returncode, out


@pytest.fixture
def demo(_fuse: None, cli: CommandLine, tmp_path: Path) -> Iterator[Demo]:
    programs, temporary = tmp_path / "bin", tmp_path / "tmp"
    programs.mkdir()
    temporary.mkdir()
    command = programs / "fakeproc"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fakeproc "$@"\n')
    command.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    yield Demo(temporary, cli.environment | {"PATH": path, "TMPDIR": str(temporary)})
    assert list(temporary.iterdir()) == []
    assert mounts_below(temporary) == []
    assert processes_of(temporary) == []


def answers(out: str) -> dict[str, tuple[list[str], list[str], str]]:
    """By what was typed: the lines on the left, those on the right, and the marks between."""
    found = {}
    for block in re.split(r"^\$ ", out, flags=re.MULTILINE)[1:]:
        typed, *lines = block.split("\n\n")[0].splitlines()
        left = [line[:COLUMN].rstrip() for line in lines]
        right = [line[COLUMN + GAP :].rstrip() for line in lines]
        marks = "".join(line[COLUMN : COLUMN + GAP].strip() or "=" for line in lines)
        found[typed] = ([each for each in left if each], [each for each in right if each], marks)
    return found


def test_what_it_shows(demo: Demo) -> None:
    status, out = demo.run()
    assert status == 0, out
    shown = answers(out)
    table = shown["grep -E 'HYP|VMBus  1[49] ' proc/interrupts | cut -c 1-16,72-82,94-"]
    assert [line.split()[:3] for line in table[0]] == [["HYP:", "47653", "7375"]]
    assert [line.split()[:3] for line in table[1]] == [
        ["28:", "22795", "0"],
        ["39:", "0", "7375"],
        ["HYP:", "71", "0"],
    ]
    assert shown["grep -c '^ *[0-9]' proc/interrupts"] == (["2"], ["23"], "|")
    assert shown["find proc/irq -name smp_affinity -perm -200 | wc -l"] == (["2"], ["23"], "|")
    (moved,) = (answer for typed, answer in shown.items() if "smp_affinity && cat" in typed)
    assert "No such file" in moved[0][0]
    assert moved[1:] == (["3"], "|")
    clocks = [answer for typed, answer in shown.items() if typed.endswith("cat host/clock")]
    waited = [
        [float(side[0].split()[1]) for side in (before, after)] for before, after, _ in clocks[:2]
    ]
    assert [round(b - a, 6) for a, b in zip(*waited, strict=True)] == [0.2, 0]
    refused = shown["echo 0 > sys/devices/system/cpu/cpu5/online"]
    assert refused == (["echo: write error: Device or resource busy"],) * 2 + ("=",)
    (offline,) = (answer for typed, answer in shown.items() if typed.endswith("cpu/online"))
    assert [side[-1] for side in offline[:2]] == ["0-4,6-7", "0-4,6-7"]
    assert "Timed out waiting for MODIFYCHANNEL" in out
    assert shown["ls $devices | wc -l"] == (["15"], ["12"], "|")


def test_a_pipe_gets_plain_text_of_a_hundred_columns(demo: Demo) -> None:
    _, out = demo.run()
    assert re.fullmatch(r"[\x20-\x7e\n]*", out)
    assert max(map(len, out.splitlines())) <= 101
    assert not re.search(r" $", out, re.MULTILINE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("line", ["BEFORE", "$ grep -c", "$ ls"])
def test_a_signal_leaves_nothing_behind(demo: Demo, number: signal.Signals, line: str) -> None:
    status = interrupted(demo.start(), line, number)
    assert status in {128 + number} | ({0} if line == "$ ls" else set())


def test_wrong_usage(demo: Demo) -> None:
    usage = "usage: scripts/demo-before-after [--fast] [--no-setup]\n"
    assert demo.run("--slow") == (2, usage)


def test_without_the_command(demo: Demo) -> None:
    demo.environment["PATH"] = "/usr/bin:/bin"
    status, out = demo.run()
    assert status == 1
    assert out.startswith("demo-before-after: there is no fakeproc in PATH")
