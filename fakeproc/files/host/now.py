"""The profile of a guest as it is now: what to mount to go on from there.

It keeps which CPUs and devices there are, where each interrupt goes, what has been counted, and
how often everything comes.  It does not keep what a profile cannot say: connections by socket,
drivers that were taken from their devices, faults, the default affinity, the journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.hv.irqchip import VMBusChip
from fakeproc.guest.irq.core import U32
from fakeproc.host.devices import MAX_RELID, HostChannelState
from fakeproc.profiles.schema import (
    CpuGroup,
    Device,
    MonitorSlot,
    Node,
    OtherIrq,
    Profile,
    Subchannel,
)
from fakeproc.recordings.vmbus import spread
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fakeproc.guest.hv.channel import Channel
    from fakeproc.guest.irq.core import IrqDesc
    from fakeproc.host.devices import HostChannel, HostDevice
    from fakeproc.host.traffic import Source
    from fakeproc.machine import Machine

__all__ = ["profile_now"]


def profile_now(machine: Machine) -> Profile:
    """The profile that boots into the state of this moment, to the second."""
    machine.host.settle()
    profile, now = machine.profile, machine.timeline.now
    uptime = now // SECOND
    left = profile.uptime_s + profile.quiet_s - uptime
    present = frozenset(cpus_in(machine.kernel.cpus.present))
    counts = _ChannelCounts(machine, present)
    update: dict[str, Any] = {
        "uptime_s": uptime,
        "quiet_s": max(0.0, left),
        "timer_rate": profile.timer_rate,
        "cpus": profile.cpus.model_copy(update=_cpus(machine, present)),
        "vmbus": profile.vmbus.model_copy(
            update={"devices": tuple(_devices(machine, counts, quiet=left > 0))}
        ),
        "irqs": tuple(_irqs(machine, present, quiet=left > 0)),
        "arch": counts.architecture,
        # Of which it is the same machine, whatever the file will be called.
        "dmi": profile.dmi.model_copy(update={"identity": profile.dmi.identity or profile.name}),
    }
    if machine.host.sources.timer_rate is not None:
        update["timer_rate"] = machine.host.sources.timer_rate
    if present != profile.cpus.present_cpus:
        update |= _nodes(machine)
    return profile.model_copy(update=update)


def _cpus(machine: Machine, present: frozenset[int]) -> dict[str, Any]:
    kernel, profile = machine.kernel, machine.profile.cpus
    offline = present - frozenset(cpus_in(kernel.cpus.online))
    update: dict[str, Any] = {
        "offline": offline & profile.offline,
        "offlined": offline - profile.offline,
    }
    if kernel.smt.state in {"off", "forceoff"} or profile.smt is not None:
        update["smt"] = kernel.smt.state
    if present == profile.present_cpus:
        return update
    # The short form divides the CPUs that are present at the start: others by now.
    places = {cpu: kernel.cpus.place_of(cpu) for cpu in sorted(profile.possible_cpus)}
    if not profile.groups:
        columns = {
            key: tuple(getattr(place, key) for place in places.values())
            for key in ("package", "die", "cluster", "core", "apicid")
        }
        said = {key: numbers for key, numbers in columns.items() if None not in numbers}
        update["groups"] = (CpuGroup.model_validate({"cpus": frozenset(places), **said}),)
        update |= {key: type(profile).model_fields[key].default for key in _SHORT_FORM}
    return update | {"present": present}


_SHORT_FORM = ("packages", "threads_per_core", "numbering", "nodes")


def _nodes(machine: Machine) -> dict[str, Any]:
    """Each node with its CPUs, where their number no longer says which."""
    profile, topology = machine.profile, machine.kernel.cpus.topology
    if profile.nodes or not topology.has_numa:
        return {}
    masks = {number: topology.node_masks[number] for number in topology.nodes}
    return {
        "nodes": tuple(
            Node(number=number, cpus=frozenset(cpus_in(mask))) for number, mask in masks.items()
        )
    }


# -- Channels ------------------------------------------------------------------------------


class _ChannelCounts:
    """What each channel has counted by CPU, and the architecture's rows without that.

    Without the series a channel knows how many interrupts it had, and not where: they are put on
    CPUs whose row of the VMBus has as many, on its own first.
    """

    def __init__(self, machine: Machine, present: frozenset[int]) -> None:
        kernel = machine.kernel
        self._kernel, self._present = kernel, present
        self.architecture = {
            row: _of(counts, present) for row, counts in kernel.architecture.counted().items()
        }
        self._on_top = kernel.counts_on_top
        self._top = self.architecture.setdefault(kernel.architecture.vmbus_row, {})

    def of(self, channel: Channel) -> dict[int, int]:
        """The counts of a channel; taken from the row of the VMBus where they are in it."""
        if channel.desc is not None and channel.desc.counts:
            counts = _of(channel.desc.counts, self._present)
        elif self._on_top:
            counts = spread(channel.interrupts, channel.target_cpu, self._top)
        else:
            counts = {}
        if self._on_top:
            for cpu, number in counts.items():
                self._top[cpu] = max(0, self._top.get(cpu, 0) - number)
        return counts


def _devices(machine: Machine, counts: _ChannelCounts, *, quiet: bool) -> Iterable[Device]:
    profile = machine.profile
    wanted = {device.instance: device for device in profile.vmbus.devices}
    taken = {channel.relid for channel in machine.host.channels()}
    for device in machine.host.devices:
        if device.is_hvsock:
            continue
        before = wanted.get(device.instance)
        said = () if before is None else before.channels
        rates = {index: (channel.rate, channel.traffic) for index, channel in enumerate(said)}
        listed = _listed(device)
        tables: list[dict[str, Any]] = []
        for channel in listed:
            index = channel.index
            rate, kind = rates.get(index, (0.0, "steady")) if quiet else (0.0, "steady")
            relid = channel.relid or _free_relid(channel.preferred, taken)
            taken.add(relid)
            tables.append(
                {"relid": relid}
                | _traffic(channel.traffic, rate, kind)
                | _monitor(channel)
                | _of_guest(machine, channel, counts)
            )
        first, *rest = tables
        yield Device.model_validate(
            {
                "class": str(device.class_id),
                "instance": device.instance,
                "pci": device.pci_model,
                "disks_gib": [size >> 30 for size in device.disks],
                "encrypted": device.encrypted,
                "connection": device.connection + 1,
                "subchannels": [Subchannel.model_validate(table) for table in rest],
                "more_subchannels": len(device.channels) - len(listed),
                "probe_delay_us": before.probe_delay_us if before else 0,
                "subchannel_delay_us": before.subchannel_delay_us if before else 0,
            }
            | first
        )


def _listed(device: HostDevice) -> list[HostChannel]:
    """Its channels up to the last that has a relid, or wants a certain one."""
    having = [
        channel.index
        for channel in device.channels
        if channel.state is not HostChannelState.FREE or channel.preferred is not None
    ]
    return device.channels[: max(having, default=0) + 1]


def _free_relid(preferred: int | None, taken: set[int]) -> int:
    free = (number for number in range(1, MAX_RELID + 1) if number not in taken)
    return preferred if preferred is not None and preferred not in taken else next(free)


def _traffic(source: Source | None, rate: float, kind: str) -> dict[str, Any]:
    """How often it comes; what the profile says where nothing comes of it yet."""
    if source is None:
        return {"rate": rate, "traffic": kind}
    return {"rate": source.rate, "traffic": source.kind}


def _monitor(channel: HostChannel) -> dict[str, Any]:
    slot = channel.monitor
    if slot is None:
        return {}
    return {
        "monitor": MonitorSlot(
            id=slot.id, connection_id=slot.connection_id, latency=slot.latency
        )
    }  # fmt: skip


def _of_guest(machine: Machine, channel: HostChannel, counts: _ChannelCounts) -> dict[str, Any]:
    """Which CPU the guest has it interrupt, and its counts; nothing of an offer that it dropped."""
    kernel = machine.kernel
    known, _ = kernel.vmbus.table.find(channel.relid, channel.device.connection)
    if known is None:
        return {}
    found: dict[str, Any] = {"counts": counts.of(known)}
    if kernel.cpus.is_online(known.target_cpu):
        found["target_cpu"] = known.target_cpu
    return found


# -- Interrupts ----------------------------------------------------------------------------


def _irqs(machine: Machine, present: frozenset[int], *, quiet: bool) -> Iterable[OtherIrq]:
    kernel, lines = machine.kernel, machine.host.sources.lines
    wanted = {irq.irq: irq for irq in machine.profile.irqs if not irq.of_device}
    of_pci = {desc.irq for each in kernel.pci.functions.values() for desc in each.descs}
    for number, desc in sorted(kernel.irqs.descs.items()):
        before = wanted.get(number)
        is_channel = isinstance(desc.chip, VMBusChip)
        if before is None and not is_channel and number not in of_pci:
            continue  # the architecture's own
        base = before or OtherIrq(
            irq=number, chip=desc.chip.name, hwirq=desc.hwirq, of_device=True
        )  # fmt: skip
        update = _state(desc)
        if not is_channel:
            rate, kind = (base.rate, base.traffic) if quiet else (0.0, "steady")
            update |= _traffic(lines.get(number), rate, kind)
            update |= {"counts": _of(desc.counts, present)}
            update |= {} if base.per_cpu else {"effective": frozenset(cpus_in(desc.effective))}
        yield base.model_copy(update=update)


def _state(desc: IrqDesc) -> dict[str, Any]:
    update: dict[str, Any] = {"hint": frozenset(cpus_in(desc.hint))}
    if not desc.per_cpu:
        update["affinity"] = frozenset(cpus_in(desc.shown_affinity))
    return update


def _of(counts: Mapping[int, int], present: frozenset[int]) -> dict[int, int]:
    """Counts as a profile has them: of CPUs that are there, of 32 bits."""
    return {
        cpu: number & U32
        for cpu, number in sorted(counts.items())
        if number & U32 and cpu in present
    }
