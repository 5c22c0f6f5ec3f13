"""What holds on every kernel and on every machine: one model, whatever it is shown as.

The tests of the other directories run on the default guest, or on that of the captures; what of
them does not depend on the kernel is held here, on all of them, by the same helpers.
"""

from __future__ import annotations

import re

import pytest
from model.guests import channel_path, interrupt_rows, node_at, read, text, write

from fakeproc import profiles
from fakeproc.files.tree import Attribute, Directory
from fakeproc.machine import Machine
from fakeproc.protocol.messages import ModifyChannel
from fakeproc.timeline import SECOND

from .kernels import APPLIED, NAMES, STOCK, console, named, set_cpu, settle

SMALL = tuple(name for name in profiles.names() if name != "hyperv-max")
# Every kernel on a machine of each architecture and on a host that speaks an old protocol; every
# machine on the oldest and the newest kernel and on that of the series.
MOST_DIFFERENT = ("hyperv-gen2", "hyperv-arm64", "hyperv-old-host")
FURTHEST_APART = ("rfc", "6.1", "7.2")
# What any file may answer, such as a ring of a closed channel and a file for root alone; and
# what only some do (`net/core/net-sysfs.c`).
UNREADABLE = {"EACCES", "EINVAL", "EIO"}
UNREADABLE_BY_NAME = {
    "phys_port_id": "ENOTSUP",
    "phys_port_name": "ENOTSUP",
    "phys_switch_id": "ENOTSUP",
    "traffic_class": "ENOENT",
    "xps_cpus": "ENOENT",
}
every_guest = pytest.mark.parametrize(
    ("name", "kernel"),
    [
        (name, kernel)
        for name in SMALL
        for kernel in (NAMES if name in MOST_DIFFERENT else FURTHEST_APART)
    ],
)


@pytest.fixture
def machine(name: str, kernel: str) -> Machine:
    return named(name, kernel)


def assert_views_agree(machine: Machine) -> None:
    """Every file that tells of a channel, of an IRQ or of a CPU tells the same."""
    kernel = machine.kernel
    rows = interrupt_rows(text(machine, "/proc/interrupts"))
    (intr,) = (line for line in text(machine, "/proc/stat").splitlines() if line[:5] == "intr ")
    totals = intr.split()[2:]
    online = kernel.cpus.online.bit_count()
    for desc in kernel.irqs.descs.values():
        per_cpu = [
            int(n) for n in text(machine, f"/sys/kernel/irq/{desc.irq}/per_cpu_count").split(",")
        ]
        assert sum(per_cpu) == int(totals[desc.irq]) == sum(desc.counts.values())
        assert len(per_cpu) == kernel.cpus.nr_cpu_ids
        if str(desc.irq) in rows:
            row = rows[str(desc.irq)]
            assert len(row.counts) == online
            assert sum(row.counts) <= sum(per_cpu)
            assert (
                text(machine, f"/sys/kernel/irq/{desc.irq}/chip_name").split()[0] == row.chip
                or " " in desc.chip.name
            )
    for channel in kernel.vmbus.channels.values():
        path = channel_path(machine, channel.relid)
        mapping = text(machine, f"{path}/../../channel_vp_mapping").split()
        cpu = int(text(machine, f"{path}/cpu"))
        assert f"{channel.relid}:{cpu}" in mapping
        if channel.desc is not None and channel.state == 3:
            assert (
                text(machine, f"/proc/irq/{channel.desc.irq}/effective_affinity_list") == f"{cpu}\n"
            )
            mask = int(
                text(machine, f"/proc/irq/{channel.desc.irq}/smp_affinity").replace(",", ""), 16
            )
            assert mask >> cpu & 1


# At rest -------------------------------------------------------------------------------------


@every_guest
def test_views_agree_at_rest_and_after_traffic(machine: Machine) -> None:
    assert_views_agree(machine)
    console(machine, "traffic", "all 300 poisson")
    machine.advance(3 * SECOND)
    assert_views_agree(machine)


@every_guest
def test_every_file_can_be_read_or_says_why_not(machine: Machine) -> None:
    seen = 0

    def visit(path: str, directory: Directory) -> None:
        nonlocal seen
        for child, kind in directory.children():
            node = directory.lookup(child)
            assert node is not None, f"{path}/{child} is listed, and is not there"
            assert isinstance(node, kind)
            if isinstance(node, Directory):
                visit(f"{path}/{child}", node)
            elif isinstance(node, Attribute):
                seen += 1
                answer = read(machine, f"{path}/{child}")
                if isinstance(answer, str) and answer != UNREADABLE_BY_NAME.get(child):
                    assert answer in UNREADABLE, f"{path}/{child}: {answer}"

    for root in ("proc", "sys", "host"):
        visit(f"/{root}", node_at(machine, f"/{root}"))
    assert seen > 500


@every_guest
def test_every_line_of_the_table_has_a_cell_for_every_cpu(machine: Machine) -> None:
    table = text(machine, "/proc/interrupts")
    header, *lines = table.splitlines()
    assert table.endswith("\n")
    online = machine.kernel.cpus.online.bit_count()
    assert len(header.split()) == online
    numbers = [int(line.split(":")[0]) for line in lines if line.split(":")[0].strip().isdigit()]
    assert numbers == sorted(numbers)
    single = {"ERR", "MIS", "Err"}
    for line in lines:
        label, rest = line.split(":", 1)
        cells = re.match(r"( +\d+)*(?= |$)", rest)[0].split()
        assert len(cells) >= (1 if label.strip() in single else online), line


@every_guest
def test_counters_only_grow(machine: Machine) -> None:
    """irqbalance takes a count that has become less for another machine."""

    def counters() -> dict[str, list[int]]:
        rows = interrupt_rows(text(machine, "/proc/interrupts"))
        return {label: row.counts for label, row in rows.items()}

    before = counters()
    for step in range(4):
        machine.advance((step + 1) * SECOND)
        now = counters()
        assert before.keys() <= now.keys()
        for label, counts in before.items():
            assert all(new >= old for new, old in zip(now[label], counts, strict=True)), label
        before = now


@every_guest
def test_two_guests_that_are_asked_the_same_answer_the_same(name: str, kernel: str) -> None:
    def asked() -> list[str]:
        machine = named(name, kernel)
        relid = next(iter(machine.kernel.vmbus.channels))
        set_cpu(machine, relid, "1\n")
        console(machine, "traffic", "all 50 poisson")
        machine.advance(5 * SECOND)
        return [
            text(machine, path) for path in ("/proc/interrupts", "/proc/stat", "/host/state.json")
        ]

    assert asked() == asked()


# Moving --------------------------------------------------------------------------------------


@every_guest
def test_a_move_is_seen_by_all_views_and_interrupts_follow_it(machine: Machine) -> None:
    vmbus = machine.kernel.vmbus
    if not vmbus.connection.has(ModifyChannel):
        for channel in vmbus.channels.values():
            assert set_cpu(machine, channel.relid, "1\n") == "EIO"
        return
    opened = [c for c in vmbus.channels.values() if c.state == 3]
    assert opened
    for channel in opened[:12]:
        for cpu in (1, 3, 0, 2):
            assert set_cpu(machine, channel.relid, f"{cpu}\n") in {0, 2}
            settle(machine)
            assert channel.target_cpu == cpu
            assert machine.host.relids.taken[channel.relid].target_vp == cpu
    assert_views_agree(machine)


@pytest.mark.parametrize("kernel", NAMES)
def test_what_is_refused_changes_nothing(kernel: str) -> None:
    machine = named("hyperv-gen2", kernel)
    paths = [channel_path(machine, relid) + "/cpu" for relid in (7, 14, 19)]
    if kernel in APPLIED:
        paths += [f"/proc/irq/{irq}/smp_affinity{s}" for irq in (24, 28, 39) for s in ("", "_list")]
    before = text(machine, "/host/state.json")
    for path in paths:
        for data in (
            b"\n",
            b"x",
            b"-1",
            b"999",
            b"8\n\x00" if path.endswith("cpu") else b",",
            b"1" * 5000,
        ):
            answer = write(machine, path, data)
            assert isinstance(answer, str), (path, data, answer)
    assert text(machine, "/host/state.json") == before


# CPUs ----------------------------------------------------------------------------------------


@every_guest
def test_a_cpu_that_is_offline_has_no_channel(machine: Machine) -> None:
    kernel = machine.kernel
    last = kernel.cpus.present.bit_length() - 1
    path = f"/sys/devices/system/cpu/cpu{last}/online"
    answer = write(machine, path, b"0")
    assert answer in {1, "EBUSY", "EIO"}
    held = [c for c in kernel.vmbus.channels.values() if c.target_cpu == last]
    assert bool(held) == (answer != 1)
    assert_views_agree(machine)
    if answer == 1:
        settle(machine)
        assert write(machine, path, b"1") == 1
        assert_views_agree(machine)


# Devices that come and go --------------------------------------------------------------------


@every_guest
def test_a_device_comes_and_goes_and_leaves_nothing(machine: Machine) -> None:
    kernel = machine.kernel
    before = set(kernel.irqs.descs), set(kernel.vmbus.channels), set(kernel.vmbus.devices)
    instance = "11111111-2222-3333-4444-555555555555"
    console(machine, "offer", f"netvsc guid={instance} subchannels=2")
    settle(machine)
    assert kernel.vmbus.devices[instance].driver.name == "hv_netvsc"
    assert_views_agree(machine)
    console(machine, "rescind", instance)
    settle(machine)
    assert (set(kernel.irqs.descs), set(kernel.vmbus.channels), set(kernel.vmbus.devices)) == before
    assert_views_agree(machine)


@pytest.mark.parametrize("kernel", [*APPLIED, *STOCK])
def test_the_interrupts_of_all_channels_are_found_again(kernel: str) -> None:
    """With the series on rows of their own, without it on HYP; none twice, and none lost."""
    machine = named("hyperv-gen2", kernel)

    def vmbus_and_hyp() -> tuple[int, int]:
        rows = interrupt_rows(text(machine, "/proc/interrupts"))
        messages = rows.get("HYP") or rows["24"]  # as reviewed, they have an interrupt
        vmbus = sum(sum(r.counts) for r in rows.values() if r.chip == "VMBus" and r is not messages)
        return vmbus, sum(messages.counts)

    vmbus, hyp = vmbus_and_hyp()
    for relid in machine.kernel.vmbus.channels:
        console(machine, "interrupt", f"{relid} 10")
    number = 10 * len(machine.kernel.vmbus.channels)
    assert number in {210, 240}  # three more devices where unsupported ones are not dropped
    assert vmbus_and_hyp() == (
        (vmbus + number, hyp) if kernel in APPLIED else (vmbus, hyp + number)
    )
