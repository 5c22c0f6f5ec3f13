"""PCI functions that the host passes through, and their message-signalled interrupts.

A function lies alone on a bus of its own, below the VMBus device that it came
with (`drivers/pci/controller/pci-hyperv.c`).  Its driver requests one vector
for itself and one for each queue.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fakeproc.guest.base.ida import Ida
from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.irq.apic import ApicChip

if TYPE_CHECKING:
    from fakeproc.guest.architecture import Architecture
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.irq.core import IrqCore, IrqDesc

__all__ = ["MODELS", "Pci", "PciFunction", "PciModel"]


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


@dataclass(slots=True, eq=False)
class PciFunction:
    """A function in the machine, by its domain; the bus is 0, the function is 0."""

    model: PciModel
    domain: int
    unit: int  # which of its driver's devices it is
    descs: list[IrqDesc] = field(default_factory=list)

    @property
    def address(self) -> str:
        """domain:bus:slot.function, as sysfs names it."""
        return f"{self.domain:04x}:00:{self.model.slot:02x}.0"

    def vector(self, index: int) -> str:
        """The name of a vector: 0 is the function's own, then one for each queue."""
        pattern = self.model.queue_vector if index else self.model.own_vector
        return pattern.format(address=self.address, unit=self.unit, queue=index - 1, number=index)


class Pci:
    """The PCI functions of a guest."""

    def __init__(
        self, cpus: Cpus, irqs: IrqCore, architecture: Architecture, chip_name: str
    ) -> None:
        self.functions: dict[str, PciFunction] = {}  # by address
        self._cpus = cpus
        self._irqs = irqs
        self._architecture = architecture
        # The name says whether all functions share one MSI domain (before
        # v6.17), whose hwirqs say which is meant, or have one each.
        self._chip_name = chip_name
        self._chips: dict[str, ApicChip] = {}
        self._units = {name: Ida() for name in MODELS}

    def plug(self, model_name: str, domain: int) -> PciFunction:
        """Let a function appear, and its driver request a vector for each queue and its own."""
        model = MODELS[model_name]
        function = PciFunction(model, domain, self._units[model_name].alloc())
        name = self._chip_name.format(address=function.address)
        chip = self._chips.setdefault(name, ApicChip(name))
        for index in range(1 + self._cpus.online.bit_count()):
            hwirq = self._hwirq(function, index)
            floor = self._architecture.irq_floor(hwirq, self._irqs.nr_irqs)
            desc = self._irqs.create(chip, hwirq, floor=floor)
            desc.flow_name, desc.node = "edge", 0
            chip.start(desc, 0)
            if index:
                self._spread(desc, chip, model, index - 1)
            self._irqs.request(desc, function.vector(index))
            function.descs.append(desc)
        self.functions[function.address] = function
        return function

    def _hwirq(self, function: PciFunction, index: int) -> int:
        """In a domain of its own the index, else what `pci_msi_domain_calc_hwirq` makes."""
        if "{address}" in self._chip_name:
            return index
        return index | (function.model.slot << 3) << 11 | function.domain << 27

    def _spread(self, desc: IrqDesc, chip: ApicChip, model: PciModel, queue: int) -> None:
        """A CPU for each queue: by the kernel (`irq_create_affinity_masks`), or as advice."""
        cpu = list(cpus_in(self._cpus.online))[queue]
        chip.start(desc, cpu)
        if model.managed:
            desc.managed = desc.affinity_set = True
            desc.affinity = 1 << cpu
        else:
            desc.hint = 1 << cpu

    def unplug(self, function: PciFunction) -> None:
        """Let the driver free the vectors, and the function go."""
        for desc in function.descs:
            self._irqs.release(desc)
            self._irqs.free(desc)
        function.descs.clear()
        self._units[function.model.name].free(function.unit)
        del self.functions[function.address]
