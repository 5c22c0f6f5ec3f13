"""Daemons on a guest: `Guest.running`."""

from __future__ import annotations

import signal
import subprocess
from contextlib import suppress

import pytest

from fakeproc import FakeprocError, Guest

DAEMON = """
trap 'echo ended; exit 3' TERM
trap 'echo heard' HUP
echo started with $(wc -l < /proc/interrupts) rows
while :; do tail -f /dev/null & wait; kill $!; done
"""


@pytest.fixture
def daemon(fakeproc_guest: Guest):
    with fakeproc_guest.running(["sh", "-c", DAEMON]) as program:
        program.wait_for("started")
        yield program


def test_a_daemon_runs_until_the_end_of_the_with_statement(fakeproc_guest) -> None:
    rows = len(fakeproc_guest.read("/proc/interrupts").splitlines())
    with fakeproc_guest.running(["sh", "-c", DAEMON]) as program:
        assert program.wait_for(r"started with (\d+) rows")[1] == str(rows)
        assert program.returncode is None
        program.send_signal(signal.SIGHUP)
        program.wait_for("heard")
    assert program.returncode == 3
    assert program.output.splitlines()[1:] == ["heard", "ended"]


def test_stop_says_how_it_has_ended(daemon) -> None:
    assert daemon.stop() == daemon.stop() == 3
    assert repr(daemon) == "<fakeproc.Program sh, ended with 3>"


def test_what_does_not_end_by_a_signal_is_killed(fakeproc_guest) -> None:
    script = "trap '' TERM; echo on; exec tail -f /dev/null"
    with fakeproc_guest.running(["sh", "-c", script]) as program:
        program.wait_for("on")
        assert program.stop(timeout=0.2) == -signal.SIGKILL
    assert fakeproc_guest.exists("/proc/interrupts")


def test_it_may_end_by_itself(fakeproc_guest, tmp_path) -> None:
    script = "echo $NAME; pwd; echo no >&2; exit 4"
    options = {"env": {"NAME": "name"}, "cwd": tmp_path}
    with fakeproc_guest.running(["sh", "-c", script], **options) as program:
        assert program.wait(60) == 4
    assert (program.returncode, program.output) == (4, f"name\n{tmp_path}\nno\n")


def test_a_wait_for_words_that_never_come(daemon, fakeproc_guest) -> None:
    with pytest.raises(TimeoutError, match="'never'; its last words:\nstarted with"):
        daemon.wait_for("never", timeout=0)
    with (
        fakeproc_guest.running(["echo", "words"]) as program,
        pytest.raises(FakeprocError, match=r"echo has ended \(0\) and .*last words:\nwords"),
    ):
        program.wait_for("never")


def test_what_is_used_wrongly(fakeproc_guest, tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        fakeproc_guest.running(["no-such-program"])
    program = fakeproc_guest.running(["true"])
    with pytest.raises(FakeprocError, match="true was not started: use it in a 'with' statement"):
        program.stop()
    with program:
        program.wait(60)
    with pytest.raises(FakeprocError, match="true was started already"), program:
        pass
    with (
        fakeproc_guest.running(["tail", "-f", "/dev/null"]) as program,
        pytest.raises(subprocess.TimeoutExpired),
    ):
        program.wait(0)


def test_a_daemon_on_a_held_clock_sleeps_until_the_time_is_moved(fakeproc_guest) -> None:
    fakeproc_guest.clock("hold")
    start = float(fakeproc_guest.read("/proc/uptime").split()[0])
    script = "echo on; sleep 3600; cut -d. -f1 /proc/uptime"
    with fakeproc_guest.running(["sh", "-c", script]) as program:
        program.wait_for("on")
        assert float(fakeproc_guest.read("/proc/uptime").split()[0]) == start
        while program.returncode is None:  # it may not have begun to sleep the first time
            fakeproc_guest.advance(3600)
            with suppress(subprocess.TimeoutExpired):
                program.wait(1)
    assert int(program.output.split()[1]) >= start + 3600
