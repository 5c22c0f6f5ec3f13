"""scripts/demo: what it shows is what the documentation prints, and nothing of it stays."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import REPOSITORY, CommandLine, mounts_below

TRANSCRIPT = re.compile(r"<!-- transcript: scripts/demo -->\n```console\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Demo:
    """scripts/demo without set-up, its temporary files in a directory of its own."""

    directory: Path
    environment: dict[str, str]

    def start(self, *options: str, **more: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [REPOSITORY / "scripts/demo", "--no-setup", *options],
            **{
                "env": self.environment,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.STDOUT,
                "text": True,
                **more,
            },
        )

    def run(self, *options: str, **more: object) -> subprocess.CompletedProcess[str]:
        process = self.start(*options, **more)
        try:
            out, _ = process.communicate(timeout=120)
        finally:
            process.kill()  # only if it hangs
        return subprocess.CompletedProcess(process.args, process.returncode, out)

    def assert_nothing_is_left(self) -> None:
        assert list(self.directory.iterdir()) == []
        assert mounts_below(self.directory) == []
        assert processes_of(self.directory) == []


def processes_of(directory: Path) -> list[str]:
    """What runs with a path in the directory among its arguments or its environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:  # it ended, or is not ours
            continue
        if os.fsencode(f"{directory}/") in text and int(process.name) != os.getpid():
            found.append(text.decode(errors="replace"))
    return found


@pytest.fixture
def demo(_fuse: None, cli: CommandLine, tmp_path: Path) -> Iterator[Demo]:
    programs, temporary = tmp_path / "bin", tmp_path / "tmp"
    programs.mkdir()
    temporary.mkdir()
    command = programs / "fakeproc"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fakeproc "$@"\n')
    command.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    environment = cli.environment | {"PATH": path, "TMPDIR": str(temporary)}
    environment.pop("NO_COLOR", None)
    made = Demo(temporary, environment)
    yield made
    made.assert_nothing_is_left()


def stripped(text: str) -> list[str]:
    """Lines without the blanks at their ends, which a text editor may take away."""
    return [line.rstrip() for line in text.splitlines()]


def test_the_readme_has_what_the_demo_prints(demo: Demo) -> None:
    done = demo.run()
    assert done.returncode == 0, done.stdout
    transcript = TRANSCRIPT.search((REPOSITORY / "docs/demonstration.md").read_text())
    assert transcript
    assert stripped(done.stdout) == stripped(transcript[1])


def test_a_pipe_gets_plain_text_of_a_hundred_columns(demo: Demo) -> None:
    out = demo.run().stdout
    assert re.fullmatch(r"[\x20-\x7e\n]*", out)
    assert max(map(len, out.splitlines())) <= 100


def interrupted(process: subprocess.Popen[str], line: str, number: signal.Signals) -> int:
    """The exit status, where a signal is sent as soon as a line begins so."""
    assert process.stdout
    for printed in process.stdout:
        if printed.startswith(line):
            process.send_signal(number)
            break
    try:
        process.communicate(timeout=60)
    finally:
        process.kill()  # only if it hangs
    return process.returncode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("line", ["$ fakeproc mount", "$ cut ", "$ echo 2 ", "$ fakeproc umount"])
def test_a_signal_leaves_nothing_behind(demo: Demo, number: signal.Signals, line: str) -> None:
    status = interrupted(demo.start(), line, number)
    # It may have been quicker with the last step than the signal.
    assert status in {128 + number} | ({0} if "umount" in line else set())


def test_a_reader_who_leaves_leaves_nothing_behind(demo: Demo) -> None:
    process = demo.start()
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    process.wait(timeout=60)
    assert process.returncode != 0


def on_a_terminal(demo: Demo, *options: str, keys: bytes = b"", **environment: str) -> str:
    """What a terminal receives; `keys` are pressed at every pause."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", REPOSITORY / "scripts/demo", "--no-setup", *options],
        env=demo.environment | {"TERM": "xterm"} | environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    received = b""
    quiet_since = time.monotonic()
    try:
        while True:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    received += os.read(ours, 65536)
                except OSError:  # the other side is closed
                    break
                quiet_since = time.monotonic()
            elif keys and time.monotonic() - quiet_since > 0.3:
                os.write(ours, keys)
                quiet_since = time.monotonic()
        process.wait(timeout=60)
    finally:
        process.kill()  # only if it hangs
        os.close(ours)
    return received.decode().replace("\r\n", "\n")


def test_colours_on_a_terminal(demo: Demo) -> None:
    out = on_a_terminal(demo, "--fast")
    assert "\x1b[1m$ fakeproc umount guest\x1b[0m" in out
    assert re.search(r"\x1b\[31mbash: line 1: echo: write error: Value too large", out)
    assert out.endswith("$ rmdir guest\x1b[0m\n\x1b[0m")  # whatever it was in the middle of


def test_no_color_is_respected(demo: Demo) -> None:
    assert "\x1b" not in on_a_terminal(demo, "--fast", NO_COLOR="1")


def test_ctrl_c_in_a_pause(demo: Demo) -> None:
    out = on_a_terminal(demo, keys=b"\x03")
    assert "$ fakeproc mount --clock manual guest" in out
    assert "$ fakeproc umount guest" not in out


def test_a_key_ends_a_pause(demo: Demo) -> None:
    """No pause of an hour is waited for."""
    assert "$ rmdir guest" in on_a_terminal(demo, keys=b" ", pause="3600")


def test_a_step_that_goes_wrong_is_said(demo: Demo) -> None:
    """As on a machine where this user may not mount."""
    command = Path(demo.environment["PATH"].split(":")[0]) / "fakeproc"
    command.write_text("#!/bin/sh\necho fakeproc: it cannot be done >&2\nexit 1\n")
    done = demo.run()
    assert done.returncode == 1
    assert done.stdout.endswith("it cannot be done\ndemo: that was meant to work\n")


def test_without_the_command(demo: Demo) -> None:
    demo.environment["PATH"] = "/usr/bin:/bin"
    done = demo.run()
    assert done.returncode == 1
    assert done.stdout.startswith("demo: there is no fakeproc in PATH")


def test_wrong_usage(demo: Demo) -> None:
    done = demo.run("--slow")
    assert (done.returncode, done.stdout) == (2, "usage: scripts/demo [2] [--fast] [--no-setup]\n")
