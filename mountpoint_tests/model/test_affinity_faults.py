"""Affinity writes that fail with the errnos for which irqbalance has code."""

from __future__ import annotations

import pytest

from .guests import channel_path, default_guest, text, write

WAYS = ["/proc/irq/39/smp_affinity", "/proc/irq/39/smp_affinity_list", "cpu"]
ERRNOS = ["ENOSPC", "EBUSY", "EAGAIN", "EINVAL", "EIO", "ENOMEM"]


@pytest.mark.parametrize("errno", ERRNOS)
@pytest.mark.parametrize("way", WAYS)
def test_the_next_writes_fail_and_change_nothing(way, errno) -> None:
    machine = default_guest()
    path = f"{channel_path(machine, 19)}/cpu" if way == "cpu" else way
    assert write(machine, "/host/fault", f"affinity {errno.lower()} 2".encode()) > 0
    before = text(machine, "/proc/irq/39/smp_affinity")
    for left in (f"affinity {errno.lower()} 2\n", f"affinity {errno.lower()} 1\n"):
        assert text(machine, "/host/fault") == left
        assert write(machine, path, b"2") == errno
        assert text(machine, "/proc/irq/39/smp_affinity") == before
        assert text(machine, "/proc/irq/39/effective_affinity") == before
    assert text(machine, "/host/fault") == ""
    assert write(machine, path, b"2") == 1


def test_a_fault_of_one_interrupt_leaves_the_others_alone() -> None:
    machine = default_guest()
    assert write(machine, "/host/fault", b"affinity enospc irq40") > 0
    assert write(machine, "/proc/irq/39/smp_affinity_list", b"2") == 1
    assert text(machine, "/host/fault") == "affinity enospc irq40 1\n"
    assert write(machine, "/proc/irq/40/smp_affinity_list", b"2") == "ENOSPC"
    assert write(machine, "/proc/irq/40/smp_affinity_list", b"2") == 1


def test_a_write_that_is_wrong_anyway_does_not_meet_the_fault() -> None:
    machine = default_guest()
    write(machine, "/host/fault", b"affinity enospc")
    assert write(machine, "/proc/irq/39/smp_affinity_list", b"100") != "ENOSPC"
    assert write(machine, "/proc/irq/39/smp_affinity_list", b"x") == "EINVAL"
    assert text(machine, "/host/fault") == "affinity enospc 1\n"


def test_a_channel_that_opens_does_not_meet_the_fault() -> None:
    machine = default_guest()
    write(machine, "/host/fault", b"affinity enospc 3")
    assert write(machine, "/host/offer", b"scsi relid=77") == 13
    machine.advance(1_000_000_000)
    assert 77 in machine.kernel.vmbus.channels
    assert text(machine, "/host/fault") == "affinity enospc 3\n"


def test_clear_disarms_them() -> None:
    machine = default_guest()
    write(machine, "/host/fault", b"affinity ebusy 5\naffinity enospc irq39")
    assert text(machine, "/host/fault").splitlines() == [
        "affinity ebusy 5",
        "affinity enospc irq39 1",
    ]
    assert write(machine, "/host/fault", b"clear") == 5
    assert text(machine, "/host/fault") == ""


@pytest.mark.parametrize(
    "line",
    ["affinity", "affinity x", "affinity enospc 0", "affinity enospc irq7777", "affinity 28"],
)
def test_what_is_no_such_fault_is_refused(line) -> None:
    machine = default_guest()
    assert write(machine, "/host/fault", line.encode()) == "EINVAL"
    assert text(machine, "/host/fault") == ""


def test_a_refused_offline_names_the_channel_whose_event_is_pending() -> None:
    machine = default_guest()
    machine.advance(3_000_000_000)
    write(machine, "/host/fault", b"pending 19")
    for irq in (38, 39, 40):
        write(machine, f"/proc/irq/{irq}/smp_affinity_list", b"0")
    machine.advance(1_000_000_000)
    assert write(machine, "/sys/devices/system/cpu/cpu6/online", b"0") == "EBUSY"
    last = text(machine, "/host/log").splitlines()[-1]
    assert "event flags are pending on CPU 6: relid 19 (netvsc)" in last
