"""The devices on the VMBus of a recording, with their channels: /sys/bus/vmbus/devices."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fakeproc.protocol.classes import CLASS_GUIDS, STORAGE
from fakeproc.protocol.messages import MAX_RELID
from fakeproc.recordings.cpu_lists import of_list
from fakeproc.recordings.disks import disks_of
from fakeproc.recordings.functions import functions_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakeproc.interrupts_table import Row, Table
    from fakeproc.recordings.findings import Findings
    from fakeproc.recordings.tree import Recording

__all__ = ["CHIP", "add_vmbus", "spread"]

DEVICES = "sys/bus/vmbus/devices"
CHIP = "VMBus"  # of the channels' interrupts, with the series
_STORAGE = {CLASS_GUIDS[name] for name in STORAGE}
_VMBUS_ROWS = {"x86_64": "HYP", "arm64": "Hyper-V VMbus"}
_CONNECTION_ID = 0x20000  # and the slot, where nobody says by what the host is signalled
_STEP_US = 2000  # between two probes whose order is known


def add_vmbus(
    recording: Recording, machine: dict[str, Any], table: Table | None, findings: Findings
) -> None:
    """Make the machine a guest of Hyper-V with the recorded devices, if there are any.

    What /proc/interrupts has of channels and PCI functions becomes theirs.
    """
    rows = {} if table is None else {r.hwirq: r for r in table.irqs.values() if r.chip == CHIP}
    devices = [
        device
        for name in recording.names(DEVICES)
        if (device := _device(recording, f"{DEVICES}/{name}", name)) is not None
    ]
    if not devices:
        if recording.is_directory("sys/bus/vmbus"):
            findings.missing.append("the devices of the VMBus")
            findings.assumed.append("no VMBus: its interrupts are shown, and have no device")
        return
    devices.sort(key=lambda device: _order(device, rows))
    _keep_order_of_names(recording, devices)
    is_applied = any(row.hwirq for row in rows.values())
    channels = [channel for device in devices for channel in (device, *device["subchannels"])]
    online = _online(machine)
    for channel in channels:
        if channel["target_cpu"] not in online:
            del channel["target_cpu"]
    machine["hyperv"] = True
    machine["vmbus"] = {"parent": _parent(recording), "devices": devices}
    machine["kernel"]["series"] = _series(rows) if is_applied else "absent"
    _take_offline_later(machine["cpus"])
    top = machine.get("arch", {}).get(_VMBUS_ROWS[machine["architecture"]], {})
    for channel in channels:
        row = rows.get(channel["relid"])
        number = channel.pop("interrupts")
        if table is not None and row is not None:
            channel["counts"] = {str(cpu): n for cpu, n in table.by_cpu(row).items() if n}
        elif not is_applied:
            _take(channel, number, top)
    _interrupts_of_devices(machine, devices, findings)
    findings.found.append(f"{len(devices)} devices on the VMBus with {len(channels)} channels")
    findings.assumed.append("VMBus protocol 5.3")


def spread(number: int, first: int | None, top: dict[int, int]) -> dict[int, int]:
    """So many interrupts on CPUs whose row of the VMBus has as many left, `first` before others."""
    counts = {}
    for cpu in dict.fromkeys((*(() if first is None else (first,)), *top)):
        some = min(number, top.get(cpu, 0))
        if some:
            counts[cpu] = some
            number -= some
    return counts


def _take(channel: dict[str, Any], number: int, top: dict[str, int]) -> None:
    """Without the series a channel's interrupts are counted in the row of the VMBus."""
    by_cpu = {int(cpu): count for cpu, count in top.items()}
    counts = spread(number, channel.get("target_cpu"), by_cpu)
    channel["counts"] = {str(cpu): count for cpu, count in counts.items()}
    for cpu, count in counts.items():
        top[str(cpu)] -= count


def _series(rows: dict[int | None, Row]) -> str:
    """Relid 0 is no channel: as reviewed, control messages have its interrupt."""
    return "as reviewed" if 0 in rows else "as meant"


def _online(machine: dict[str, Any]) -> set[int]:
    cpus = machine["cpus"]
    return set(of_list(cpus["present"])) - set(of_list(cpus.get("offline", "")))


def _take_offline_later(cpus: dict[str, Any]) -> None:
    """Drivers have opened as many channels as CPUs were online when the guest booted: all."""
    if "offline" in cpus:
        cpus["offlined"] = cpus.pop("offline")


# -- Devices -------------------------------------------------------------------------------


def _device(recording: Recording, path: str, name: str) -> dict[str, Any] | None:
    """One device; None of what says no class, or is no GUID."""
    try:
        instance = UUID(name)
        class_id = UUID((recording.line(f"{path}/class_id") or "").strip("{}"))
    except ValueError:
        return None
    mapping = list(_mapping(recording, path))
    if not mapping:
        return None
    channels = [_channel(recording, path, relid, cpu) for relid, cpu in mapping]
    primary, *subchannels = channels
    connection_id = recording.number(f"{path}/server_monitor_conn_id")
    if connection_id is not None and "monitor" in primary:
        primary["monitor"]["connection_id"] = connection_id
    device: dict[str, Any] = {
        "class": str(class_id),
        "instance": str(instance),
        "subchannels": subchannels,
    }
    if class_id in _STORAGE:
        hosts = recording.numbered(path, "host")
        device["disks_gib"] = [g for n in hosts for g in disks_of(recording, f"{path}/host{n}")]
    return device | primary


def _mapping(recording: Recording, path: str) -> Iterator[tuple[int, int | None]]:
    """The channels by relid with their CPUs, the primary first, then by their numbers."""
    cpus = {}
    for line in (recording.text(f"{path}/channel_vp_mapping") or "").splitlines():
        match = re.fullmatch(r"(\d{1,5}):(\d{1,5})", line)
        if match is not None and 0 < int(match[1]) <= MAX_RELID:
            cpus[int(match[1])] = int(match[2])
    relids = dict.fromkeys(cpus)
    listed = [relid for relid in recording.numbered(f"{path}/channels", "") if relid]
    if listed:
        at = {
            relid: recording.number(f"{path}/channels/{relid}/subchannel_id") or 0
            for relid in listed
            if relid <= MAX_RELID
        }
        relids = dict.fromkeys(sorted(at, key=lambda relid: (at[relid], relid)))
    elif not relids:
        number = recording.number(f"{path}/id")
        if number is not None and 0 < number <= MAX_RELID:
            relids = {number: None}
    for relid in relids:
        yield relid, cpus.get(relid, recording.number(f"{path}/channels/{relid}/cpu"))


def _channel(recording: Recording, path: str, relid: int, cpu: int | None) -> dict[str, Any]:
    below = f"{path}/channels/{relid}"
    found: dict[str, Any] = {"relid": relid, "target_cpu": cpu}
    found["interrupts"] = recording.number(f"{below}/interrupts") or 0
    slot = recording.number(f"{below}/monitor_id")
    if slot is not None and 0 <= slot < 128:
        found["monitor"] = {
            "id": slot,
            "connection_id": _CONNECTION_ID + slot,
            "latency": recording.number(f"{below}/latency") or 0,
        }
    return found


def _order(device: dict[str, Any], rows: dict[int | None, Row]) -> tuple[int, int]:
    """As they were offered: by the number of the interrupt that each was given then."""
    row = rows.get(device["relid"])
    return (0 if row is None else int(row.label), device["relid"])


def _keep_order_of_names(recording: Recording, devices: list[dict[str, Any]]) -> None:
    """Let who was probed later be late, by host<n> and eth<n>: drivers probe side by side."""
    for below, prefix in (("", "host"), ("net", "eth")):
        numbers = []
        for device in devices:
            path = posixpath.join(DEVICES, device["instance"], below)
            found = recording.numbered(path.rstrip("/"), prefix)
            if found:
                numbers.append((found[0], device))
        order = [number for number, _ in numbers]
        if order != sorted(order):
            for place, (_, device) in enumerate(sorted(numbers, key=lambda item: item[0])):
                device["probe_delay_us"] = place * _STEP_US


def _parent(recording: Recording) -> str:
    """Where Linux hangs the bus, below /sys/devices."""
    for name in recording.names(DEVICES):
        above = posixpath.dirname(recording.resolved(f"{DEVICES}/{name}"))
        if above.startswith("sys/devices/"):
            return above.removeprefix("sys/devices/")
    return "LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00"


# -- Their interrupts ----------------------------------------------------------------------


def _interrupts_of_devices(
    machine: dict[str, Any], devices: list[dict[str, Any]], findings: Findings
) -> None:
    """Say of what is a channel's or a PCI function's that its device makes it."""
    relids = {c["relid"] for device in devices for c in (device, *device["subchannels"])}
    irqs = machine.get("irqs", [])
    vpci = [device for device in devices if UUID(device["class"]) == CLASS_GUIDS["vpci"]]
    of_functions = functions_of(irqs, {d["instance"]: d for d in vpci}, findings)
    kept = []
    for irq in irqs:
        if irq["chip"] == CHIP and irq.get("hwirq") == 0:
            # As reviewed, of the control messages.
            machine["arch"][_VMBUS_ROWS[machine["architecture"]]] = irq["counts"]
            continue
        if _VMBUS_ROWS["arm64"] in irq.get("actions", ()):
            machine.setdefault("gic", {})["vmbus"] = irq["hwirq"]
            machine["arch"][_VMBUS_ROWS["arm64"]] = irq["counts"]
            continue
        is_channel = irq["chip"] == CHIP and irq.get("hwirq") in relids
        if is_channel or irq["irq"] in of_functions:
            keys = ("irq", "chip", "hwirq", "affinity", "effective", "hint", "counts")
            irq = {key: irq[key] for key in keys if key in irq} | {"of_device": True}  # noqa: PLW2901
            if is_channel:
                irq.pop("counts", None)  # the channel has them
        kept.append(irq)
    machine["irqs"] = kept
