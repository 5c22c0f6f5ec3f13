"""The state of guest and host, typed: what `host/state.json` says.

CPUs and sets of CPUs are tuples of numbers; counts are by CPU, with zeros left
out.  What a later version adds to the file is ignored here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

__all__ = ["Channel", "Device", "Irq", "State"]

Cpus: TypeAlias = tuple[int, ...]
Counts: TypeAlias = dict[int, int]


@dataclass(frozen=True)
class Irq:
    """An interrupt of Linux."""

    chip: str
    hwirq: int
    actions: tuple[str, ...]
    affinity: Cpus
    effective_affinity: Cpus
    affinity_hint: Cpus
    counts: Counts


@dataclass(frozen=True)
class Channel:
    """A channel of a VMBus device.

    `target_cpu` is what the guest believes, `host_target_vp` where the host
    interrupts; they differ while a message is on its way.  `elsewhere` counts the
    interrupts that came to another CPU than the target at that time.
    """

    relid: int
    irq: int | None
    state: str
    target_cpu: int
    host_target_vp: int | None
    sent: int
    interrupts: int
    elsewhere: int
    events: int


@dataclass(frozen=True)
class Device:
    """A VMBus device; `driver` is None while it has none.

    `connection` is the one that it is offered on, from 1 on.
    """

    type: str
    class_id: str
    connection: int | None
    driver: str | None
    channels: tuple[Channel, ...]


@dataclass(frozen=True)
class State:
    """Guest and host at one moment."""

    profile: str
    time_s: float
    kernel_release: str
    kernel_version: str
    series: str
    possible: Cpus
    present: Cpus
    online: Cpus
    default_smp_affinity: Cpus
    irqs: dict[int, Irq]
    arch: dict[str, Counts]
    protocol: str
    last_pick: int
    modifychannels_sent: int
    modifychannels_completed: int
    allocated_cpus: dict[int, Cpus]
    devices: dict[str, Device]

    @classmethod
    def parse(cls, text: str) -> State:
        """From the text of `host/state.json`."""
        found: dict[str, Any] = json.loads(text)
        kernel, cpus, vmbus = found["kernel"], found["cpus"], found["vmbus"]
        return cls(
            profile=found["profile"],
            time_s=found["time_s"],
            kernel_release=kernel["release"],
            kernel_version=kernel["version"],
            series=kernel["series"],
            possible=tuple(cpus["possible"]),
            present=tuple(cpus["present"]),
            online=tuple(cpus["online"]),
            default_smp_affinity=tuple(found["default_smp_affinity"]),
            irqs={int(number): _irq(irq) for number, irq in found["irqs"].items()},
            arch={row: _counts(counts) for row, counts in found["arch"].items()},
            protocol=vmbus["protocol"],
            last_pick=vmbus["last_pick"],
            modifychannels_sent=vmbus["modifychannels_sent"],
            modifychannels_completed=vmbus["modifychannels_completed"],
            allocated_cpus={
                int(node): tuple(cpus) for node, cpus in vmbus["allocated_cpus"].items()
            },
            devices={name: _device(device) for name, device in vmbus["devices"].items()},
        )

    @property
    def channels(self) -> dict[int, Channel]:
        """All channels by relid; where two connections have the same, that of the first."""
        devices = sorted(self.devices.values(), key=lambda d: d.connection or 0, reverse=True)
        return {c.relid: c for device in devices for c in device.channels}

    def irqs_of(self, driver: str) -> dict[int, Irq]:
        """The interrupts of all channels of a driver's devices, by number."""
        return {
            channel.irq: self.irqs[channel.irq]
            for device in self.devices.values()
            if device.driver == driver
            for channel in device.channels
            if channel.irq is not None
        }

    def difference(self, before: State) -> list[str]:
        """What has become different, a line each: `irqs.39.affinity: (6,) -> (3,)`."""
        return list(_differences("", asdict(before), asdict(self)))


def _irq(found: dict[str, Any]) -> Irq:
    return Irq(
        chip=found["chip"],
        hwirq=found["hwirq"],
        actions=tuple(found["actions"]),
        affinity=tuple(found["affinity"]),
        effective_affinity=tuple(found["effective_affinity"]),
        affinity_hint=tuple(found["affinity_hint"]),
        counts=_counts(found["counts"]),
    )


def _device(found: dict[str, Any]) -> Device:
    names = Channel.__dataclass_fields__
    channels = [{name: channel[name] for name in names} for channel in found["channels"]]
    return Device(
        type=found["type"],
        class_id=found["class_id"],
        connection=found["connection"],
        driver=found["driver"],
        channels=tuple(Channel(**channel) for channel in channels),
    )


def _counts(found: dict[str, int]) -> Counts:
    return {int(cpu): count for cpu, count in found.items()}


def _differences(where: str, before: Any, now: Any) -> Iterator[str]:
    if before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before | now:
            below = f"{where}.{key}" if where else str(key)
            if key not in now:
                yield f"{below}: gone"
            elif key not in before and isinstance(now[key], dict):
                yield f"{below}: new"
            else:
                yield from _differences(below, before.get(key, 0), now[key])
    elif _are_channels(before, now):
        yield from _differences(where, _by_relid(before), _by_relid(now))
    else:
        yield f"{where}: {before} -> {now}"


def _are_channels(*values: Any) -> bool:
    return all(isinstance(v, tuple) and v and isinstance(v[0], dict) for v in values)


def _by_relid(channels: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return {f"relid {channel['relid']}": channel for channel in channels}
