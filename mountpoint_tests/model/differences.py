"""Where fakeproc means to differ from the captures, each with its reason: here and nowhere else.

A test that finds a mismatch asks `known`, and fails where there is no such difference. That
each of them is still met is a test of its own, so that none outlives its reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .captures import Row

VMBUS = "/sys/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00"


@dataclass(frozen=True)
class Mismatch:
    """One answer that is not the recorded one.

    Of a node, `field` is what differs of it, or the name that only our directory has.
    """

    row: Row
    field: str
    recorded: object
    ours: object

    def __str__(self) -> str:
        return f"{self.row}: {self.field} is {self.ours!r}, recorded {self.recorded!r}"


@dataclass(frozen=True)
class Difference:
    """A difference that is meant; `excuses` says which mismatches are cases of it.

    `as_posted`: whether it is one as well where the guest has the series to the letter.
    """

    name: str
    reason: str
    excuses: Callable[[Mismatch], bool]
    as_posted: bool = True


def nodes(*patterns: str) -> Callable[[Mismatch], bool]:
    """The mismatches of nodes whose "path field" matches one of the patterns."""
    pattern = re.compile("|".join(f"(?:{each})" for each in patterns))
    return lambda it: "node" in it.row and bool(pattern.fullmatch(f"{it.row['node']} {it.field}"))


def _cpu_store_returns_the_count(it: Mismatch) -> bool:
    return (
        it.row.kind == "write"
        and it.field == "write(2)"
        and it.row["write"].endswith("/cpu")
        and it.recorded == 0
        and it.ours == len(it.row.input) > 0
    )


def _irq_is_freed_on_close(it: Mismatch) -> bool:
    if it.row.capture != "closed-8cpu":
        return False
    if it.field == "affinity_hint":
        return it.ours == "00\n"
    return nodes(
        "/proc/irq/25/affinity_hint text",
        "/proc/irq/34/affinity_hint text",
        "/sys/kernel/irq/(25|34)/actions text",
        "/proc/irq/(25/shutdown|34/netvsc) type",
    )(it)


def _closed_channel_opens_again(it: Mismatch) -> bool:
    if it.row.kind == "host":
        return it.row["host"].startswith("open ") and (it.recorded, it.ours) == ("EBUSY", None)
    return it.row.get("state") == "reopened" and it.field == "affinity_hint"


def _no_more_channels_than_cpus(it: Mismatch) -> bool:
    if it.row.capture != "small-2cpu":
        return False
    if it.row.kind == "state":  # without 17 to 22, relids 23 and 24 have lower IRQ numbers
        return it.row["relid"] in range(17, 25)
    return nodes(r".*/channels/(1[7-9]|2[0-2])(/\w+)? type", ".*/channel_vp_mapping text")(it)


KNOWN = (
    # Of the series as posted
    Difference(
        "a store to `cpu` returns the count",
        "Patch 10 of the series returns what irq_set_affinity() returned, 0, from"
        " vmbus_drv.c: target_cpu_store(), so that write(2) returns 0 and `echo` tries for ever."
        " The default guest does what was meant.",
        _cpu_store_returns_the_count,
        as_posted=False,
    ),
    Difference(
        "an IRQ is freed when its channel is closed",
        "As posted, the series frees an IRQ only when the relid is unmapped, so that action,"
        " directory and hint outlive vmbus_close(). The default guest does what was meant: free"
        " on close, request on open.",
        _irq_is_freed_on_close,
        as_posted=False,
    ),
    Difference(
        "a closed channel can be opened again",
        "The same gap: request_irq() finds the old action, and vmbus_open() gives EBUSY.",
        _closed_channel_opens_again,
        as_posted=False,
    ),
    # Of the captures' drivers and host, which are no real ones
    Difference(
        "netvsc asks for no more channels than there are CPUs",
        "The capture's driver asked for seven sub-channels on two CPUs, hv_netvsc asks for one"
        " (rndis_filter.c: rndis_filter_device_add). test_placement.py offers all seven.",
        _no_more_channels_than_cpus,
    ),
    Difference(
        "storvsc is a SCSI host",
        "The capture's driver opens channels and does nothing else.",
        nodes(f"{VMBUS}/f8b3781[ab]-\\S* host[01]"),
    ),
    Difference(
        "netvsc has an interface",
        "The same.",
        nodes(f"{VMBUS}/0022486b-\\S* net"),
    ),
    Difference(
        "every driver has rings of its own size",
        "The capture's drivers all have rings of 16 KiB.",
        nodes(r".*/(write_avail|(in|out)_write_bytes_avail) text"),
    ),
    Difference(
        "the host does not let the guest hibernate",
        "The ACPI tables of the capture's machine say that it can (S4).",
        nodes("/sys/bus/vmbus/hibernation text"),
    ),
    # Of the captures' machine: QEMU's Q35, one processor model, half a gigabyte
    Difference(
        "a Generation 2 guest has no PIC",
        "The capture's machine has one: IRQs 0 to 15 exist from the start, on node 0, and two of"
        " them are serial ports.",
        nodes(
            r"/(proc|sys/kernel)/irq/([0-7]|1[0-5])(/ttyS\d)? type",
            "/proc/irq/[89]/node text",
        ),
    ),
    Difference(
        "the ACPI interrupt is on CPU 0",
        "As in the cover letter; there the vector allocator chose CPU 1.",
        nodes("/proc/irq/9/effective_affinity(_list)? text"),
    ),
    Difference(
        "the ACPI devices above the VMBus are plain directories",
        "Nothing that reads the VMBus looks at their attributes.",
        nodes(
            f"{VMBUS}/(adr|hid|modalias|path|physical_node|power_state|status|subsystem|uevent|uid)"
            " type",
            "/sys/devices/system/cpu/cpu[01]/firmware_node type",
        ),
    ),
    Difference(
        "another processor, other memory",
        "What the profile says.",
        nodes(
            "/sys/devices/system/cpu/cpu[01]/uevent text",
            "/sys/devices/system/node/node[01]/(meminfo|numastat|vmstat) text",
        ),
    ),
    # Of the captures' kernel, configured for its purpose
    Difference(
        "the kernel is a distribution's",
        "The capture's has no CONFIG_PM, no CONFIG_CRASH_DUMP, no huge pages, no memory"
        " compaction, no SGX, no memory failure handling, and CONFIG_NR_CPUS=64.",
        nodes(
            ".* power",
            "/sys/devices/system/cpu/cpu[01] crash_notes(_size)?",
            "/sys/devices/system/node/node[01] (compact|hugepages|memory_failure|x86)",
            "/sys/devices/system/node/node[01]/cpulist size",
        ),
    ),
)


def known(mismatch: Mismatch) -> Difference | None:
    """The difference that a mismatch is a case of, if it is one."""
    return next((each for each in KNOWN if each.excuses(mismatch)), None)


def unexplained(mismatches: Iterable[Mismatch], series: str = "as meant") -> list[str]:
    """Those that no difference excuses, a line each."""
    lines = []
    for each in mismatches:
        difference = known(each)
        if difference is None or (series == "as posted" and not difference.as_posted):
            lines.append(str(each))
    return lines
