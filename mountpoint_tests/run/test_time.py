"""In a run on a manual clock time is the guest's: it passes at once when all programs sleep."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from contextlib import ExitStack

import pytest

from .runs import built

MANUAL = ["--clock=manual"]
BOOTED = 1_717_390_800  # 3 June 2024, 05:00 UTC: when the guests of a manual clock boot

# Each line waits in another way, with another process or thread to end it or without;
# after it the seconds that have passed since the beginning.
WAITS = {
    "time.sleep(5)": 5,
    "threading.Event().wait(5)": 5,
    "threading.Timer(3, event.set).start(); event.wait(50)": 3,
    "threading.Timer(3, lambda: os.write(w, b'x')).start(); select.select([r], [], [], 50)": 3,
    "threading.Timer(3, lambda: os.write(w, b'x')).start(); poll(r).poll(50_000)": 3,
    "threading.Timer(3, lambda: os.write(w, b'x')).start(); epoll(r).poll(50)": 3,
    "select.select([r], [], [], 5)": 5,
    "poll(r).poll(5000)": 5,
    "epoll(r).poll(5)": 5,
    "signal.alarm(5); signal.pause()": 5,
    "signal.setitimer(signal.ITIMER_REAL, 1, 2); [signal.pause() for _ in range(3)]": 5,
    "signal.sigtimedwait([signal.SIGUSR1], 5)": 5,
    "subprocess.run(['sleep', '5'])": 5,
    "subprocess.run(['timeout', '5', 'sleep', '50'])": 5,
    "subprocess.run(['sh', '-c', 'sleep 3 & sleep 2; wait'])": 3,
    "expire(subprocess.run, ['sleep', '50'], timeout=5)": 5,
    "asyncio.run(asyncio.wait_for(asyncio.sleep(5), 50))": 5,
    "threading.Timer(5, os.kill, (os.getpid(), signal.SIGALRM)).start(); time.sleep(9)": 9,
    "timerfd(5); timerfd(1, 1)": 6,
    "fd = timerfd(1, 1); time.sleep(2.5); expirations(fd, 2); expirations(fd, 1)": 4,
    "time.sleep(0)": 0,
    "select.select([], [], [], 0)": 0,
}

WAIT = """
import asyncio, ctypes, os, select, signal, struct, subprocess, threading, time
event, (r, w) = threading.Event(), os.pipe()
signal.signal(signal.SIGALRM, lambda *_: None)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
def poll(fd):
    poll = select.poll(); poll.register(fd, select.POLLIN); return poll
def epoll(fd):
    epoll = select.epoll(); epoll.register(fd, select.EPOLLIN); return epoll
def expire(call, *words, timeout):
    try: call(*words, timeout=timeout)
    except subprocess.TimeoutExpired: return
    raise AssertionError
def timerfd(seconds, interval=0):
    libc = ctypes.CDLL(None)
    fd = libc.timerfd_create(time.CLOCK_MONOTONIC, 0)
    libc.timerfd_settime(fd, 0, struct.pack("4q", interval, 0, seconds, 0), None)
    expirations(fd, 1)
    return fd
def expirations(fd, number):
    assert os.read(fd, 8) == struct.pack("Q", number)
begin = time.monotonic()
{wait}
print(round(time.monotonic() - begin, 6))
"""


def python(text: str) -> str:
    """A command of the shell's that runs this."""
    return f"/usr/bin/python3 -c {shlex.quote(text)}"


@pytest.mark.parametrize("wait", WAITS)
def test_a_wait_takes_the_guests_time(run, wait) -> None:
    out = run.shell(python(WAIT.replace("{wait}", wait)), MANUAL)
    assert float(out) == pytest.approx(WAITS[wait], abs=1e-3)


def test_an_hour_of_sleep(any_run) -> None:
    script = "date +%s; sleep 3600; date +%s; cut -d ' ' -f 1 /proc/uptime; busybox uptime"
    begun, ended, uptime, said = any_run.shell(script, MANUAL).splitlines()
    assert int(ended) - int(begun) == 3600
    assert float(uptime) == pytest.approx(int(ended) - BOOTED, abs=1.01)
    hours, minutes = divmod(int(float(uptime)) // 60, 60)
    assert f"up {hours:2d}:{minutes:02d}" in said


SLEEP_C = """\
#include <stdio.h>
#include <time.h>
int main(void) {
    struct timespec before, after, hour = {3600, 0};
    clock_gettime(CLOCK_BOOTTIME, &before); nanosleep(&hour, 0);
    clock_gettime(CLOCK_BOOTTIME, &after);
    printf("%ld %ld\\n", after.tv_sec - before.tv_sec, time(0));
}
"""

SLEEP_GO = """\
package main

import ("fmt"; "time")

func main() {
    before := time.Now()
    go time.Sleep(time.Minute)
    time.Sleep(time.Hour)
    fmt.Println(int(time.Since(before).Seconds()), time.Now().Unix())
}
"""


@pytest.mark.parametrize(
    ("name", "text", "command"),
    [
        ("sleep.c", SLEEP_C, ("gcc",)),
        ("sleep.c", SLEEP_C, ("gcc", "-static")),
        ("sleep.go", SLEEP_GO, ("go", "build")),
    ],
    ids=["dynamic", "static", "go"],
)
def test_the_vdso_is_hidden_from(any_run, programs, name, text, command) -> None:
    program = built(programs, name, text, *command)
    passed, now = any_run.shell(f"{program}; date +%s", MANUAL).split("\n")[0].split()
    assert int(passed) == 3600
    assert 0 <= int(now) - BOOTED < 24 * 3600


def test_two_programs_take_turns(run) -> None:
    """Each second of the one falls between two of the other, however fast the computer is."""
    script = (
        "for i in 1 2 3 4 5; do sleep 1; echo one; done & "
        "sleep 0.5; for i in 1 2 3 4 5; do sleep 1; echo other; done; wait"
    )
    assert run.shell(script, MANUAL) == "one\nother\n" * 5


def test_time_stands_still_while_something_is_done(run) -> None:
    out = run.shell("date +%s%N; sleep 7 & seq 300000 | md5sum >/dev/null; date +%s%N", MANUAL)
    assert len(set(out.split())) == 1


def test_the_guests_own_events_come_when_all_sleep(run) -> None:
    offer = "echo scsi relid=99 > $FAKEPROC/host/offer"
    script = f"{offer}; sleep 1; ls -d /sys/bus/vmbus/devices/*/channels/99"
    assert "channels/99" in run.shell(script, MANUAL)


def test_the_rate_of_a_real_clock(run) -> None:
    script = "echo rate 3600 > $FAKEPROC/host/clock; date +%s; sleep 1800; date +%s"
    begun = time.monotonic()
    before, after = run.shell(script, ["--time=guest"]).split()
    assert 1800 <= int(after) - int(before) < 1800 + 3600 * (time.monotonic() - begun)


def test_the_hosts_time_on_demand(run) -> None:
    out = run.shell("date +%s; cat /proc/uptime; sleep 0.01; cat /proc/uptime",
                    ["--clock=manual", "--time=host"]).splitlines()  # fmt: skip
    assert abs(int(out[0]) - time.time()) < 60
    assert out[1] == out[2]


def test_a_debugger_works_and_nothing_is_traced(any_run) -> None:
    out = any_run.shell("grep TracerPid /proc/self/status; strace -o /dev/null true", MANUAL)
    assert out == "TracerPid:\t0\n"


@pytest.mark.parametrize("signal", ["TERM", "KILL", "INT"])
def test_a_sleeping_program_is_killed(any_run, signal) -> None:
    """Though another one keeps time from passing."""
    script = (
        "while :; do :; done & busy=$!; sleep 1000 & sleeper=$!; (sh -c 'echo on; :'); "
        # A job that is not yet the program it becomes does not ignore what that ignores.
        "until grep -qx sleep /proc/$sleeper/comm; do :; done; "
        f"kill -{signal} $sleeper; kill $busy; wait $sleeper; echo $?"
    )
    status = {"TERM": "143", "KILL": "137", "INT": "0"}[signal]  # ignored in the background
    assert any_run("sh", "-uc", script, options=MANUAL).stdout == f"on\n{status}\n"


def test_a_sleep_goes_on_after_a_stop(run) -> None:
    script = (
        "begun=$(date +%s); sleep 100 & sleep 1; kill -STOP $!; sleep 1; kill -CONT $!; wait; "
        "echo $(($(date +%s) - begun))"
    )
    assert run.shell(script, MANUAL) == "100\n"


def test_what_cannot_be_executed_fails_as_ever(any_run) -> None:
    done = any_run("sh", "-c", "nonsense; /etc/passwd; exec 2>&1; /usr/bin/env nonsense; echo $?",
                   options=MANUAL)  # fmt: skip
    assert done.stdout.splitlines()[-1] == "127"
    assert any_run("nonsense", options=MANUAL).returncode == 127


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        ("vmstat 600 6", r"(?m)^ ?\d+ +\d+ .* (8\d{3}|9\d{3}) +\d+"),
        ("mpstat -P ALL 60 5", "(?m)^Average: +7 "),
        ("sar 60 3", "(?m)^Average: +all "),
    ],
)
def test_tools_that_wait_between_looks(any_run, command, lines) -> None:
    script = f"echo all 380 > $FAKEPROC/host/traffic; {command}; cut -d ' ' -f 1 /proc/uptime"
    before = float(any_run.shell("cut -d ' ' -f 1 /proc/uptime", MANUAL))
    out = any_run.shell(script, MANUAL)
    assert re.search(lines, out), out
    waited = {"vmstat": 3000, "mpstat": 300, "sar": 180}[command.split()[0]]
    assert float(out.split()[-1]) - before == pytest.approx(waited, abs=1.5)


def test_no_time_passes_before_all_have_gone_to_sleep(run) -> None:
    """Time once went on while a program that a signal or a child's end had woken had not run.

    The shell says that it sleeps before it looks whether a child has ended (`do_wait`).
    """
    script = """
        for i in $(seq 0 24); do echo "+$i.05 read host/clock"; done > $FAKEPROC/host/at
        for i in $(seq 25); do timeout 1 sleep 100 || :; cat $FAKEPROC/host/clock; done
    """
    with ExitStack() as at_the_end:
        for _ in range(4):  # a machine that is busy lets it wait
            busy = at_the_end.enter_context(subprocess.Popen(["sh", "-c", "while :; do :; done"]))
            at_the_end.callback(busy.kill)
        clock = run.shell(script, MANUAL).splitlines()
    assert clock == [f"manual {33761 + i}.000000" for i in range(25)]


def test_no_time_passes_when_the_command_has_ended(run) -> None:
    """What it leaves behind, deaf to SIGTERM, went on for as long as it took to end it."""
    looks = "(trap '' TERM HUP; while sleep 1; do cat $FAKEPROC/host/clock; done) &"
    assert len(run.shell(f"{looks} sleep 3.5", MANUAL).splitlines()) == 3


HOUR = """\
echo all 500 poisson > $FAKEPROC/host/traffic
echo on > $FAKEPROC/host/accesses
timeout 3600 irqbalance --foreground -t 10 || [ $? = 124 ]
cut -f 1,3- $FAKEPROC/host/accesses
"""


def test_irqbalance_does_the_same_in_every_hour(run) -> None:
    """The record of accesses: all of it but the number of the process."""
    options = ["--clock=manual", "--profile=hyperv-2socket"]
    one, other = run.shell(HOUR, options), run.shell(HOUR, options)
    assert one == other
    writes = [line for line in one.splitlines() if "\twrite\t" in line]
    assert float(one.splitlines()[-1].split()[0]) >= 3600
    assert any("smp_affinity" in line for line in writes)
    assert one.count("\topen\t/proc/interrupts") >= 350


def test_no_time_passes_between_the_end_of_a_write_that_slept_and_its_answer(run) -> None:
    """What was planned for later came before the program knew that its write had ended."""
    script = """
        for i in 1 2 3 4 5 6 7 8; do echo "+$i.4 read host/clock" > $FAKEPROC/host/at; done
        for cpu in 1 2 3 4 5; do
            echo 0 > /sys/devices/system/cpu/cpu$cpu/online
            sleep 1
            echo 1 > /sys/devices/system/cpu/cpu$cpu/online
        done
        cat $FAKEPROC/host/clock
    """
    out = run.shell(script, [*MANUAL, "--kernel=6.18"])  # which moves the channels, and waits
    assert re.fullmatch(r"manual 33765\.00\d{4}\n", out)
