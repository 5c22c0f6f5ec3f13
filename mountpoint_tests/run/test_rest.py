"""When all programs of a run are taken for asleep, so that the guest's time passes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fakeproc.syscalls import rest
from fakeproc.syscalls.rest import Processes, all_at_rest
from fakeproc.syscalls.tasks import children

from .runs import eventually

# Five hundred children, of which one read of /proc gives not all; the last one is busy.
CROWD = """exec /usr/bin/python3 -S -c '
import os, signal
if all(os.fork() for _ in range(500)): os.fork() or [0 for _ in iter(int, 1)]
signal.pause()'"""

SCRIPTS = {
    "exec sleep 100": True,
    "sleep 100 & sleep 100 | sleep 100": True,
    "sleep 100 & kill -STOP $$": True,
    "while :; do :; done": False,
    "(while :; do :; done) & wait": False,
    "sleep 100 & exit": False,  # the supervisor ends what is left
}


@contextmanager
def started(script: str) -> Iterator[Processes]:
    """A command below a supervisor that does nothing for it."""
    supervisor = subprocess.Popen(
        ["/usr/bin/python3", "-S", "-c", SUPERVISOR, script],
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        yield Processes(supervisor.pid, int(supervisor.stdout.readline()))
    finally:
        os.killpg(supervisor.pid, signal.SIGKILL)
        supervisor.communicate()


SUPERVISOR = """
import ctypes, subprocess, signal, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
print(subprocess.Popen(["sh", "-c", sys.argv[1]], stdout=2).pid, flush=True)
signal.pause()
"""


@pytest.mark.parametrize(("script", "is_at_rest"), SCRIPTS.items())
def test_at_rest(script: str, is_at_rest: bool) -> None:
    with started(script) as run:
        settled = eventually(lambda: all_at_rest([run], lambda: False), 10 if is_at_rest else 0.3)
        assert settled == is_at_rest
        assert not all_at_rest([run], lambda: True)


def test_no_process_of_a_crowd_is_overlooked() -> None:
    with started(CROWD) as run:
        assert eventually(lambda: len([*children(run.command)]) == 501)
        (*_, busy) = children(run.command)
        assert not eventually(lambda: all_at_rest([run], lambda: False), 0.3)
        os.kill(busy, signal.SIGSTOP)
        assert eventually(lambda: all_at_rest([run], lambda: False))


def test_who_says_that_it_sleeps_and_is_on_a_cpu_is_not_at_rest(monkeypatch) -> None:
    with started("exec sleep 100") as run:
        assert eventually(lambda: all_at_rest([run], lambda: False))
        monkeypatch.setattr(rest, "is_off_the_cpus", lambda tid: tid != run.command)
        assert not all_at_rest([run], lambda: False)


def test_a_run_whose_supervisor_has_gone_is_not_waited_for() -> None:
    with started("exec sleep 100") as run:
        pass
    assert all_at_rest([run], lambda: False)
