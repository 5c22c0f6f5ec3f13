"""Faults by path and by moment: the n-th read or write of a file goes wrong."""

from __future__ import annotations

import errno

import pytest

import fakeproc
from fakeproc.journal import Saved
from fakeproc.play.replay import play_again

AFFINITY = "/proc/irq/39/smp_affinity_list"
ONLINE = "/sys/devices/system/cpu/cpu6/online"
NIC = "0022486b-1fa4-0022-486b-1fa40022486b"
CPU = f"/sys/bus/vmbus/devices/{NIC}/channels/19/cpu"


def guest(*faults: str, kernel: str = "rfc") -> fakeproc.Machine:
    machine = fakeproc.Machine(kernel=kernel)
    for fault in faults:
        machine.fault(fault)
    return machine


def now(machine: fakeproc.Machine) -> float:
    return float(machine.read("/host/clock").split()[1])


def write(machine: fakeproc.Machine, path: str, data: str) -> int | str:
    try:
        return machine.write(path, data)
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def read(machine: fakeproc.Machine, path: str) -> str:
    try:
        return machine.read(path)
    except OSError as error:
        return errno.errorcode[error.errno or 0]


@pytest.mark.parametrize(
    ("fault", "answers"),
    [
        ("write proc/irq/39/smp_affinity_list ENOSPC", ["ENOSPC", 1, 1]),
        ("write proc/irq/39/smp_affinity_list 2 EIO", [1, "EIO", 1]),
        ("write proc/irq/*/smp_affinity_list 3 EBUSY", [1, 1, "EBUSY"]),
        ("write proc/irq/40/* EIO", [1, 1, 1]),
        ("read proc/irq/39/smp_affinity_list EIO", [1, 1, 1]),
    ],
)
def test_the_nth_write_ends_with_an_errno_and_changes_nothing(fault, answers) -> None:
    machine = guest(fault)
    assert [write(machine, AFFINITY, cpu) for cpu in "345"] == answers
    last = [cpu for cpu, answer in zip("345", answers, strict=True) if answer == 1][-1]
    assert write(machine, "/host/fault", "clear") == 5
    assert read(machine, AFFINITY) == f"{last}\n"
    if 1 not in answers[:1]:
        assert f"write of '3' to {AFFINITY} refused: the fault 'ENOSPC'" in machine.log()


def test_a_fault_has_the_kernels_name_for_its_errno() -> None:
    machine = guest(f"write {AFFINITY.lstrip('/')} EOPNOTSUPP")
    assert write(machine, AFFINITY, "3") == errno.errorcode[errno.EOPNOTSUPP]
    assert "(EOPNOTSUPP)" in machine.log()
    text = machine.read("/host/journal")
    assert "\tEOPNOTSUPP\t" in text
    assert str(Saved.parse(text.replace("EOPNOTSUPP\t", "ENOTSUP\t"))) == text


def test_a_path_through_links_is_meant_as_well() -> None:
    machine = guest(f"write sys/bus/vmbus/devices/{NIC}/channels/19/cpu EAGAIN")
    assert write(machine, CPU, "3") == "EAGAIN"


def test_the_nth_read_ends_with_an_errno_or_comes_short_or_late() -> None:
    machine = guest("read proc/interrupts 2 EIO", "read proc/version short 5")
    assert read(machine, "/proc/interrupts") == "EIO", "its second read(2)"
    assert read(machine, "/proc/interrupts").startswith("  ")
    whole = read(guest(), "/proc/version")
    assert read(machine, "/proc/version") == whole, "who goes on reading loses nothing"
    machine.fault("read proc/version late 1.5")
    before = now(machine)
    assert read(machine, "/proc/version") == whole
    assert round(now(machine) - before, 6) == 1.5


def test_a_write_that_comes_short_hands_over_its_first_bytes() -> None:
    machine = guest("write proc/irq/39/smp_affinity_list short 1")
    assert write(machine, AFFINITY, "3,5") == 1
    assert read(machine, AFFINITY) == "3\n"


def test_what_hangs_is_released_or_is_a_hung_task() -> None:
    machine = guest("write proc/irq/39/smp_affinity_list hang")
    machine.write("/host/at", "+0.5 host/fault release")
    before = now(machine)
    assert write(machine, AFFINITY, "3") == 1
    assert round(now(machine) - before, 6) == 0.5
    machine.fault("write proc/irq/39/smp_affinity_list hang")
    assert write(machine, AFFINITY, "4") == "ETIMEDOUT", "nobody is there to release it"
    assert "blocked for more than 120 seconds" in machine.log()


def test_a_device_goes_in_the_middle_of_a_write() -> None:
    path = f"/sys/bus/vmbus/devices/{NIC}"
    plain = guest()
    assert write(plain, "/sys/bus/vmbus/drivers/hv_netvsc/unbind", NIC) == len(NIC)
    machine = guest("write sys/bus/vmbus/drivers/hv_netvsc/unbind with +0.0001 host/rescind 13")
    assert write(machine, "/sys/bus/vmbus/drivers/hv_netvsc/unbind", NIC) == len(NIC)
    machine.advance(1)
    assert plain.list(path)
    with pytest.raises(OSError, match="No such file"):
        machine.list(path)
    assert "internal error" not in machine.log()


@pytest.mark.parametrize(("kernel", "answer"), [("rfc", 1), ("6.12", "ETIMEDOUT")])
def test_a_host_that_never_acts(kernel, answer) -> None:
    """With the series nobody notices, until the interrupts come to the old CPU."""
    machine = guest("modifychannel ignore", kernel=kernel)
    assert write(machine, CPU, "3") == answer
    machine.advance(1)
    channel = machine.state().channels[19]
    assert (channel.target_cpu, channel.host_target_vp) == (3 if answer == 1 else 6, 6)


def test_a_stuck_channel_interrupts_nobody_and_then_once() -> None:
    machine = guest()
    machine.traffic(19, 1000)
    machine.advance(1)
    before = machine.state().channels[19].interrupts
    machine.fault("stuck", 19)
    assert machine.read("/host/fault") == "stuck 19\n"
    machine.advance(5)
    machine.interrupt(19, 7)
    assert machine.state().channels[19].interrupts == before
    machine.fault("clear")
    assert machine.state().channels[19].interrupts == before + 1
    machine.advance(1)
    assert machine.state().channels[19].interrupts == before + 1001


def test_the_faults_that_wait_are_listed_as_they_are_written() -> None:
    lines = ["write /proc/irq/* 3 EIO", "read /proc/stat 1 late 0.5", "read /proc/version 1 hang"]
    machine = guest(*lines)
    assert machine.read("/host/fault").splitlines() == lines
    read(machine, "/proc/stat")
    assert len(machine.read("/host/fault").splitlines()) == 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("write", "expected read|write PATTERN"),
        ("write proc/x", "expected read|write PATTERN"),
        ("write etc/passwd EIO", "a path begins with"),
        ("write proc/x 0 EIO", "which request is a whole number from 1"),
        ("write proc/x EWHAT", "'EWHAT' is none of: an errno"),
        ("write proc/x EIO EIO", "word too many"),
        ("write proc/x late", "none of: an errno"),
        ("write proc/x late soon", "a delay is a number"),
        ("write proc/x short 0", "a number of bytes is a whole number from 1"),
        ("write proc/x with +1 etc/passwd 1", "a path begins with"),
        ("stuck", "expected stuck RELID"),
        ("stuck 999", "no channel has relid 999"),
        ("release now", "word too many"),
    ],
)
def test_a_bad_line_is_refused_with_its_reason(line: str, why: str) -> None:
    machine = guest()
    with pytest.raises(fakeproc.RefusedError, match=why.replace("|", r"\|")):
        machine.fault(line)
    assert machine.read("/host/fault") == ""


def test_a_session_with_faults_played_again_is_the_same() -> None:
    machine = guest(
        "write proc/irq/39/smp_affinity_list 2 EIO",
        "read proc/stat 2 late 0.25",
        "write sys/devices/system/cpu/cpu6/online hang",
    )
    for cpu in "345":
        write(machine, AFFINITY, cpu)
        read(machine, "/proc/stat")
    machine.write("/host/at", "+0.5 host/fault release")
    write(machine, ONLINE, "0")
    write(machine, "/sys/devices/system/cpu/cpu0/online", "0")
    played = play_again(Saved.parse(machine.journal()))
    assert [str(each) for each in played.differences] == []
    for path in ("/host/state.json", "/host/log", "/host/fault", "/proc/stat"):
        assert played.files.read(path).decode() == machine.read(path)
