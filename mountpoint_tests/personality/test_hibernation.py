"""Hibernation by the host's console: what goes, what stays, and what has another name then."""

from __future__ import annotations

import json
from functools import cache

import pytest
from model.guests import channel_path, interrupt_rows, node_at, read, text, write

from fakeproc import profiles
from fakeproc.guest.hv.drivers.storvsc import scsi_host
from fakeproc.machine import Machine
from fakeproc.profiles import ProfileError
from fakeproc.timeline import SECOND

from .kernels import (
    APPLIED,
    HEARTBEAT,
    NAMES,
    NETVSC,
    console,
    log,
    named_profile,
    rows,
    set_online,
    settle,
)

HIBERNATE = b"hibernate\n"


@cache
def _profile(kernel: str):
    profile = named_profile("hyperv-gen2", kernel)
    vmbus = profile.vmbus.model_copy(update={"hibernation": True})
    return profile.model_copy(update={"vmbus": vmbus})


def hibernating(kernel: str) -> Machine:
    """The default guest on a host that lets it hibernate."""
    return Machine(_profile(kernel), "manual")


def mapping(machine: Machine, name: str) -> dict[int, int]:
    """The CPU of each channel of a device, by relid."""
    lines = text(machine, f"/sys/bus/vmbus/devices/{name}/channel_vp_mapping").split()
    return {int(relid): int(cpu) for relid, cpu in (line.split(":") for line in lines)}


def devices(machine: Machine) -> dict[str, tuple[object, ...]]:
    """Of each device what hibernation leaves alone."""
    found = {}
    for name, device in machine.kernel.vmbus.devices.items():
        driver = device.driver.name if device.driver else None
        cpu = device.primary.target_cpu
        found[name] = (driver, cpu, scsi_host(device), device.primary.state, len(device.channels))
    return found


@pytest.mark.parametrize("kernel", NAMES)
def test_devices_come_back_as_they_were_under_other_relids(kernel: str) -> None:
    machine = hibernating(kernel)
    assert text(machine, "/sys/bus/vmbus/hibernation") == "1\n"
    assert text(machine, "/host/power") == "running, resumed 0 times\n"
    before, relids = devices(machine), set(machine.kernel.vmbus.channels)
    assert write(machine, "/host/power", HIBERNATE) == len(HIBERNATE)
    settle(machine)
    assert text(machine, "/host/power") == "running, resumed 1 times\n"
    assert devices(machine) == before
    after = set(machine.kernel.vmbus.channels)
    assert len(after) == len(relids)
    assert mapping(machine, HEARTBEAT).keys() == {int(text(machine, _id(HEARTBEAT)))}
    assert mapping(machine, HEARTBEAT).keys() != {7}
    assert log(machine).count("hv_vmbus: Vmbus version:5.3") == 2


def _id(name: str) -> str:
    return f"/sys/bus/vmbus/devices/{name}/id"


@pytest.mark.parametrize("kernel", APPLIED)
def test_irqs_are_mapped_anew_in_the_order_of_the_offers(kernel: str) -> None:
    """Also as posted: what unmaps a relid frees its IRQ, so that opening again works."""
    machine = hibernating(kernel)
    before = interrupt_rows(text(machine, "/proc/interrupts"))
    assert write(machine, "/proc/irq/39/smp_affinity_list", b"2\n") == 2
    heartbeat = next(irq for irq, row in before.items() if row.name == "heartbeat")
    assert write(machine, f"/proc/irq/{heartbeat}/smp_affinity_list", b"5\n") == 2
    assert write(machine, "/host/power", HIBERNATE) == len(HIBERNATE)
    settle(machine)
    after = interrupt_rows(text(machine, "/proc/interrupts"))
    assert after.keys() == before.keys()
    names = sorted(row.name for row in before.values())
    assert sorted(row.name for row in after.values()) == names
    for label, row in after.items():
        if row.chip == "VMBus" and row.name != "vmbus":
            assert sum(row.counts) == 0, "counts die with the descriptor"
            assert text(machine, f"/sys/kernel/irq/{label}/hwirq") == f"{row.hwirq}\n"
            assert node_at(machine, f"/proc/irq/{label}/{row.name}") is not None
    # A primary channel interrupts the CPU that it did, and its IRQ is set to that one.
    assert text(machine, f"/proc/irq/{heartbeat}/smp_affinity_list") == "5\n"
    assert text(machine, f"/proc/irq/{heartbeat}/affinity_hint") == "20\n"
    assert set(mapping(machine, HEARTBEAT).values()) == {5}


def test_the_host_interrupts_what_it_has_offered_anew() -> None:
    machine = hibernating("rfc")
    settle(machine)
    settle(machine)
    settle(machine)  # the quiet time is over
    rates = [line.split()[1:] for line in text(machine, "/host/traffic").splitlines()]
    assert write(machine, "/host/power", HIBERNATE) == len(HIBERNATE)
    settle(machine)
    again = [line.split()[1:] for line in text(machine, "/host/traffic").splitlines()]
    assert sorted(again) == sorted(rates)
    (relid,) = mapping(machine, HEARTBEAT)
    before = sum(interrupt_rows(text(machine, "/proc/interrupts"))["24"].counts)
    console(machine, "interrupt", f"{relid} 100")
    assert sum(interrupt_rows(text(machine, "/proc/interrupts"))["24"].counts) >= before + 100


def test_a_channels_directory_keeps_its_old_name() -> None:
    """The kobject is not renamed; only sub-channels are new, and have new names."""
    machine = hibernating("rfc")
    assert write(machine, "/host/power", HIBERNATE) == len(HIBERNATE)
    device = f"/sys/bus/vmbus/devices/{HEARTBEAT}"
    assert [name for name, _ in node_at(machine, f"{device}/channels").children()] == ["7"]
    assert text(machine, f"{device}/id") != "7\n"
    assert text(machine, f"{device}/channels/7/cpu") == "0\n"
    assert write(machine, f"{device}/channels/7/cpu", b"3") == 1
    assert set(mapping(machine, HEARTBEAT).values()) == {3}
    network = f"/sys/bus/vmbus/devices/{NETVSC}"
    shown = [name for name, _ in node_at(machine, f"{network}/channels").children()]
    assert shown[0] == "13"
    assert [int(name) for name in shown[1:]] == list(mapping(machine, NETVSC))[1:]


def test_a_driver_that_cannot_suspend_keeps_the_guest_awake() -> None:
    """uio_hv_generic: everything is as it was, and the log says who it is."""
    machine = hibernating("rfc")
    drivers = "/sys/bus/vmbus/drivers"
    assert write(machine, f"{drivers}/hv_utils/unbind", HEARTBEAT.encode()) == 36
    guid = text(machine, f"/sys/bus/vmbus/devices/{HEARTBEAT}/class_id")[1:37]
    assert write(machine, f"{drivers}/uio_hv_generic/new_id", guid.encode()) == 36
    settle(machine)
    before, table = devices(machine), rows(machine)
    assert write(machine, "/host/power", HIBERNATE) == "ENOTSUP"
    settle(machine)
    assert text(machine, "/host/power") == "running, resumed 0 times\n"
    assert devices(machine) == before
    assert rows(machine).keys() == table.keys()
    assert f"uio_hv_generic {HEARTBEAT}: PM: failed to freeze noirq: error -95" in log(machine)


def test_as_posted_a_freeze_that_fails_leaves_devices_closed() -> None:
    """Who was suspended is thawed, and cannot open: its relid was never unmapped."""
    machine = hibernating("rfc-as-posted")
    drivers = "/sys/bus/vmbus/drivers"
    assert write(machine, f"{drivers}/hv_utils/unbind", HEARTBEAT.encode()) == 36
    guid = text(machine, f"/sys/bus/vmbus/devices/{HEARTBEAT}/class_id")[1:37]
    assert write(machine, f"{drivers}/uio_hv_generic/new_id", guid.encode()) == 36
    assert write(machine, "/host/power", HIBERNATE) == "ENOTSUP"
    settle(machine)
    assert text(machine, f"/sys/bus/vmbus/devices/{NETVSC}/state") == "2\n"
    assert f"hv_netvsc {NETVSC}: PM: failed to restore noirq: error -16" in log(machine)


def test_connections_by_socket_do_not_survive() -> None:
    machine = hibernating("rfc")
    console(machine, "offer", "hv_sock")
    settle(machine)
    (name,) = (n for n, d in machine.kernel.vmbus.devices.items() if d.offer.is_hvsock)
    assert write(machine, "/host/power", HIBERNATE) == len(HIBERNATE)
    settle(machine)
    assert name not in machine.kernel.vmbus.devices
    assert name not in json.loads(text(machine, "/host/state.json"))["vmbus"]["devices"]


def test_again_and_again() -> None:
    machine = hibernating("rfc")
    for times in range(1, 6):
        assert write(machine, "/proc/irq/24/smp_affinity_list", b"%d" % times) == 1
        assert write(machine, "/host/power", HIBERNATE) == len(HIBERNATE)
        settle(machine)
        assert text(machine, "/host/power") == f"running, resumed {times} times\n"
        assert set(mapping(machine, HEARTBEAT).values()) == {times}
        assert len(machine.kernel.vmbus.channels) == 21
    assert set_online(machine, 5, "0") == "EBUSY"


@pytest.mark.parametrize("offer", ["fcopy", "vpci", "netvsc subchannels=3"])
def test_what_is_offered_just_before_is_not_lost(offer: str) -> None:
    machine = hibernating("6.12" if offer == "fcopy" else "rfc")
    console(machine, "offer", offer)
    answer = write(machine, "/host/power", HIBERNATE)
    settle(machine)
    assert answer == ("ENOTSUP" if offer == "fcopy" else len(HIBERNATE))
    hosts = {str(device.instance) for device in machine.host.devices}
    assert set(machine.kernel.vmbus.devices) <= hosts
    assert len(machine.kernel.vmbus.devices) in {13, 16}


@pytest.mark.parametrize(("line", "answer"), [("sleep", "EINVAL"), ("hibernate now", "EINVAL")])
def test_what_is_no_command_is_refused(line: str, answer: str) -> None:
    assert write(hibernating("rfc"), "/host/power", line.encode()) == answer


def test_not_unless_the_profile_says_so() -> None:
    machine = Machine(profiles.load("hyperv-gen2"), "manual")
    assert text(machine, "/sys/bus/vmbus/hibernation") == "0\n"
    before = text(machine, "/host/state.json")
    assert write(machine, "/host/power", HIBERNATE) == "EPERM"
    assert text(machine, "/host/state.json") == before


def test_there_is_none_on_arm64() -> None:
    toml = profiles.source("hyperv-arm64").replace("[vmbus]\n", "[vmbus]\nhibernation = true\n")
    with pytest.raises(ProfileError, match="there is no S4 on arm64"):
        profiles.parse(toml, "arm.toml", "arm")


def test_an_acknowledgement_that_was_under_way_is_waited_for_or_lost() -> None:
    machine = hibernating("rfc")
    console(machine, "latency", "ack 5")
    assert write(machine, "/proc/irq/39/smp_affinity_list", b"1") == 1
    assert write(machine, "/host/power", HIBERNATE) == len(HIBERNATE)
    machine.advance(10 * SECOND)
    assert read(machine, "/proc/irq/39/smp_affinity_list") != b""
    assert channel_path(machine, next(iter(mapping(machine, HEARTBEAT))))


@pytest.mark.parametrize(("kernel", "first"), [("6.1", 1), ("rfc", 1), ("6.12", 7), ("7.2", 7)])
def test_all_cpus_but_the_first_go_and_come_back(kernel: str, first: int) -> None:
    """freeze_secondary_cpus(), from the highest on since v6.11; no device is told of it."""
    machine = hibernating(kernel)
    events = text(machine, "/host/uevents").count("/devices/system/cpu/")
    before = len(log(machine).splitlines())
    assert write(machine, "/host/power", HIBERNATE) == len(HIBERNATE)
    settle(machine)
    said = [line.split("] ", 1)[1] for line in log(machine).splitlines()[before:]]
    entry = said.index("PM: hibernation: hibernation entry")
    leave = said.index("PM: hibernation: hibernation exit")
    down, up = said.index("Disabling non-boot CPUs ..."), said.index("Enabling non-boot CPUs ...")
    assert entry < down < said.index("PM: hibernation: Creating image:") < up < leave
    assert said[down + 1] == f"smpboot: CPU {first} is now offline"
    back = [line for line in said if line.endswith(" is up")]
    assert back == [f"CPU{cpu} is up" for cpu in range(1, 8)]
    assert text(machine, "/sys/devices/system/cpu/online") == "0-7\n"
    assert text(machine, "/host/uevents").count("/devices/system/cpu/") == events
    machine.advance(10 * SECOND)
    assert all(int(line.split()[4]) > 0 for line in text(machine, "/proc/stat").splitlines()[1:9])


def test_a_cpu_that_was_off_stays_off() -> None:
    machine = hibernating("6.18")
    assert set_online(machine, 5, "0") == 1
    assert write(machine, "/host/power", HIBERNATE) == len(HIBERNATE)
    settle(machine)
    assert text(machine, "/sys/devices/system/cpu/online") == "0-4,6-7\n"
    assert "CPU5 is up" not in log(machine)
