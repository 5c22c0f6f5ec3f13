"""Several runs at a time: on two guests they are apart, on one they agree."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from .runs import FAKEPROC

# As one who is in a run already says it.
WITHIN = shlex.join([*FAKEPROC, "run"])

MASK = "/proc/irq/39/smp_affinity"
ANSWERING = f"""\
echo ready
while read -r mask; do [ "$mask" = - ] || echo $mask > {MASK}; cat {MASK}; done
"""


def ask(process: subprocess.Popen[str], mask: str = "-") -> str:
    """Let a run write a mask, or none, and say what there is then."""
    process.stdin.write(f"{mask}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_two_runs_have_two_guests(any_run) -> None:
    with (
        any_run.started(ANSWERING, stdin=subprocess.PIPE) as one,
        any_run.started(ANSWERING, stdin=subprocess.PIPE) as other,
    ):
        assert (ask(one, "02"), ask(other, "04")) == ("02", "04")
        assert (ask(one), ask(other)) == ("02", "04")


def test_two_windows_on_one_guest_agree(any_run) -> None:
    with (
        any_run.started(
            f'echo "$FAKEPROC" >&2; {ANSWERING}', stdin=subprocess.PIPE, options=["--clock=manual"]
        ) as one,
        any_run.started(
            ANSWERING,
            stdin=subprocess.PIPE,
            options=["--mount", one.stderr.readline().strip()],
        ) as other,
    ):
        assert (ask(one, "02"), ask(other)) == ("02", "02")
        assert (ask(other, "04"), ask(one)) == ("04", "04")


def test_a_window_on_a_mounted_guest(run, mount_guest) -> None:
    guest = mount_guest("--clock", "manual")
    options = ["--mount", guest.root]
    assert run("cat", MASK, options=options).stdout == "40\n"
    run.shell(f"echo 10 > {MASK}; echo advance 1 > $FAKEPROC/host/clock", options)
    assert (guest.root / MASK.lstrip("/")).read_text() == "10\n"
    state = json.loads((guest.host / "state.json").read_text())
    assert state["irqs"]["39"]["effective_affinity"] == [4]
    assert guest.is_mounted


def test_a_cpu_that_goes_offline_goes_in_every_window(run, mount_guest) -> None:
    options = ["--mount", mount_guest("--clock", "manual").root]
    online = "/sys/devices/system/cpu/online"
    with run.started("echo ready; read x; nproc --all; cat " + online, stdin=subprocess.PIPE,
                     options=options) as other:  # fmt: skip
        run.shell("echo 0 > /proc/irq/40/smp_affinity_list", options)
        run.shell("echo 0 > /sys/devices/system/cpu/cpu7/online", options)
        assert other.communicate("\n")[0] == "8\n0-6\n"


def test_a_guest_within_a_guest(any_run) -> None:
    out = any_run.shell(
        f"echo 02 > {MASK}; {WITHIN} -- sh -c 'cat {MASK}; echo 08 > {MASK}'; cat {MASK}"
    )
    assert out == "40\n02\n"


@pytest.mark.parametrize("place", ["/tmp", "/nonexistent", "/proc"])
def test_a_window_on_nothing_is_a_sentence(run, place) -> None:
    done = run("true", options=["--mount", place])
    assert done.returncode == 1
    sentence = f"fakeproc: {place} is not a fakeproc mount (see 'fakeproc list')\n"
    assert done.stderr == sentence


def test_a_window_on_what_a_daemon_left_is_a_sentence(run, mount_guest) -> None:
    guest = mount_guest()
    os.kill(guest.pid, signal.SIGKILL)
    done = run("true", options=["--mount", guest.root])
    assert done.returncode == 1
    assert "has died" in done.stderr or "cannot bind" in done.stderr
    assert guest.cli("umount", guest.root).returncode == 0


@pytest.mark.usefixtures("_as_root")
def test_a_window_on_somebody_elses_guest_is_a_sentence(user_run, mount_guest) -> None:
    guest = mount_guest()
    Path(guest.root).parent.chmod(0o755)
    done = user_run("true", options=["--mount", guest.root])
    assert done.returncode == 1
    assert re.fullmatch(r"fakeproc: .*\n", done.stderr), done.stderr
