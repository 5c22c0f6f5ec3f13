"""A write that sleeps lets others in: what one process does in the middle of another's write.

Where `host/clock` is held, or time passes by itself, a write that takes machine time
really sleeps.  Each test is of real system calls, on kernels with and without the series.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from conftest import CliGuest

import fakeproc

SERIES = ["rfc", "rfc-as-posted"]
STOCK = ["6.12", "7.2"]
WITH_THE_SERIES = pytest.mark.fakeproc(kernel=SERIES)
WITHOUT_IT = pytest.mark.fakeproc(kernel=STOCK)
ONLINE = "sys/devices/system/cpu/cpu6/online"
REFUSED = "Invalid argument"


@pytest.fixture
def idle(fakeproc_guest: fakeproc.Guest) -> fakeproc.Guest:
    """A guest whose CPU 6 no channel interrupts, and whose host takes 35 ms to move one."""
    put(channel(fakeproc_guest, 19), "0")
    put(fakeproc_guest.host / "clock", "advance 1")
    put(fakeproc_guest.host / "latency", "ack 0.035")
    return fakeproc_guest


def channel(guest: fakeproc.Guest, relid: int) -> Path:
    return guest.channel(relid) / "cpu"


def put(path: Path, data: str) -> int:
    """One write(2): what it returns.  Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        return os.write(descriptor, data.encode())
    finally:
        os.close(descriptor)


def now(guest: fakeproc.Guest | CliGuest) -> float:
    return float((guest.host / "clock").read_text().split()[1])


@contextmanager
def writer(root: Path, path: Path, data: str) -> Iterator[subprocess.Popen[str]]:
    """A process that writes, once its write has ended or sleeps in the guest."""
    before = writes(root)
    # dd, unlike echo, ends where write(2) returns 0: the series as it was posted.
    command = f"echo -n {data} | dd of={path} conv=notrunc status=none"
    with subprocess.Popen(["sh", "-c", command], stderr=subprocess.PIPE, text=True) as process:
        while writes(root)[len(before) :] == []:
            time.sleep(0.001)
        try:
            yield process
        except BaseException:
            (root / "host/clock").write_text("manual\n")  # nobody sleeps on
            raise


def writes(root: Path) -> list[list[str]]:
    """The entries of the journal: path, outcome and data."""
    lines = (root / "host/journal").read_text().splitlines()
    return [line.split("\t")[5:] for line in lines if not line.startswith("#")]


def outcome(root: Path, path: Path) -> str:
    """How the last write to a file ended, or … while it sleeps."""
    end = "/".join(path.parts[-4:])
    return next(made[1] for made in reversed(writes(root)) if made[0].endswith(end))


def said(process: subprocess.Popen[str]) -> str:
    """What a writer has printed, once it has ended."""
    return process.communicate(timeout=60)[1]


# Patch 12, and what stock kernels do instead -----------------------------------------------------


@WITH_THE_SERIES
def test_a_channel_may_not_move_to_a_cpu_that_is_going_and_still_reads_online(idle) -> None:
    """Patch 12: EINVAL from the moment on at which the CPU leaves the SynICs that are online."""
    put(idle.host / "clock", "hold")
    put(channel(idle, 20), "1")  # not acknowledged before 35 ms have passed
    with writer(idle.root, idle.root / ONLINE, "0") as offline:
        put(idle.host / "clock", "advance 0.005")
        with writer(idle.root, channel(idle, 19), "6") as move:
            assert REFUSED in said(move)
        assert (idle.root / ONLINE).read_text() == "1\n"
        assert outcome(idle.root, idle.root / ONLINE) == "…"
        put(idle.host / "clock", "advance 0.035")
        assert said(offline) == ""
    assert (idle.root / ONLINE).read_text() == "0\n"
    assert channel(idle, 19).read_text() == "0\n"


@WITHOUT_IT
def test_without_the_series_a_move_waits_for_the_cpu_and_is_refused_then(idle) -> None:
    """`cpus_read_lock` and `channel_mutex`: the first move, the offline, the second move."""
    put(idle.host / "clock", "hold")
    with (
        writer(idle.root, channel(idle, 20), "1") as first,
        writer(idle.root, idle.root / ONLINE, "0") as offline,
        writer(idle.root, channel(idle, 19), "6") as move,
    ):
        put(idle.host / "clock", "advance 0.005")
        assert [outcome(idle.root, path) for path in (channel(idle, 20), channel(idle, 19))] == [
            "…",
            "…",
        ]
        assert (idle.root / ONLINE).read_text() == "1\n"
        put(idle.host / "clock", "advance 0.035")
        assert (said(first), said(offline)) == ("", "")
        assert REFUSED in said(move)
    assert (idle.root / ONLINE).read_text() == "0\n"


@pytest.mark.fakeproc(kernel=[*SERIES, *STOCK])
def test_no_race_leaves_a_channel_on_a_cpu_that_is_gone(idle) -> None:
    """A move to the CPU before, during and after the offline: one of the two is refused."""
    put(idle.host / "clock", "hold")
    with (
        writer(idle.root, channel(idle, 19), "6") as move,
        writer(idle.root, idle.root / ONLINE, "0") as offline,
    ):
        put(idle.host / "clock", "advance 0.2")
        said(move)
        refused = said(offline)
    gone = (idle.root / ONLINE).read_text() == "0\n"
    assert gone == (refused == "")
    target = channel(idle, 19).read_text()
    assert (target == "6\n") == (not gone), "7.2 takes the channel away, the others stay"


@pytest.mark.fakeproc(kernel=["7.2"])
def test_since_6_15_the_offline_moves_the_channel_and_a_move_back_is_refused(idle) -> None:
    put(idle.host / "clock", "advance 1")
    put(channel(idle, 19), "6")
    put(idle.host / "clock", "hold")
    with (
        writer(idle.root, idle.root / ONLINE, "0") as offline,
        writer(idle.root, channel(idle, 20), "6") as move,
    ):
        assert channel(idle, 19).read_text() == "6\n", "the host has not answered yet"
        put(idle.host / "clock", "advance 0.2")
        assert said(offline) == ""
        assert REFUSED in said(move)
    assert channel(idle, 19).read_text() != "6\n"


# Patch 11 ----------------------------------------------------------------------------------------


def durations(guest: fakeproc.Guest, ack: float) -> tuple[float, float]:
    """Seconds that a move of a channel and then an offline take."""
    put(guest.host / "latency", f"ack {ack}")
    begin = now(guest)
    put(channel(guest, 20), "1")
    moved = now(guest)
    assert put(guest.root / ONLINE, "0") == 1
    return round(moved - begin, 6), round(now(guest) - moved, 6)


@WITH_THE_SERIES
@pytest.mark.parametrize(("ack", "goes"), [(0.035, 0.040), (1, 0.050)])
def test_the_offline_waits_for_the_acknowledgement(idle, ack, goes) -> None:
    """Patch 11: it looks every 10 ms, five times, and then goes with a line in the log."""
    assert durations(idle, ack) == (0, goes)
    assert ("Timed out waiting for MODIFYCHANNEL. CPU 6" in idle.log()) == (ack == 1)


@WITHOUT_IT
@pytest.mark.parametrize("ack", [0.035, 1])
def test_without_the_series_the_move_waits_for_it(idle, ack) -> None:
    assert durations(idle, ack) == (ack, 0)


# Sleepers of every kind --------------------------------------------------------------------------


@pytest.mark.fakeproc(kernel="rfc")
def test_a_second_cpu_waits_until_the_first_has_gone(idle) -> None:
    """`lock_device_hotplug_sysfs`."""
    put(channel(idle, 20), "1")
    put(channel(idle, 18), "1")
    five = idle.root / ONLINE.replace("cpu6", "cpu5")
    put(idle.host / "clock", "hold")
    with writer(idle.root, idle.root / ONLINE, "0") as six, writer(idle.root, five, "0") as other:
        put(idle.host / "clock", "advance 0.039")
        assert [(idle.root / ONLINE).read_text(), five.read_text()] == ["1\n", "1\n"]
        put(idle.host / "clock", "advance 0.1")
        assert (said(six), said(other)) == ("", "")
    assert (idle.sys / "devices/system/cpu/offline").read_text() == "5-6\n"


@pytest.mark.fakeproc(kernel="6.12")
def test_many_writes_sleep_at_once_and_others_are_served(idle) -> None:
    put(idle.host / "clock", "hold")
    relids = [23, 22, 21, 20, 18, 17, 15, 13]
    with ExitStack() as all_of_them:
        processes = [
            all_of_them.enter_context(writer(idle.root, channel(idle, relid), "4"))
            for relid in relids
        ]
        assert [outcome(idle.root, channel(idle, relid)) for relid in relids] == ["…"] * 8
        put(idle.host / "clock", "advance 1")
        assert [said(process) for process in processes] == [""] * 8
    assert {channel(idle, relid).read_text() for relid in relids} == {"4\n"}


@pytest.mark.parametrize("mode", ["manual", "real"])
def test_a_write_that_sleeps_goes_on_when_the_clock_is_not_held_any_more(idle, mode) -> None:
    put(channel(idle, 20), "1")
    put(idle.host / "clock", "hold")
    with writer(idle.root, idle.root / ONLINE, "0") as offline:
        assert outcome(idle.root, idle.root / ONLINE) == "…"
        put(idle.host / "clock", mode)
        assert said(offline) == ""


@pytest.mark.parametrize("libfuse", ["2", "3"])
def test_with_a_real_clock_it_sleeps_as_long_as_a_kernel_would(
    mount_guest, monkeypatch, libfuse
) -> None:
    """The clock is slow until the other write has come: no machine is too slow for that."""
    monkeypatch.setenv("FAKEPROC_LIBFUSE", libfuse)
    guest = mount_guest("--clock", "real")
    put(guest.channel(19) / "cpu", "0")
    (guest.host / "latency").write_text("ack 30\n")
    (guest.host / "clock").write_text("rate 0.0001\n")
    put(guest.channel(20) / "cpu", "1")
    with writer(guest.root, guest.root / ONLINE, "0") as offline:
        with writer(guest.root, guest.channel(19) / "cpu", "6") as move:
            assert REFUSED in said(move)
        assert (guest.root / ONLINE).read_text() == "1\n"
        begin = now(guest)
        (guest.host / "clock").write_text("rate 100\n")
        assert said(offline) == ""
        assert now(guest) - begin > 0.03
    assert (guest.root / ONLINE).read_text() == "0\n"


@pytest.mark.parametrize("libfuse", ["2", "3"])
def test_a_mount_ends_while_a_write_sleeps(mount_guest, monkeypatch, libfuse) -> None:
    monkeypatch.setenv("FAKEPROC_LIBFUSE", libfuse)
    guest = mount_guest("--clock", "manual")
    put(guest.channel(19) / "cpu", "0")
    (guest.host / "clock").write_text("hold\n")
    put(guest.channel(20) / "cpu", "1")
    with writer(guest.root, guest.root / ONLINE, "0") as offline:
        assert guest.cli("umount", guest.root).returncode == 0
        assert said(offline) != ""
    assert str(guest.root) not in guest.cli("list").stdout


# Programs of a run -------------------------------------------------------------------------------

IN_THE_MIDDLE = """
put() { echo "$2" > $(echo $1); }
v=/sys/bus/vmbus/devices/*/channels
put "$v/19/cpu" 0
echo advance 1 > $FAKEPROC/host/clock
echo ack 0.035 > $FAKEPROC/host/latency
put "$v/20/cpu" 1 &
sleep 0.001
echo 0 > /sys/devices/system/cpu/cpu6/online &
sleep 0.005
put "$v/19/cpu" 6
cat /sys/devices/system/cpu/cpu6/online
wait
"""


@pytest.mark.parametrize(("kernel", "reads"), [("rfc", "1"), ("6.12", "0"), ("7.2", "0")])
def test_a_program_that_sleeps_meanwhile_wakes_in_the_middle(cli, kernel, reads) -> None:
    """With a manual clock time passes as soon as all sleep, those in a write as well."""
    done = cli("run", "--clock", "manual", "--kernel", kernel, "--", "bash", "-c", IN_THE_MIDDLE)
    assert done.stdout == f"{reads}\n"
    assert REFUSED in done.stderr


# Requests that hang ------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["read", "write"])
def test_a_request_that_hangs_waits_for_its_release_and_nobody_else_does(idle, operation) -> None:
    """Whatever the clock: `manual` is the one that moves by itself for every other write."""
    path = idle.proc / "irq/39/smp_affinity_list"
    put(idle.host / "fault", f"{operation} proc/irq/39/smp_affinity_list hang")
    command = f"cat {path}" if operation == "read" else f"echo 3 > {path}"
    before = len(writes(idle.root))
    with subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, text=True) as process:
        while len(writes(idle.root)) == before:
            time.sleep(0.001)
        assert put(idle.root / ONLINE, "0") == 1
        put(idle.host / "clock", "advance 1000")
        assert writes(idle.root)[before][1] == "…"
        put(idle.host / "fault", "release")
        assert process.communicate(timeout=60)[0] == ("0\n" if operation == "read" else "")
