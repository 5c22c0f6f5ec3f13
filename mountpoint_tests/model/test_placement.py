"""Which CPU a channel gets when it is offered: `drivers/hv/channel_mgmt.c: init_vp_index`."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from fakeproc.machine import Machine
from fakeproc.protocol.classes import CLASS_GUIDS
from fakeproc.protocol.messages import OfferChannel

from .captures import of_kind, text_of
from .guests import captured_guest, captured_profile, channel_path, interrupt_rows, text, write

pytestmark = pytest.mark.every_kernel

PERF = ("ide", "scsi", "fc", "netvsc", "netdirect")
NOT_PERF = (
    "vpci", "framebuffer", "keyboard", "mouse", "kvp", "timesync", "heartbeat", "shutdown",
    "fcopy", "vss", "balloon",
)  # fmt: skip

# The order in which the captured guests were offered their channels: relid, device, index.
OFFERS = [
    (7, "heartbeat", 0),
    (9, "shutdown", 0),
    (10, "timesync", 0),
    (11, "vss", 0),
    (14, "scsi", 0),
    (15, "scsi", 0),
    (1, "balloon", 0),
    (3, "mouse", 0),
    (4, "keyboard", 0),
    (5, "framebuffer", 0),
    (13, "netvsc", 0),
    (8, "kvp", 0),
    *((relid, "netvsc", relid - 15) for relid in range(16, 23)),
    (23, "scsi", 1),
    (24, "scsi", 1),
]
PRIMARY_OF = {23: 14, 24: 15, **dict.fromkeys(range(16, 23), 13)}


def driverless_guest(capture: str) -> Machine:
    """The guest of a capture, without devices and with drivers that take none."""
    profile = captured_profile(capture)
    bare = profile.model_copy(update={"vmbus": profile.vmbus.model_copy(update={"devices": ()})})
    machine = Machine(bare, "manual")
    machine.kernel.vmbus.bus.autoprobe = False
    return machine


def offer(machine: Machine, relid: int, kind: str, index: int = 0, primary: int = 0) -> int:
    """Offer a channel; the CPU that it gets."""
    instance = UUID(int=primary or relid)
    message = OfferChannel(relid, CLASS_GUIDS[kind], instance, index)
    machine.kernel.interrupt(0, {}, message)
    machine.timeline.settle()
    return machine.kernel.vmbus.channels[relid].target_cpu


def all_offered(capture: str) -> dict[int, int]:
    """The CPU of each relid when all are offered in order."""
    machine = driverless_guest(capture)
    return {
        relid: offer(machine, relid, kind, index, PRIMARY_OF.get(relid, 0))
        for relid, kind, index in OFFERS
    }


# The vectors ---------------------------------------------------------------------------------

VECTORS = {
    # spec of the series' sample: the CPUs that the cover letter's counts stand on
    "boot-8cpu": {14: 0, 15: 1, 13: 2, 16: 3, 17: 4, 18: 5, 19: 6, 20: 7, 21: 0, 22: 1, 23: 2,
                  24: 3},
    # node by node in turn
    "small-8cpu-2numa": {14: 0, 15: 4, 13: 1, 16: 5, 17: 2, 18: 6, 19: 3, 20: 7, 21: 0, 22: 4,
                         23: 1, 24: 5},
    # CPUs 2 and 3 are left out; the channels of one device avoid one another while they can
    "isol-8cpu": {14: 0, 15: 1, 13: 4, 16: 5, 17: 6, 18: 7, 19: 0, 20: 1, 21: 6, 22: 1, 23: 4,
                  24: 5},
    "small-2cpu": {14: 0, 15: 1, 13: 0, 16: 1, 17: 0, 18: 1, 19: 0, 20: 1, 21: 0, 22: 1, 23: 1,
                   24: 0},
}  # fmt: skip


@pytest.mark.parametrize("capture", VECTORS)
def test_perf_channels_go_round_robin_in_the_order_of_their_offers(capture):
    given = all_offered(capture)
    perf = {relid for relid, kind, _ in OFFERS if kind in PERF}
    assert {relid: cpu for relid, cpu in given.items() if relid in perf} == VECTORS[capture]
    assert {cpu for relid, cpu in given.items() if relid not in perf} == {0}


@pytest.mark.parametrize("capture", VECTORS)
def test_the_vectors_are_those_of_the_real_kernel(capture):
    states = [row for row in of_kind(capture, "state") if row["state"] == "boot"]
    recorded = {row["relid"]: int(row.reads["cpu"]) for row in states}
    assert len(recorded) == len(OFFERS)
    assert all_offered(capture) == recorded


@pytest.mark.parametrize("capture", VECTORS)
def test_irq_numbers_are_given_in_the_order_of_the_offers(capture):
    machine = driverless_guest(capture)
    for relid, kind, index in OFFERS:
        offer(machine, relid, kind, index, PRIMARY_OF.get(relid, 0))
    numbers = {relid: machine.kernel.vmbus.channels[relid].desc.irq for relid, _, _ in OFFERS}
    assert list(numbers.values()) == list(range(24, 45))
    rows = interrupt_rows(text_of("boot-8cpu", "interrupts", "boot"))
    recorded = {int(row.hwirq): int(irq) for irq, row in rows.items() if row.chip == "VMBus"}
    assert numbers == recorded


# One rule at a time --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PERF)
def test_a_perf_device_takes_the_next_cpu(kind):
    machine = driverless_guest("boot-8cpu")
    assert [offer(machine, relid, kind) for relid in range(100, 109)] == [*range(8), 0]


@pytest.mark.parametrize("kind", NOT_PERF)
def test_any_other_device_is_on_cpu_0_and_leaves_the_round_alone(kind):
    machine = driverless_guest("boot-8cpu")
    assert [offer(machine, relid, kind) for relid in (100, 101)] == [0, 0]
    assert [offer(machine, relid, "netvsc") for relid in (102, 103)] == [0, 1]


@pytest.mark.parametrize("kind", ["avma1", "avma2", "rdv", "imc"])
def test_a_device_that_only_windows_has_a_driver_for_gets_nothing(kind):
    machine = driverless_guest("boot-8cpu")
    message = OfferChannel(100, CLASS_GUIDS[kind], UUID(int=100))
    machine.kernel.interrupt(0, {}, message)
    machine.timeline.settle()
    assert machine.kernel.vmbus.channels == {}
    assert machine.kernel.vmbus.devices == {}
    assert max(machine.kernel.irqs.descs) < 24
    machine.kernel.interrupt(0, {}, OfferChannel(101, CLASS_GUIDS["kvp"], UUID(int=101)))
    assert machine.kernel.vmbus.channels[101].desc.irq == 24


def test_more_channels_of_one_device_than_cpus_share_them():
    machine = driverless_guest("boot-8cpu")
    given = [offer(machine, 100, "scsi")]
    given += [offer(machine, 100 + index, "scsi", index, 100) for index in range(1, 20)]
    assert given[:8] == list(range(8))
    assert set(given[8:]) <= set(range(8))


def test_a_cpu_that_is_offline_or_isolated_is_never_given():
    machine = driverless_guest("isol-8cpu")
    assert write(machine, "/sys/devices/system/cpu/cpu5/online", b"0") == 1
    given = {offer(machine, relid, "netvsc") for relid in range(100, 120)}
    assert given == {0, 1, 4, 6, 7}


# The marks -----------------------------------------------------------------------------------


def marks(machine: Machine) -> dict[str, list[int]]:
    """The CPUs that are marked as given, by node."""
    return json.loads(text(machine, "/host/state.json"))["vmbus"]["allocated_cpus"]


def test_the_marks_begin_anew_when_every_cpu_of_the_node_has_one():
    machine = driverless_guest("boot-8cpu")
    seen = []
    for relid in range(100, 110):
        offer(machine, relid, "netvsc")
        seen.append(marks(machine)["0"])
    assert seen[:8] == [list(range(count + 1)) for count in range(8)]
    assert seen[8:] == [[0], [0, 1]]


@pytest.mark.parametrize("path", ["smp_affinity", "cpu"])
def test_a_mark_moves_with_its_channel(path):
    machine = captured_guest("boot-8cpu")
    assert marks(machine) == {"0": [0, 1, 2, 3]}
    file, data = {
        "smp_affinity": ("/proc/irq/39/smp_affinity", b"20"),
        "cpu": (f"{channel_path(machine, 19)}/cpu", b"5"),
    }[path]
    assert write(machine, file, data) == len(data)
    assert marks(machine) == {"0": [0, 1, 2, 3, 5]}


def test_a_mark_stays_while_another_perf_channel_is_on_the_cpu():
    machine = captured_guest("boot-8cpu")
    for irq, left in ((34, [0, 1, 2, 3, 7]), (43, [0, 1, 3, 7])):  # both are on CPU 2
        assert write(machine, f"/proc/irq/{irq}/smp_affinity", b"80") == 2
        assert marks(machine)["0"] == left


def test_other_devices_leave_the_marks_alone():
    machine = captured_guest("boot-8cpu")
    assert write(machine, "/proc/irq/24/smp_affinity", b"80") == 2
    assert marks(machine) == {"0": [0, 1, 2, 3]}


def test_a_removed_channel_takes_its_mark_along():
    machine = captured_guest("boot-8cpu")
    assert write(machine, "/proc/irq/29/smp_affinity", b"80") == 2  # relid 15, from CPU 1
    assert marks(machine)["0"] == [0, 1, 2, 3, 7]  # relid 22 is on CPU 1, too
    machine.host.rescind(machine.host.relids.taken[15])
    machine.timeline.settle()
    # Relid 15 was on CPU 7, with relid 20; its sub-channel 24 on CPU 3, with relid 16.
    assert marks(machine)["0"] == [0, 1, 2, 3, 7]
    machine.host.rescind(machine.host.relids.taken[13])
    machine.timeline.settle()
    assert marks(machine)["0"] == [0, 2]
