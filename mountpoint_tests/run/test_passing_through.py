"""What goes through `fakeproc run` as if it were not there: streams, signals, status, terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .runs import FAKEPROC, eventually

DEFAULT = "hyperv-gen2"

# Says which signals it gets, and ends on TERM.
LISTENER = """\
for name in HUP INT QUIT USR1 USR2 WINCH; do trap "echo $name" $name; done
trap 'echo TERM; exit 7' TERM
echo ready
while :; do sleep 0.02; done
"""


# -- Streams, directory, environment -------------------------------------------------


def test_the_streams_are_the_commands(any_run) -> None:
    done = any_run("sh", "-c", "cat; echo wrong >&2", given="a\nb\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\nb\n", "wrong\n")


def test_a_pipe_that_is_closed_ends_the_command(run) -> None:
    process = run.start("yes")
    assert process.stdout.readline() == "y\n"
    process.stdout.close()
    assert process.wait(timeout=20) == -signal.SIGPIPE
    process.stderr.close()


def test_descriptors_that_are_open_stay_open(run, tmp_path) -> None:
    given = os.open(tmp_path / "given", os.O_RDWR | os.O_CREAT)
    try:
        done = run("bash", "-c", f"echo written >&{given}", pass_fds=[given])
    finally:
        os.close(given)
    assert done.returncode == 0
    assert (tmp_path / "given").read_text() == "written\n"


def test_the_working_directory_stays(any_run) -> None:
    assert any_run("pwd", "-P", cwd="/usr/bin").stdout == "/usr/bin\n"


def test_a_working_directory_in_sys_is_the_guests(any_run) -> None:
    done = any_run("cat", "online", cwd="/sys/devices/system/cpu")
    assert done.stdout == "0-7\n"


def test_the_environment_says_where_the_guest_is(any_run) -> None:
    out = any_run.shell(
        'echo "$FAKEPROC"; cat "$FAKEPROC/proc/irq/39/smp_affinity"; ls "$FAKEPROC/host";'
        " echo $SYSTEMD_DEVICE_VERIFY_SYSFS"
    )
    assert re.fullmatch(r"/.*\n40\n(?s:.*)state.json\n(?s:.*)\n0\n", out)


# -- Exit status -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 3, 255])
def test_the_exit_status_is_the_commands(run, status) -> None:
    assert run("sh", "-c", f"exit {status}").returncode == status


@pytest.mark.parametrize("name", ["TERM", "INT", "KILL", "SEGV", "RTMIN"])
def test_it_dies_of_the_signal_that_the_command_died_of(run, name) -> None:
    done = run("sh", "-c", f"ulimit -c 0; kill -{name} $$")
    assert -done.returncode == getattr(signal, f"SIG{name}")


def test_programs_in_sbin_are_found_with_the_path_of_an_ordinary_user(any_run, monkeypatch) -> None:
    """As Debian has it: who followed the README without root found no irqbalance."""
    monkeypatch.setenv("PATH", "/usr/bin:/sbin:/bin")
    done = any_run.shell("echo $PATH")
    assert done.endswith("/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/sbin\n")


def test_what_is_not_there_is_127(any_run) -> None:
    done = any_run("/nonexistent/program")
    assert done.returncode == 127
    assert done.stderr == "fakeproc: /nonexistent/program: No such file or directory\n"


def test_what_cannot_be_executed_is_126(any_run) -> None:
    done = any_run("/etc/passwd")
    assert done.returncode == 126
    assert done.stderr == "fakeproc: /etc/passwd: Permission denied\n"


def test_a_script_that_names_no_interpreter_is_the_shells(run, tmp_path) -> None:
    script = tmp_path / "script"
    script.write_text("echo by $0 $1\n")
    script.chmod(0o755)
    assert run(script, "one").stdout == f"by {script} one\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--profile", "nosuch"], "no profile is called 'nosuch'"),
        (["--profile", "/nonexistent.toml"], "/nonexistent.toml: No such file"),
        (["--clock", "wall"], "Invalid value for '--clock'"),
        (["--mount", "/tmp", "--keep"], "with --mount the guest is there already"),
        (["--mount", "/tmp", "--clock", "real"], "with --mount the guest is there already"),
        (["--wrong"], "No such option"),
    ],
)
def test_what_is_wrong_is_2_and_runs_nothing(run, options, said) -> None:
    done = run("echo", "hello", options=options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_options_end_with_the_command(run) -> None:
    process = subprocess.run(
        [*FAKEPROC, "run", "echo", "--keep", "--help"],
        env=run.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout == "--keep --help\n"


# -- Signals ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "USR1", "USR2", "WINCH"])
def test_a_signal_to_the_front_is_the_commands(run, name) -> None:
    with run.started(LISTENER) as process:
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert process.stdout.readline() == f"{name}\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "TERM\n"
        assert process.wait(timeout=20) == 7


def test_a_signal_while_the_guest_boots_is_not_lost(any_run) -> None:
    for delay in (0.5, 0.7, 0.9):
        process = any_run.start("sleep", 60)
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        # Before there is a command it is the front itself that dies of it.
        assert process.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)
        assert any_run.leaves_nothing()


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_a_signal_before_there_is_a_command_ends_the_run_and_leaves_nothing(run, name) -> None:
    """As a terminal sends it: to the front, when nobody else is there."""
    script = f"""
import os, signal, sys
from fakeproc.run import private_guest
start = private_guest.PrivateGuest.__init__
def interrupted(self, machine):
    start(self, machine)
    os.kill(os.getpid(), signal.SIG{name})
private_guest.PrivateGuest.__init__ = interrupted
signal.signal(signal.SIG{name}, signal.SIG_DFL)
sys.argv = ["fakeproc", "run", "--", "echo", "never"]
from fakeproc.cli.main import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=run.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (-getattr(signal, f"SIG{name}"), "")
    assert run.leaves_nothing()


def test_stopping_and_continuing_goes_through(run) -> None:
    counting = "echo ready; while :; do echo .; sleep 0.02; done"
    # A group of its own, as a shell gives it one: in a group that nobody is
    # there to continue (pytest's own may be such) the kernel stops nothing.
    with run.started(counting, process_group=0) as process:
        process.send_signal(signal.SIGTSTP)
        assert eventually(lambda: state_of(process.pid) == "T")
        process.send_signal(signal.SIGCONT)
        assert eventually(lambda: os.read(process.stdout.fileno(), 1) == b".")
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=20) == -signal.SIGTERM


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def test_what_nohup_ignores_stays_ignored(run) -> None:
    done = run("sh", "-c", "kill -HUP $$; echo alive", preexec_fn=_ignore_hangups)
    assert done.stdout == "alive\n"


def _ignore_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


# -- The terminal ------------------------------------------------------------------------


def test_the_terminal_is_the_commands(any_run) -> None:
    with any_run.terminal("sh", "-c", "$RUN -- sh -c 'tty; stty size'") as terminal:
        terminal.expect(r"/dev/pts/\d+\n\d+ \d+\n")


def test_control_c_reaches_the_command_once(any_run) -> None:
    with any_run.terminal("bash", "-c", f"$RUN -- sh -c '{LISTENER_OF_INT}'; echo status $?") as at:
        at.expect("ready\n")
        at.type("\x03")
        at.expect("got INT\n")
        time.sleep(0.3)
        at.type("\x03")
        at.expect("got INT\n")
        at.type("\x1c")
        at.expect("counted 2\n")
        at.expect("status 9\n")


LISTENER_OF_INT = """\
trap "n=\\$((n + 1)); echo got INT" INT; trap "echo counted \\$n; exit 9" QUIT
echo ready; while :; do sleep 0.02; done
"""


def test_control_c_ends_a_command_that_does_not_mind(run) -> None:
    with run.terminal("sh", "-c", "trap : INT; $RUN -- cat; echo status $?") as at:
        at.type("hello\n")
        at.expect("hello\nhello\n")
        at.type("\x03")
        at.expect("status 130\n")


def test_control_z_and_fg(any_run) -> None:
    with any_run.terminal("bash", "--norc", "-i", PS1="> ") as at:
        at.type("$RUN -- sh -c 'echo read''y; exec cat'\n")
        at.expect("ready\n")
        at.type("one\n")
        at.expect("one\none\n")
        at.type("\x1a")
        at.expect("Stopped")
        at.type("fg\n")
        at.expect("fg\n.*exec cat'\n")
        at.type("two\n")
        at.expect("two\ntwo\n")
        at.type("\x04")
        at.type("echo status $?\n")
        at.expect("status 0\n")


# -- The shell -----------------------------------------------------------------------------


def test_without_a_command_there_is_a_shell_that_says_where_one_is(any_run, tmp_path) -> None:
    shell = {"SHELL": "/bin/bash", "HOME": "/nonexistent"}
    with any_run.terminal("sh", "-c", "$RUN; echo status $?", **shell) as at:
        at.expect(f"/proc and /sys are those of {DEFAULT}, .*leave with 'exit'\n")
        at.expect(re.escape(f"(fakeproc {DEFAULT}) "))
        at.type("cat /sys/devices/system/cpu/online\n")
        at.expect("0-7\n")
        at.type("sh -c 'echo slee''ping; exec sleep 60'\n")
        at.expect("sleeping\n")
        at.type("\x1a")
        at.expect("Stopped")
        at.type("exit 5\nexit 5\n")
        at.expect("status 5\n")


def test_another_shell_gets_the_prompt_from_its_environment(run) -> None:
    with run.terminal("sh", "-c", "$RUN", SHELL="/bin/sh", PS1="% ") as at:
        at.expect(re.escape(f"(fakeproc {DEFAULT}) % "))
        at.type("exit\n")
