"""What the model says of itself, to compare tools with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VMBUS = "VMBus"


def state(guest) -> dict[str, Any]:
    """All of it: host/state.json."""
    return json.loads((guest.host / "state.json").read_text())


def vmbus_irqs(state: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The IRQs of channels, by number."""
    return {int(irq): desc for irq, desc in state["irqs"].items() if desc["chip"] == VMBUS}


def total(desc: dict[str, Any]) -> int:
    return sum(desc["counts"].values())


@dataclass(frozen=True)
class Target:
    """Where an IRQ is, by every view of it."""

    affinity: tuple[int, ...]
    effective: int
    channel_cpu: int
    host_vp: int
    mapped: int

    @property
    def agrees(self) -> bool:
        return self.effective == self.channel_cpu == self.host_vp == self.mapped


def targets(guest) -> dict[int, Target]:
    """Where the channels' IRQs are, by guest, host and sysfs."""
    told = state(guest)
    irqs = vmbus_irqs(told)
    mapping = channel_vp_mapping(guest.sys)
    return {
        channel["irq"]: Target(
            tuple(irqs[channel["irq"]]["affinity"]),
            *irqs[channel["irq"]]["effective_affinity"],
            channel["target_cpu"],
            channel["host_target_vp"],
            mapping[channel["relid"]],
        )
        for device in told["vmbus"]["devices"].values()
        for channel in device["channels"]
        if channel["irq"] is not None
    }


def channel_vp_mapping(sys: Path) -> dict[int, int]:
    """relid → CPU, from the files of all devices."""
    files = (sys / "bus/vmbus/devices").glob("*/channel_vp_mapping")
    lines = [line.split(":") for file in files for line in file.read_text().splitlines()]
    return {int(relid): int(cpu) for relid, cpu in lines}
