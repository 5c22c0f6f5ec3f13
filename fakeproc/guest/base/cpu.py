"""CPUs and NUMA nodes as devices: `drivers/base/cpu.c`, `node.c`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.base.device import Bus, Device, DeviceDriver
from fakeproc.guest.cpus import cpus_in

if TYPE_CHECKING:
    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.cpus import Cpus
    from fakeproc.timeline import Sleeper

__all__ = [
    "CpuDevice",
    "CpuRoot",
    "NodeDevice",
    "NodeRoot",
    "cpu_dev_init",
    "node_dev_init",
    "processor_driver",
]


class CpuRoot(Device):
    """/sys/devices/system/cpu itself."""


class NodeRoot(Device):
    """/sys/devices/system/node itself."""


class CpuDevice(Device):
    """`struct cpu`: a CPU that is present, in /sys/devices/system/cpu."""

    resume_latency = True

    def __init__(self, number: int, bus: Bus[CpuDevice], modalias: str) -> None:
        super().__init__(f"cpu{number}", bus=bus)
        self.number = number
        self._modalias = modalias

    @property
    def modalias(self) -> str:
        """`cpu_modalias`: what udev loads modules for."""
        return self._modalias

    def type_variables(self) -> dict[str, str]:
        """`cpu_uevent`: its text of the modalias brings a newline of its own."""
        return {"MODALIAS": f"{self._modalias}\n"}


class NodeDevice(Device):
    """`struct node`: a NUMA node, in /sys/devices/system/node."""

    def __init__(self, number: int, bus: Bus[NodeDevice]) -> None:
        super().__init__(f"node{number}", bus=bus)
        self.number = number


def cpu_dev_init(devices: Devices, cpus: Cpus) -> Bus[CpuDevice]:
    """`cpu_dev_init`: the bus of CPUs, and on it those that are present."""
    bus: Bus[CpuDevice] = Bus("cpu")
    devices.subsystem(bus, CpuRoot)
    for number in cpus_in(cpus.present):
        devices.add(CpuDevice(number, bus, cpus.modalias))
    return bus


def node_dev_init(devices: Devices, cpus: Cpus) -> Bus[NodeDevice]:
    """`node_dev_init`: the bus of nodes."""
    bus: Bus[NodeDevice] = Bus("node")
    if cpus.topology.has_numa:  # CONFIG_NUMA
        devices.subsystem(bus, NodeRoot)
    for number in cpus.nodes if cpus.topology.has_numa else ():
        devices.add(NodeDevice(number, bus))
    return bus


def processor_driver(devices: Devices, bus: Bus[CpuDevice]) -> Sleeper[None]:
    """`acpi_processor_driver_init`: the driver that has every CPU, where there is ACPI."""
    yield from devices.add_driver(bus, DeviceDriver("processor"))
