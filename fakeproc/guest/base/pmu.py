"""The performance counters of hybrid processors as devices: `arch/x86/events/intel/core.c`.

Each kind of CPU has a PMU of its own, cpu_core and cpu_atom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakeproc.guest.base.device import Bus, Device

if TYPE_CHECKING:
    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.cpus import Cpus

__all__ = ["HybridPmu", "hybrid_pmu_init"]


class HybridPmu(Device):
    """`struct x86_hybrid_pmu`; `cpus` are the possible CPUs of its kind."""

    def __init__(self, kind: str, cpus: int, bus: Bus[Any]) -> None:
        super().__init__(f"cpu_{kind}", bus=bus)
        self.cpus = cpus


def hybrid_pmu_init(devices: Devices, cpus: Cpus) -> None:
    """`init_hybrid_pmu`: nothing where all CPUs are of one kind."""
    kinds: dict[str, int] = {}
    for cpu, place in cpus.topology.places.items():
        if place.kind is not None:
            kinds[place.kind] = kinds.get(place.kind, 0) | 1 << cpu
    if kinds:
        bus: Bus[Any] = Bus("event_source")
        devices.add_bus(bus)
        for kind, of_kind in kinds.items():
            devices.add(HybridPmu(kind, of_kind, bus))
