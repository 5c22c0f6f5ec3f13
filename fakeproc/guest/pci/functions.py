"""PCI functions that the host passes through, and their message-signalled interrupts.

A function lies alone on a bus of its own, below the VMBus device that it came
with (`drivers/pci/controller/pci-hyperv.c`).  Its driver requests one vector
for itself and one for each queue.

Invariant: a bridge has a function or none; what the host has behind it is its
`model`, so that a function that was removed comes back when the bus is scanned again.
"""

from __future__ import annotations

from errno import EBUSY, EIO, ENODEV
from typing import TYPE_CHECKING

from fakeproc.guest.base.device import Bus, Device, DeviceDriver
from fakeproc.guest.base.ida import Ida
from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.net import Link, NetDevice
from fakeproc.guest.pci.config_space import MSIX_MAX, Bar, ConfigSpace, bar_bytes
from fakeproc.guest.pci.models import MODELS, PciModel

if TYPE_CHECKING:
    from fakeproc.guest.architecture import Architecture
    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.base.device import Class
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.irq.core import IrqCore, IrqDesc
    from fakeproc.guest.irq.one_cpu import OneCpuChip
    from fakeproc.guest.net import Net
    from fakeproc.timeline import Sleeper

__all__ = ["Pci", "PciBridge", "PciBus", "PciBusDevice", "PciFunction"]

FUNCTION_SPEED = 50_000  # Mb/s
# Where the host leaves room for the memory of PCI functions, above the guest's own.
MMIO_START = 0xF_C000_0000


class PciBridge(Device):
    """`struct pci_host_bridge`: the root of a domain, pci<domain>:00, and what lies behind it."""

    def __init__(self, domain: int, parent: Device, model: PciModel, address: bytes) -> None:
        super().__init__(f"pci{domain:04x}:00", parent)
        self.domain = domain
        self.model = model
        self.mac_address = address  # of a network function
        self.function: PciFunction | None = None


class PciBusDevice(Device):
    """The device of a `struct pci_bus`, of the class pci_bus: the root bus of a domain."""

    def __init__(self, bridge: PciBridge, class_: Class) -> None:
        super().__init__(f"{bridge.domain:04x}:00", bridge, class_=class_)
        self.bridge = bridge


class PciFunction(Device):
    """`struct pci_dev`: a function, by its domain; the bus is 0, the function is 0.

    `descs` are the vectors that its driver has requested: its own, then one
    for each queue.  `vectors` is how many there can be.
    """

    def __init__(self, bridge: PciBridge, bus: Bus[PciFunction], bar: Bar, vectors: int) -> None:
        model = bridge.model
        super().__init__(f"{bridge.domain:04x}:00:{model.slot:02x}.0", bridge, bus=bus)
        self.model = model
        self.bridge = bridge
        self.bar = bar
        self.vectors = vectors
        self.config = ConfigSpace(model, bar, vectors)
        self.enable_count = 0  # `enable_cnt`
        self.dma_mask_bits = 32  # of device and coherent mask: what addresses it reaches
        self.driver_override: str | None = None  # the only driver that may have it, by name
        self.broken_parity_status = False
        self.msi_allowed = True  # not `no_msi`, which later drivers heed
        self.unit = 0  # which of its driver's devices it is
        self.descs: list[IrqDesc] = []

    @property
    def domain(self) -> int:
        """The domain of its bus, 16 bits."""
        return self.bridge.domain

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

    def set_enabled(self, *, enabled: bool) -> None:
        """`enable_store`: enable it, or undo that once.

        Raises OSError EBUSY where it has a driver, EIO where it is not enabled.
        """
        if self.driver is not None:
            raise OSError(EBUSY, f"{self.name} belongs to {self.driver.name}")
        if not enabled and not self.enable_count:
            raise OSError(EIO, f"{self.name} is not enabled")
        self.enable_count += 1 if enabled else -1
        if bool(self.enable_count) == enabled:
            self.config.enable(enabled=enabled)

    def vector(self, index: int) -> str:
        """The name of a vector: 0 is the function's own, then one for each queue."""
        pattern = self.model.queue_vector if index else self.model.own_vector
        return pattern.format(address=self.address, unit=self.unit, queue=index - 1, number=index)


class PciBus(Bus[PciFunction]):
    """`pci_bus_type`, with what the drivers of the models do: request and free vectors."""

    def __init__(
        self,
        cpus: Cpus,
        irqs: IrqCore,
        architecture: Architecture,
        chip_name: str,
        net: Net,
    ) -> None:
        super().__init__("pci")
        self._cpus = cpus
        self._irqs = irqs
        self._architecture = architecture
        self._net = net
        # The name says whether all functions share one MSI domain (before
        # v6.17), whose hwirqs say which is meant, or have one each.
        self._chip_name = chip_name
        self._units = {name: Ida() for name in MODELS}

    def match(self, device: PciFunction, driver: DeviceDriver) -> bool:
        """`pci_bus_match`: by name where user space has overridden it."""
        return driver.name == (device.driver_override or device.model.driver)

    def probe(self, driver: DeviceDriver, device: PciFunction) -> Sleeper[None]:
        """`pci_device_probe`: the driver requests a vector of its own and one for each queue.

        Raises OSError: ENODEV where an override gives it to a driver of another model,
        ENOSPC where no CPU has a vector left, ENOMEM (see `IrqCore.create`).
        """
        if driver.name != device.model.driver:
            raise OSError(ENODEV, f"{driver.name} knows no such function as {device.name}")
        device.enable_count += 1
        device.config.enable(enabled=True)
        device.config.drive(driven=True)
        device.dma_mask_bits = 64
        device.unit = self._units[device.model.name].alloc()
        name = self._chip_name.format(address=device.address)
        chip = self._architecture.chip(name)
        queues = self._queues(device, name)
        try:
            for index in range(1 + queues):
                self._request(device, chip, index)
        except OSError:
            self._let_go(device)
            raise
        if device.model.network:
            device.drvdata = self._interface(device, queues)
            self._net.register(device.drvdata, queues)
        yield from ()

    def _request(self, function: PciFunction, chip: OneCpuChip, index: int) -> None:
        """Allocate and request one of its interrupts; raises OSError ENOSPC without a vector."""
        hwirq = self._hwirq(function, index)
        floor = self._architecture.irq_floor(hwirq, self._irqs.nr_irqs)
        desc = self._irqs.create(chip, hwirq, floor=floor)
        function.descs.append(desc)
        desc.flow_name, desc.node = "edge", 0
        chip.start(desc, 1)
        if index:
            self._spread(desc, chip, function.model, index - 1)
        self._irqs.request(desc, function.vector(index))

    def _queues(self, device: PciFunction, chip: str) -> int:
        """One for each CPU, as far as there are vectors; or as many as the profile has numbers for.

        A machine that was recorded had other CPUs online when the driver came than it has now.
        """
        described = [
            index
            for index in range(1, device.vectors)
            if self._irqs.is_reserved(chip, self._hwirq(device, index))
        ]
        most = min(device.vectors - 1, self._cpus.online.bit_count(), device.model.most_queues)
        return max(described, default=most)

    def _interface(self, function: PciFunction, queues: int) -> NetDevice:
        """`mlx5e_create_netdev`, `mana_probe_port`: under the name that udev gives it at once.

        systemd names it by its domain and by the number of its slot, which on
        Hyper-V is the serial number of the function, 1 for the one of a domain.
        """
        link = Link(
            function.bridge.mac_address,
            speed=FUNCTION_SPEED,
            num_tx_queues=queues,
            packets=lambda: sum(desc.total for desc in function.descs[1:]),
        )
        return self._net.alloc(f"enP{function.domain}s1", function, link)

    def remove(self, driver: DeviceDriver, device: PciFunction) -> Sleeper[None]:
        """`pci_device_remove`: the interface goes, and the driver frees the vectors."""
        del driver
        if isinstance(device.drvdata, NetDevice):
            yield from self._net.unregister(device.drvdata)
        self._let_go(device)

    def _let_go(self, device: PciFunction) -> None:
        """Free its interrupts, and disable it."""
        for desc in device.descs:
            self._irqs.release(desc)
            self._irqs.free(desc)
        device.descs.clear()
        device.config.drive(driven=False)
        device.enable_count -= 1
        if not device.enable_count:
            device.config.enable(enabled=False)
        self._units[device.model.name].free(device.unit)

    def _hwirq(self, function: PciFunction, index: int) -> int:
        """In a domain of its own the index, else what `pci_msi_domain_calc_hwirq` makes."""
        if "{address}" in self._chip_name:
            return index
        return index | (function.model.slot << 3) << 11 | function.domain << 27

    def _spread(self, desc: IrqDesc, chip: OneCpuChip, model: PciModel, queue: int) -> None:
        """A CPU for each queue: by the kernel (`irq_create_affinity_masks`), or as advice."""
        online = list(cpus_in(self._cpus.online))
        cpu = online[queue % len(online)]
        chip.start(desc, 1 << cpu)
        if model.managed:
            desc.managed = desc.affinity_set = True
            desc.affinity = 1 << cpu
        else:
            desc.hint = 1 << cpu


class Pci:
    """The PCI functions of a guest, as they are plugged in and out."""

    def __init__(self, devices: Devices, bus: PciBus, cpus: Cpus) -> None:
        self._devices = devices
        self._bus = bus
        self._class = devices.class_of("pci_bus")
        # The host gives a function as many vectors as the guest can use, as far as MSI-X goes.
        self._vectors = min(MSIX_MAX, 1 + cpus.nr_cpu_ids)
        devices.add_bus(bus)
        for model in MODELS.values():
            bus.drivers[model.driver] = DeviceDriver(model.driver, bus)

    @property
    def functions(self) -> dict[str, PciFunction]:
        """Every function by its address."""
        return self._bus.devices

    def plug(
        self, model_name: str, domain: int, parent: Device, address: bytes
    ) -> Sleeper[PciBridge]:
        """`pci_host_probe`: a domain below `parent`, and in it a function, which finds a driver."""
        bridge = PciBridge(domain, parent, MODELS[model_name], address)
        self._devices.add(bridge)
        self._devices.add(PciBusDevice(bridge, self._class))
        yield from self._scan(bridge)
        return bridge

    def unplug(self, bridge: PciBridge) -> Sleeper[None]:
        """`pci_stop_root_bus`, `pci_remove_root_bus`: the driver, the function, the domain go."""
        if bridge.function is not None:
            yield from self.remove(bridge.function)
        yield from self._devices.remove(self._class.devices[f"{bridge.domain:04x}:00"])
        yield from self._devices.remove(bridge)

    def remove(self, function: PciFunction) -> Sleeper[None]:
        """`remove_store`: take a function away, until its bus is scanned again."""
        function.bridge.function = None
        yield from self._devices.remove(function)

    def rescan(self, bridge: PciBridge | None = None) -> Sleeper[None]:
        """`pci_rescan_bus`: look for functions on one bus, or (None) on all."""
        buses = self._class.devices.values()
        bridges = [bus.bridge for bus in buses if isinstance(bus, PciBusDevice)]
        for each in bridges if bridge is None else [bridge]:
            yield from self._scan(each)

    def _scan(self, bridge: PciBridge) -> Sleeper[None]:
        if bridge.function is None:
            model = bridge.model
            size = bar_bytes(model.bar_bytes, self._vectors)
            bar = Bar(self._free_memory(size), size, model.prefetchable)
            bridge.function = PciFunction(bridge, self._bus, bar, self._vectors)
            yield from self._devices.register(bridge.function)

    def _free_memory(self, size: int) -> int:
        """`allocate_resource`: the first room of that size, aligned to it."""
        start = -(-MMIO_START // size) * size
        for taken in sorted((f.bar for f in self.functions.values()), key=lambda bar: bar.start):
            if start + size <= taken.start:
                break
            start = max(start, -(-(taken.start + taken.size) // size) * size)
        return start
