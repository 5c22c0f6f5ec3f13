"""`kill -9` of pytest, or of a worker of it, leaves nothing mounted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import REPOSITORY

SLEEPER = """
    import os, time, pathlib

    def test_it(fakeproc_guest, fakeproc_session_guest):
        roots = f"{os.getpid()} {fakeproc_guest.root} {fakeproc_session_guest.root}"
        pathlib.Path(os.environ["SAID"], str(os.getpid())).write_text(roots)
        time.sleep(600)

    def test_other(fakeproc_guest, fakeproc_session_guest):
        test_it(fakeproc_guest, fakeproc_session_guest)
"""


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
def test_nothing_is_left(project, tmp_path, options, group) -> None:
    project.makepyfile(SLEEPER)
    said = tmp_path / "said"
    said.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options],
        cwd=project.path,
        env=os.environ | {"SAID": str(said)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        words = started(said, len(options) or 1)
        roots = [word for word in words if word.startswith("/")]
        assert all(Path(root, "proc/stat").exists() for root in roots)
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        assert until(lambda: not any(Path(root).exists() for root in roots))
        table = Path("/proc/self/mountinfo").read_text()
        assert not any(root in table for root in roots)
    finally:
        process.kill()


def started(said: Path, number: int) -> list[str]:
    assert until(lambda: len([f for f in said.iterdir() if f.stat().st_size]) == number)
    return " ".join(file.read_text() for file in said.iterdir()).split()


def until(holds) -> bool:
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def test_nothing_is_left_of_what_the_command_line_has_mounted(project, tmp_path) -> None:
    """The tests here that are about `fakeproc mount` may be killed like any other."""
    project.makeconftest((REPOSITORY / "mountpoint_tests/conftest.py").read_text())
    project.makepyfile("""
        import os, time, pathlib

        def test_it(mount_guest):
            said = pathlib.Path(os.environ["SAID"], "it")
            said.write_text(str(mount_guest().root))
            time.sleep(600)
    """)
    said = tmp_path / "said"
    said.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest"],
        cwd=project.path,
        env=os.environ
        | {"SAID": str(said), "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY}/mountpoint_tests"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        (root,) = started(said, 1)
        assert Path(root, "proc/stat").exists()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert until(lambda: root not in Path("/proc/self/mountinfo").read_text())
    finally:
        process.kill()
