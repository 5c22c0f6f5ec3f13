"""Whatever ends, and however: nothing stays mounted, and nothing goes on running."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import mounts_below

from .runs import FAKEPROC, eventually, processes_of

# A command that leaves things behind: in the background, in a session of its
# own, in a mount namespace of its own, deaf to SIGTERM.
LITTER = """\
sleep 1000 &
setsid sleep 1000 &
unshare --mount sleep 1000 &
(trap '' TERM HUP; while :; do sleep 1; done) &
echo ready
"""


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def daemon_of(runs) -> int:
    (entry,) = (runs.directory / "fakeproc").glob("*.json")
    return json.loads(entry.read_text())["process"][0]


def test_what_runs_in_the_background_ends_with_the_command(any_run) -> None:
    done = any_run("sh", "-c", f"{LITTER} exit 3")
    assert done.returncode == 3
    assert any_run.left_behind() == []  # at once: the front has waited for it


@pytest.mark.parametrize("name", ["KILL", "TERM"])
def test_when_the_front_is_ended(any_run, name) -> None:
    with any_run.started(f"{LITTER} exec sleep 1000") as process:
        assert len(processes_of(any_run.directory)) >= 6
        process.send_signal(getattr(signal, f"SIG{name}"))
        process.wait(timeout=20)
        assert any_run.leaves_nothing()


def test_when_the_front_is_killed_while_the_guest_boots(any_run) -> None:
    for delay in (0.2, 0.4, 0.6, 0.8):
        process = any_run.start("sleep", 1000)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=delay)
        process.kill()
        process.communicate(timeout=20)
        assert any_run.leaves_nothing()


def test_when_the_supervisor_is_killed(any_run) -> None:
    with any_run.started(f"{LITTER} exec sleep 1000") as process:
        (supervisor,) = children_of(process.pid)
        os.kill(supervisor, signal.SIGKILL)
        assert process.wait(timeout=20) == -signal.SIGKILL
        assert any_run.left_behind() == []


def test_when_the_daemon_is_killed_the_command_gets_enotconn(any_run) -> None:
    script = "echo ready; read line; cat /proc/irq/39/smp_affinity || exit 4"
    with any_run.started(script, stdin=subprocess.PIPE) as process:
        os.kill(daemon_of(any_run), signal.SIGKILL)
        _, err = process.communicate("go on\n", timeout=20)
    assert process.returncode == 4
    # The second is for what was under way.
    assert re.search(r"smp_affinity: (Transport endpoint is not connected|.*abort)", err)
    assert "fakeproc: the guest's daemon had died before the command ended\n" in err


BOMB = """
bomb() { [ $1 -gt 0 ] || exec sleep 1000; bomb $(($1 - 1)) & bomb $(($1 - 1)) & wait; }
"""


def test_a_fork_bomb_sleeps_and_ends(run) -> None:
    """Of 64 sleepers and their shells; all sleep at once."""
    uptime = "cut -d' ' -f1 /proc/uptime"
    out = run.shell(f"{BOMB} {uptime}; bomb 6; {uptime}", ["--clock=manual"])
    before, after = map(float, out.split())
    assert after - before == 1000


@pytest.mark.parametrize("clock", ["manual", "real"])
def test_a_fork_bomb_is_killed(any_run, clock) -> None:
    options = [f"--clock={clock}", "--time=guest"]
    # It goes off without end.
    with any_run.started(f"{BOMB} echo ready; while bomb 4; do :; done", options) as process:
        assert eventually(lambda: len(processes_of(any_run.directory)) > 20)
        process.kill()
        process.wait(timeout=20)
        assert any_run.leaves_nothing()


def test_a_program_is_killed_at_any_moment_between_two_programs(run) -> None:
    """While its next program is being executed, while its call waits for an answer."""
    script = "echo ready; while :; do sleep 1; /bin/true; done"
    for _ in range(8):
        with run.started(script, ["--clock=manual"]) as process:
            (supervisor,) = children_of(process.pid)
            command = next(pid for pid in children_of(supervisor) if pid != daemon_of(run))
            for pid in [command, *children_of(command)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert process.wait(timeout=20) == -signal.SIGKILL
            assert process.stderr.read() == ""
            assert run.left_behind() == []


def test_runs_within_runs(any_run) -> None:
    """Each has the files of its own guest; system calls stay those of the outermost."""
    within = [*FAKEPROC, "run", "--profile=hyperv-2socket", "--", "sh", "-c"]
    script = f"nproc; {shlex.join(within)} 'grep -c ^processor /proc/cpuinfo; nproc'; nproc --all"
    done = any_run("sh", "-c", script)
    assert done.stdout.split() == ["8", "16", "8", "8"], done.stderr
    assert any_run.left_behind() == []


def test_a_file_that_is_held_open_does_not_delay_the_end(any_run) -> None:
    done = any_run("sh", "-c", "sleep 1000 < /proc/interrupts & cd /sys/bus/vmbus; echo done")
    assert done.stdout == "done\n"
    assert any_run.left_behind() == []


def test_nothing_is_mounted_outside_meanwhile(run) -> None:
    with run.started("echo ready; sleep 1000"):
        assert mounts_below(run.directory) == []


def test_it_is_listed_and_can_be_unmounted_like_any_other(run) -> None:
    with run.started("echo ready; exec sleep 1000") as process:
        line = fakeproc(run, "list").splitlines()[1]
        mountpoint, profile, pid = line.split("\t")[:3]
        assert (profile, int(pid)) == ("hyperv-gen2", daemon_of(run))
        assert fakeproc(run, "umount", mountpoint) == f"unmounted {mountpoint}\n"
        assert eventually(lambda: not Path(f"/proc/{pid}").exists())
        process.terminate()
        assert process.wait(timeout=20) == -signal.SIGTERM
        assert process.stderr.read() == ""


def test_keep_leaves_the_guest_and_says_where(any_run) -> None:
    # All in one shell: an ordinary user of root's tests has mounts of their own.
    script = f"""
        fakeproc() {{ {shlex.join(FAKEPROC)} "$@"; }}
        fakeproc run --keep -- sh -c 'echo 3 > /proc/irq/39/smp_affinity_list' 2> said
        place=$(sed 's/.* mounted on \\(.*\\); end it with: fakeproc umount .*/\\1/' said)
        cat $place/proc/irq/39/smp_affinity_list
        fakeproc run --mount $place -- cat /proc/irq/39/smp_affinity_list
        fakeproc umount $place >&2
        test ! -e $place  # fakeproc made it
    """
    done = subprocess.run(
        [*any_run.prefix, "sh", "-euc", script],
        env=any_run.environment,
        cwd=any_run.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "3\n3\n"), done.stderr
    place = done.stderr.removeprefix("unmounted ").strip()
    assert (any_run.directory / "said").read_text() == (
        f"fakeproc: the guest is still mounted on {place}; end it with: fakeproc umount {place}\n"
    )


def fakeproc(runs, *words: object) -> str:
    """What `fakeproc` says to the same user."""
    prefix = runs.prefix
    return subprocess.run(
        [*prefix, *FAKEPROC, *map(str, words)],
        env=runs.environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
