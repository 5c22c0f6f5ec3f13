"""The life of a mounted guest, and programs that run on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import REPOSITORY

import fakeproc

pytestmark = pytest.mark.usefixtures("_fuse")


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def is_gone(root: str, *pids: int) -> bool:
    """Whether nothing is left: no mount, no directory, no process."""
    mounted = f" {root}/" in Path("/proc/self/mountinfo").read_text()
    return not (mounted or Path(root).exists() or any(map(is_running, pids)))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_guest_is_there_for_a_with_statement() -> None:
    guest = fakeproc.Guest()
    with pytest.raises(fakeproc.FakeprocError, match="use it in a 'with' statement"):
        guest.proc  # noqa: B018
    with guest:
        root, pid = guest.root, guest.pid
        assert sorted(path.name for path in root.iterdir()) == ["host", "proc", "sys"]
        assert (guest.proc / "irq/39/smp_affinity").read_text() == "40\n"
        assert (guest.sys / "devices/system/cpu/online").read_text() == "0-7\n"
        assert (guest.host / "clock").read_text() == "manual 33760.000000\n"
        assert (guest.channel(19) / "cpu").read_text() == "6\n"
        with pytest.raises(LookupError):
            guest.channel(999)
        with pytest.raises(fakeproc.FakeprocError, match="mounted already"):
            guest.open()
    assert is_gone(str(root), pid)
    with guest:  # and once more
        assert guest.root != root


def test_an_error_inside_is_not_hidden_by_one_at_the_end() -> None:
    def fail() -> None:
        with fakeproc.Guest() as guest:
            os.kill(guest.pid, signal.SIGKILL)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def test_a_daemon_that_is_killed_is_a_sentence() -> None:
    guest = fakeproc.Guest().open()
    root, pid = guest.root, guest.pid
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not is_running(pid))
    with pytest.raises(fakeproc.GuestDiedError, match="last words"):
        guest.state()
    with pytest.raises(fakeproc.GuestDiedError):
        guest.interrupt(19)
    with pytest.raises(fakeproc.GuestDiedError, match=f"mounted hyperv-gen2 on {root}"):
        guest.close()
    assert is_gone(str(root))


def test_a_guest_that_is_unmounted_by_hand_is_a_sentence() -> None:
    guest = fakeproc.Guest().open()
    os.kill(guest.pid, signal.SIGTERM)
    files = [guest.proc / "stat", guest.sys / "kernel", guest.host / "log"]
    assert eventually(lambda: not any(map(os.path.exists, files)))  # all three are unmounted
    with pytest.raises(fakeproc.GuestDiedError):
        guest.state()
    with pytest.raises(fakeproc.GuestDiedError):
        guest.close()


HOLDER = """\
import os, sys, time
import fakeproc
one, other = fakeproc.Guest().open(), fakeproc.Guest().open()
held = (one.proc / "stat").open()
keeper = int(open(f"/proc/{one.pid}/stat").read().rpartition(")")[2].split()[1])
print(one.root, other.root, one.pid, other.pid, keeper, flush=True)
"""


def holder(script: str) -> tuple[subprocess.Popen[str], list[str], list[int]]:
    """A process that holds two guests: it, their roots, their daemons and their keeper."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER + script],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        start_new_session=True,
    )
    words = process.stdout.readline().split()
    return process, words[:2], [int(word) for word in words[2:]]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda process, pids: process.kill(), id="killed"),
        pytest.param(lambda process, pids: os.killpg(process.pid, signal.SIGKILL), id="all killed"),
        pytest.param(lambda process, pids: os.kill(pids[2], signal.SIGKILL), id="keeper killed"),
        pytest.param(lambda process, pids: os.kill(pids[2], signal.SIGTERM), id="keeper ended"),
    ],
)
def test_who_dies_leaves_nothing_mounted(end) -> None:
    process, roots, pids = holder("time.sleep(600)")
    try:
        assert all(map(is_running, pids))
        end(process, pids)
        assert eventually(lambda: not any(map(is_running, pids)))
        table = Path("/proc/self/mountinfo").read_text()
        assert not [root for root in roots if f" {root}/" in table]
    finally:
        process.kill()
        process.communicate()
    for root in roots:
        if Path(root).exists():  # an empty directory, where the keeper could not remove it
            Path(root).rmdir()


def test_who_ends_without_closing_leaves_nothing() -> None:
    process, roots, pids = holder("")
    assert process.wait(timeout=60) == 0
    process.stdout.close()
    assert all(is_gone(root, *pids) for root in roots)


def test_a_process_that_forks_has_guests_of_its_own() -> None:
    script = """
if os.fork() == 0:
    with fakeproc.Guest() as mine:
        sys.exit(mine.root == one.root)
assert os.wait()[1] == 0
assert (one.proc / "stat").read_text()
"""
    process, _, _ = holder(script)
    assert process.wait(timeout=60) == 0
    process.stdout.close()


def test_guests_of_several_threads() -> None:
    def work(_: int) -> str:
        with fakeproc.Guest() as guest:
            guest.interrupt(19, 10)
            return (guest.proc / "irq/39/smp_affinity").read_text()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(8))) == {"40\n"}


# -- Programs ----------------------------------------------------------------------------


def test_a_program_finds_the_guest_at_the_real_paths(fakeproc_guest) -> None:
    done = fakeproc_guest.run(
        ["cat", Path("/proc/irq/39/smp_affinity")], capture_output=True, text=True
    )
    assert (done.args[0], done.returncode, done.stdout) == ("cat", 0, "40\n")
    shell = fakeproc_guest.run(
        "echo 3 > /proc/irq/39/smp_affinity_list; exit 7", shell=True, check=False
    )
    assert shell.returncode == 7
    assert fakeproc_guest.state().irqs[39].affinity == (3,)


def test_what_subprocess_raises_is_raised(fakeproc_guest, tmp_path) -> None:
    run = fakeproc_guest.run
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        run(["no-such-program"])
    with pytest.raises(PermissionError):
        run([REPOSITORY / "README.md"])
    with pytest.raises(subprocess.CalledProcessError, match=r"\['false'\].* status 1"):
        run(["false"], check=True)
    with pytest.raises(subprocess.TimeoutExpired, match="while :"):
        run(["sh", "-c", "while :; do :; done"], timeout=1)  # "sleep" sleeps the guest's time
    assert run(["sh", "-c", "kill -TERM $$"]).returncode == -signal.SIGTERM
    program = tmp_path / "here"
    program.write_text("#!/bin/sh\npwd\n")
    program.chmod(0o755)
    assert run(["./here"], cwd=tmp_path, capture_output=True, text=True).stdout == f"{tmp_path}\n"


def test_where_no_program_can_be_run_it_is_a_sentence(fakeproc_guest, monkeypatch) -> None:
    def nowhere(words: list[str]) -> list[str]:
        return [sys.executable, "-c", "import sys; sys.exit('fakeproc: this system forbids it')"]

    monkeypatch.setattr(fakeproc_guest, "_command", nowhere)
    with pytest.raises(fakeproc.CannotRunError, match=r"^this system forbids it$"):
        fakeproc_guest.run(["true"])
