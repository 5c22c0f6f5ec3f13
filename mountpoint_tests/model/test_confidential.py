"""Protocol 6.0: a confidential guest, and the paravisor that offers some of its devices."""

from __future__ import annotations

import pytest

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.profiles.errors import ProfileError
from fakeproc.profiles.kernels import with_kernel
from fakeproc.timeline import SECOND

from .guests import interrupt_rows, text, write

CONFIDENTIAL = "hv_vmbus: Establishing connection to the confidential VMBus"


def guest(kernel: str | None = None) -> Machine:
    profile = profiles.load("hyperv-confidential")
    machine = Machine(with_kernel(profile, kernel) if kernel else profile, "manual")
    machine.advance(SECOND)
    return machine


@pytest.mark.parametrize(
    ("kernel", "version", "encrypted"),
    [
        (None, "6.0", {5, 6, 7, 8, 9, 10}),
        ("6.18", "5.3", set()),
        ("7.2", "6.0", {5, 6, 7, 8, 9, 10}),
    ],
)
def test_only_a_guest_that_speaks_6_0_knows_the_paravisor(kernel, version, encrypted) -> None:
    machine = guest(kernel)
    log = text(machine, "/host/log")
    assert f"hv_vmbus: Vmbus version:{version}" in log
    assert (CONFIDENTIAL in log) == bool(encrypted)
    channels = machine.kernel.vmbus.channels
    assert {relid for relid, c in channels.items() if c.offer.encrypted} == encrypted
    assert set(channels) == {1, 2, 3, 5, 6, 7, 8, 9, 10}, "relids are unique over both"


def test_a_confidential_guest_does_not_take_every_device() -> None:
    """`vmbus_is_valid_offer`: `allowed_in_isolated` of vmbus_devs[]; sockets are always taken."""
    machine = guest()
    log = text(machine, "/host/log")
    assert "hv_vmbus: Invalid offer 4 from the host supporting isolation" in log
    assert write(machine, "/host/offer", b"keyboard relid=20\nvpci relid=21\nhv_sock relid=22") > 0
    machine.advance(SECOND)
    assert "Invalid offer 20" in text(machine, "/host/log")
    assert {20, 21, 22} & set(machine.kernel.vmbus.channels) == {21, 22}


def test_whoever_offers_a_channel_its_interrupts_count_in_its_row() -> None:
    machine = guest()
    write(machine, "/host/traffic", b"all 0\ntimer 0")
    before = interrupt_rows(text(machine, "/proc/interrupts"))
    write(machine, "/host/interrupt", b"1 10\n9 20")
    after = interrupt_rows(text(machine, "/proc/interrupts"))
    more = {
        row.hwirq: sum(row.counts) - sum(before[irq].counts)
        for irq, row in after.items()
        if row.chip == "VMBus"
    }
    assert {hwirq: n for hwirq, n in more.items() if n} == {"1": 10, "9": 20}


def test_without_a_paravisor_nothing_is_encrypted() -> None:
    toml = profiles.source("hyperv-confidential").replace("confidential = true\n", "")
    with pytest.raises(ProfileError, match="only a confidential VMBus has it"):
        profiles.parse(toml, "mine.toml", "mine")
