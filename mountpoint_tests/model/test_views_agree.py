"""One model, many views: whatever is written by whatever path, they all say the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakeproc.files.text.bitmap import format_list, format_mask
from fakeproc.machine import Machine
from fakeproc.timeline import MILLISECOND, SECOND

from .guests import captured_guest, channel_path, default_guest, interrupt_rows, text, write

pytestmark = pytest.mark.every_kernel

CPUS = 8
VMBUS_IRQS = range(24, 45)
PATHS = ("smp_affinity", "smp_affinity_list", "cpu")


def relid_of(machine: Machine, irq: int) -> int:
    return int(text(machine, f"/sys/kernel/irq/{irq}/hwirq"))


def path_of(machine: Machine, irq: int, name: str) -> str:
    """The file that one of the three ways to move an IRQ goes by."""
    if name == "cpu":
        return f"{channel_path(machine, relid_of(machine, irq))}/cpu"
    return f"/proc/irq/{irq}/{name}"


def targets(machine: Machine, irq: int) -> dict[str, object]:
    """The CPU that an IRQ is on, by every file that says so."""
    relid = relid_of(machine, irq)
    channel = channel_path(machine, relid)
    mapping = text(machine, f"{channel}/../../channel_vp_mapping").split()
    effective = int(text(machine, f"/proc/irq/{irq}/effective_affinity"), 16)
    return {
        "effective_affinity": effective.bit_length() - 1 if effective.bit_count() == 1 else None,
        "effective_affinity_list": int(text(machine, f"/proc/irq/{irq}/effective_affinity_list")),
        "cpu": int(text(machine, f"{channel}/cpu")),
        "channel_vp_mapping": int(dict(line.split(":") for line in mapping)[str(relid)]),
    }


def counts(machine: Machine, irq: int, rows: dict, totals: list[str]) -> dict[str, int]:
    """How often an IRQ has come, by every file that says so."""
    per_cpu = text(machine, f"/sys/kernel/irq/{irq}/per_cpu_count")
    return {
        "/proc/interrupts": sum(rows[str(irq)].counts),
        "per_cpu_count": sum(map(int, per_cpu.split(","))),
        "/proc/stat": int(totals[irq]),
    }


def assert_views_agree(machine: Machine) -> None:
    rows = interrupt_rows(text(machine, "/proc/interrupts"))
    (intr,) = (line for line in text(machine, "/proc/stat").splitlines() if line[:5] == "intr ")
    totals = intr.split()[2:]
    for irq in VMBUS_IRQS:
        where = targets(machine, irq)
        assert len(set(where.values())) == 1, (irq, where)
        assert len(set(counts(machine, irq, rows, totals).values())) == 1, irq
        mask = int(text(machine, f"/proc/irq/{irq}/smp_affinity"), 16)
        assert mask >> where["cpu"] & 1, (irq, "is on a CPU that its mask does not have")
        listed = text(machine, f"/proc/irq/{irq}/smp_affinity_list")
        assert listed == f"{format_list(mask)}\n", irq


def state(machine: Machine) -> dict:
    """The model's whole state, without what a refused write may change."""
    whole = json.loads(text(machine, "/host/state.json"))
    # The pick moves on even where the host, or the channel's state, refuses what follows.
    del whole["vmbus"]["last_pick"]
    return whole


# Every IRQ, every CPU, every path ------------------------------------------------------------


@pytest.mark.parametrize("name", PATHS)
def test_a_move_by_one_path_is_seen_by_all_of_them(name):
    machine = default_guest()
    moves = 0
    for irq in VMBUS_IRQS:
        path = path_of(machine, irq, name)
        for cpu in range(CPUS):
            data = f"{1 << cpu:x}" if name == "smp_affinity" else f"{cpu}"
            assert write(machine, path, data.encode() + b"\n") == len(data) + 1
            assert set(targets(machine, irq).values()) == {cpu}
            assert text(machine, f"/proc/irq/{irq}/smp_affinity") == f"{1 << cpu:02x}\n"
            assert text(machine, f"/proc/irq/{irq}/smp_affinity_list") == f"{cpu}\n"
            moves += 1
    assert moves == len(VMBUS_IRQS) * CPUS
    assert_views_agree(machine)


@pytest.mark.parametrize("irq", [28, 34])
def test_numa_node_follows_the_primary_channel_from_node_to_node(irq):
    machine = captured_guest("small-8cpu-2numa")
    numa_node = f"{channel_path(machine, relid_of(machine, irq))}/../../numa_node"
    for cpu in (0, 7, 3, 4):
        assert write(machine, f"/proc/irq/{irq}/smp_affinity_list", b"%d" % cpu) == 1
        assert text(machine, numa_node) == f"{cpu // 4}\n"
        assert set(targets(machine, irq).values()) == {cpu}


def test_the_hint_stays_where_the_channel_was_opened():
    machine = default_guest()
    before = [text(machine, f"/proc/irq/{irq}/affinity_hint") for irq in VMBUS_IRQS]
    for name in PATHS:
        for irq in VMBUS_IRQS:
            assert write(machine, path_of(machine, irq, name), b"4") == 1
    assert [text(machine, f"/proc/irq/{irq}/affinity_hint") for irq in VMBUS_IRQS] == before


# Any sequence of writes ----------------------------------------------------------------------

masks = st.integers(0, (1 << CPUS) - 1)
garbage = st.sampled_from(
    [b"", b"\n", b"0\n", b"100\n", b"8", b"9\n", b"3-1\n", b"g", b"-1", b",", b"0,4", b"0x4", b"\0"]
) | st.binary(max_size=6)
data = {
    "smp_affinity": masks.map(lambda mask: format_mask(mask, CPUS).encode() + b"\n"),
    "smp_affinity_list": masks.map(lambda mask: format_list(mask).encode() + b"\n"),
    "cpu": st.integers(0, CPUS + 1).map(lambda cpu: b"%d\n" % cpu),
}
writes = st.one_of(
    st.tuples(st.sampled_from(VMBUS_IRQS), st.just(name), data[name] | garbage) for name in PATHS
)
waits = st.sampled_from([0, MILLISECOND, SECOND, 10 * SECOND])
steps = st.lists(st.tuples(writes, waits), min_size=1, max_size=12)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_after_any_sequence_of_writes_all_views_agree(steps):
    machine = default_guest()
    for (irq, name, data), wait in steps:
        before = state(machine)
        answer = write(machine, path_of(machine, irq, name), data)
        if isinstance(answer, str) or not data:
            assert state(machine) == before, (answer, "has changed something")
        else:
            assert answer == len(data)
        machine.advance(wait)
    assert_views_agree(machine)


@settings(max_examples=25, deadline=None)
@given(st.lists(writes, min_size=1, max_size=30))
def test_two_guests_that_are_asked_the_same_answer_the_same(steps):
    def asked(machine: Machine) -> list[object]:
        answers = [write(machine, path_of(machine, irq, name), data) for irq, name, data in steps]
        machine.advance(3 * SECOND)
        return [*answers, text(machine, "/host/state.json"), text(machine, "/proc/interrupts")]

    assert asked(default_guest()) == asked(default_guest())


def test_interrupts_land_on_the_old_cpu_until_the_host_has_heard_of_the_move():
    """The race that the series is about: both columns count, and the views still agree."""
    machine = default_guest()
    channel = machine.host.relids.taken[19]
    assert write(machine, "/proc/irq/39/smp_affinity_list", b"2\n") == 2
    machine.host.signal(channel, 3)
    machine.advance(SECOND)
    machine.host.signal(channel, 5)
    rows = interrupt_rows(text(machine, "/proc/interrupts"))
    assert rows["39"].counts == [0, 0, 5, 0, 0, 0, 2375 + 3, 0]
    assert_views_agree(machine)
