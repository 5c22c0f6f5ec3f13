"""PCI functions that the host passes through, and their message-signalled interrupts.

A function lies alone on a bus of its own, below the VMBus device that it came
with (`drivers/pci/controller/pci-hyperv.c`).  Its driver requests one vector
for itself and one for each queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.guest.base.device import Bus, Device, DeviceDriver
from fakeproc.guest.base.ida import Ida
from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.irq.apic import ApicChip

if TYPE_CHECKING:
    from fakeproc.guest.architecture import Architecture
    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.irq.core import IrqCore, IrqDesc
    from fakeproc.timeline import Sleeper

__all__ = ["MODELS", "Pci", "PciBridge", "PciBus", "PciFunction", "PciModel"]


@dataclass(frozen=True, slots=True)
class PciModel:
    """A kind of function: what config space says, and what its driver does."""

    name: str
    vendor: int
    device: int
    class_code: int
    slot: int
    driver: str
    own_vector: str  # name of the vector for the function itself
    queue_vector: str  # and of those for its queues
    managed: bool  # whether the queues' affinity belongs to the kernel


MODELS = {
    model.name: model
    for model in (
        PciModel(
            "nic", 0x15B3, 0x101A, 0x020000, 2, "mlx5_core",
            "mlx5_async0@pci:{address}", "mlx5_comp{queue}@pci:{address}", managed=False,
        ),
        PciModel(
            "nvme", 0x1414, 0xB111, 0x010802, 0, "nvme",
            "nvme{unit}q0", "nvme{unit}q{number}", managed=True,
        ),
    )
}  # fmt: skip


class PciBridge(Device):
    """`struct pci_host_bridge`: the root of a domain, pci<domain>:00."""


class PciFunction(Device):
    """`struct pci_dev`: a function, by its domain; the bus is 0, the function is 0.

    `descs` are the vectors that its driver has requested: its own, then one
    for each queue.
    """

    def __init__(
        self, model: PciModel, domain: int, bridge: PciBridge, bus: Bus[PciFunction]
    ) -> None:
        super().__init__(f"{domain:04x}:00:{model.slot:02x}.0", bridge, bus=bus)
        self.model = model
        self.domain = domain
        self.unit = 0  # which of its driver's devices it is
        self.descs: list[IrqDesc] = []

    @property
    def address(self) -> str:
        """domain:bus:slot.function, as sysfs names it."""
        return self.name

    @property
    def modalias(self) -> str:
        """`pci_uevent`: what udev finds the driver by."""
        model = self.model
        base, sub, interface = model.class_code.to_bytes(3, "big")
        return (
            f"pci:v{model.vendor:08X}d{model.device:08X}sv{model.vendor:08X}sd00000000"
            f"bc{base:02X}sc{sub:02X}i{interface:02X}"
        )

    def type_variables(self) -> dict[str, str]:
        """`pci_uevent`."""
        model = self.model
        return {
            "PCI_CLASS": f"{model.class_code:X}",
            "PCI_ID": f"{model.vendor:04X}:{model.device:04X}",
            "PCI_SUBSYS_ID": f"{model.vendor:04X}:0000",
            "PCI_SLOT_NAME": self.address,
            "MODALIAS": self.modalias,
        }

    def vector(self, index: int) -> str:
        """The name of a vector: 0 is the function's own, then one for each queue."""
        pattern = self.model.queue_vector if index else self.model.own_vector
        return pattern.format(address=self.address, unit=self.unit, queue=index - 1, number=index)


class PciBus(Bus[PciFunction]):
    """`pci_bus_type`, with what the drivers of the models do: request and free vectors."""

    def __init__(
        self, cpus: Cpus, irqs: IrqCore, architecture: Architecture, chip_name: str
    ) -> None:
        super().__init__("pci")
        self._cpus = cpus
        self._irqs = irqs
        self._architecture = architecture
        # The name says whether all functions share one MSI domain (before
        # v6.17), whose hwirqs say which is meant, or have one each.
        self._chip_name = chip_name
        self._chips: dict[str, ApicChip] = {}
        self._units = {name: Ida() for name in MODELS}

    def match(self, device: PciFunction, driver: DeviceDriver) -> bool:
        """`pci_bus_match`."""
        return device.model.driver == driver.name

    def probe(self, driver: DeviceDriver, device: PciFunction) -> Sleeper[None]:
        """`pci_device_probe`: the driver requests a vector of its own and one for each queue."""
        del driver
        device.unit = self._units[device.model.name].alloc()
        name = self._chip_name.format(address=device.address)
        chip = self._chips.setdefault(name, ApicChip(name))
        for index in range(1 + self._cpus.online.bit_count()):
            hwirq = self._hwirq(device, index)
            floor = self._architecture.irq_floor(hwirq, self._irqs.nr_irqs)
            desc = self._irqs.create(chip, hwirq, floor=floor)
            desc.flow_name, desc.node = "edge", 0
            chip.start(desc, 1)
            if index:
                self._spread(desc, chip, device.model, index - 1)
            self._irqs.request(desc, device.vector(index))
            device.descs.append(desc)
        yield from ()

    def remove(self, driver: DeviceDriver, device: PciFunction) -> Sleeper[None]:
        """`pci_device_remove`: the driver frees the vectors."""
        del driver
        for desc in device.descs:
            self._irqs.release(desc)
            self._irqs.free(desc)
        device.descs.clear()
        self._units[device.model.name].free(device.unit)
        yield from ()

    def _hwirq(self, function: PciFunction, index: int) -> int:
        """In a domain of its own the index, else what `pci_msi_domain_calc_hwirq` makes."""
        if "{address}" in self._chip_name:
            return index
        return index | (function.model.slot << 3) << 11 | function.domain << 27

    def _spread(self, desc: IrqDesc, chip: ApicChip, model: PciModel, queue: int) -> None:
        """A CPU for each queue: by the kernel (`irq_create_affinity_masks`), or as advice."""
        cpu = list(cpus_in(self._cpus.online))[queue]
        chip.start(desc, 1 << cpu)
        if model.managed:
            desc.managed = desc.affinity_set = True
            desc.affinity = 1 << cpu
        else:
            desc.hint = 1 << cpu


class Pci:
    """The PCI functions of a guest, as they are plugged in and out."""

    def __init__(self, devices: Devices, bus: PciBus) -> None:
        self._devices = devices
        self._bus = bus
        devices.add_bus(bus)
        for model in MODELS.values():
            bus.drivers[model.driver] = DeviceDriver(model.driver, bus)

    @property
    def functions(self) -> dict[str, PciFunction]:
        """Every function by its address."""
        return self._bus.devices

    def plug(self, model_name: str, domain: int, parent: Device) -> Sleeper[PciFunction]:
        """`pci_host_probe`: a domain below `parent`, and in it a function, which finds a driver."""
        bridge = PciBridge(f"pci{domain:04x}:00", parent)
        self._devices.add(bridge)
        function = PciFunction(MODELS[model_name], domain, bridge, self._bus)
        yield from self._devices.register(function)
        return function

    def unplug(self, function: PciFunction) -> Sleeper[None]:
        """`pci_stop_root_bus`, `pci_remove_root_bus`: the driver, the function, the domain go."""
        yield from self._devices.remove(function)
        if isinstance(function.parent, PciBridge):
            yield from self._devices.remove(function.parent)
