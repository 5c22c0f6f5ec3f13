"""The state of guest and host, as host/state.json shows it.

CPUs and sets of CPUs are lists of numbers, counts are objects from CPU to
number with zeros left out, times are seconds of machine time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakeproc.guest.cpus import cpus_in
from fakeproc.protocol.classes import HV_SOCK
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakeproc.guest.hv.channel import Channel, VmbusDevice
    from fakeproc.guest.irq.core import IrqDesc
    from fakeproc.machine import Machine

__all__ = ["state"]


def state(machine: Machine) -> dict[str, Any]:
    """Everything; `schema` grows when a reader would have to know."""
    kernel = machine.kernel
    return {
        "schema": 1,
        "profile": machine.profile.name,
        "time_s": machine.timeline.now / SECOND,
        "kernel": {
            "release": machine.profile.kernel.uname_release,
            "version": machine.profile.kernel.version,
            "series": machine.profile.kernel.series,
        },
        "cpus": {
            "possible": _list(kernel.cpus.possible),
            "present": _list(kernel.cpus.present),
            "online": _list(kernel.cpus.online),
        },
        "default_smp_affinity": _list(kernel.irqs.default_affinity),
        "irqs": {str(desc.irq): _irq(desc) for desc in kernel.irqs.descs.values()},
        "arch": {row: _counts(counts) for row, counts in kernel.accounting.arch.items()},
        "vmbus": {
            "protocol": ".".join(map(str, kernel.vmbus.connection.version)),
            "interrupts_sent": _sent(machine),
            "last_pick": kernel.vmbus.chip.last_pick,
            "modifychannels_sent": sum(c.modify_sent for c in kernel.vmbus.connections),
            "modifychannels_completed": sum(c.modify_completed for c in kernel.vmbus.connections),
            "allocated_cpus": {
                str(node): _list(mask) for node, mask in kernel.vmbus.placement.allocated.items()
            },
            "devices": {
                name: _device(machine, device) for name, device in kernel.vmbus.devices.items()
            },
        },
    }


def _sent(machine: Machine) -> int:
    """By the host for all channels, also those that have gone."""
    machine.host.settle()
    return machine.host.sources.sent


def _irq(desc: IrqDesc) -> dict[str, Any]:
    return {
        "chip": desc.chip.name,
        "hwirq": desc.hwirq,
        "actions": desc.actions,
        "affinity": _list(desc.shown_affinity),
        "effective_affinity": _list(desc.effective),
        "affinity_hint": _list(desc.hint),
        "counts": _counts(desc.counts),
    }


def _device(machine: Machine, device: VmbusDevice) -> dict[str, Any]:
    return {
        "type": HV_SOCK if device.offer.is_hvsock else device.type.name,
        "class_id": str(device.offer.class_id),
        "connection": device.primary.connection.number + 1 if device.channels else None,
        "driver": device.driver.name if device.driver else None,
        "channels": [_channel(machine, channel) for channel in device.channels],
    }


def _channel(machine: Machine, channel: Channel) -> dict[str, Any]:
    host = machine.host.connections[channel.connection.number].channel(channel.relid)
    return {
        "relid": channel.relid,
        "irq": channel.desc.irq if channel.desc else None,
        "state": channel.state.name,
        "target_cpu": channel.target_cpu,
        "host_target_vp": host.target_vp if host else None,
        "sent": host.sent if host else 0,
        "interrupts": channel.interrupts,
        "elsewhere": channel.elsewhere,
        "events": channel.events,
    }


def _list(mask: int) -> list[int]:
    return list(cpus_in(mask))


def _counts(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(cpu): count for cpu, count in sorted(counts.items()) if count}
