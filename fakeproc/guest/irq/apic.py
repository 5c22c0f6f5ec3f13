"""Interrupts that are not the VMBus's: IO-APIC inputs, and those nobody may move."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fakeproc.guest.cpus import first_cpu
from fakeproc.guest.irq.one_cpu import OneCpuChip

if TYPE_CHECKING:
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.irq.core import IrqDesc
    from fakeproc.guest.irq.vector import VectorDomain

__all__ = ["ApicChip", "SimpleChip", "has_vectors", "nr_irqs_at_boot"]

# Whose interrupts come by a vector of the local APIC, by the names of their chips; an
# interrupt of another (of GPIO lines, of a PIC) comes by way of one of these, or of none.
_BY_VECTOR = re.compile("(IR-)?(IO-APIC|PCI-MSI|HPET|DMAR|AMD-Vi|Hyper-V PCIe MSI|HV-PCI)")


def has_vectors(chip: str) -> bool:
    """Whether the interrupts of a chip of that name have vectors of their own."""
    return _BY_VECTOR.match(chip) is not None


def nr_irqs_at_boot(nr_cpu_ids: int, legacy: int, gsi_top: int) -> int:
    """`arch_probe_nr_irqs`: interrupts that the vectors suffice for.

    `legacy` is 16 with a PIC (Generation 1), else 0; `gsi_top` the inputs of the IO-APICs.
    """
    messages = 16 * gsi_top if gsi_top > 16 else 8 * nr_cpu_ids
    return min(256 * nr_cpu_ids, gsi_top + legacy + 8 * nr_cpu_ids + messages)


class SimpleChip(OneCpuChip):
    """An x86 chip without vectors, moved when the interrupt fires next."""

    moves_at_once = False

    def _pick(self, desc: IrqDesc, mask: int) -> int:
        """The first CPU."""
        del desc
        return first_cpu(mask) or 0

    def effective_affinity(self, desc: IrqDesc) -> int:
        """The one CPU that it is steered to; CPU 0 before it is started."""
        return self._target.get(desc.irq, 1)


class ApicChip(SimpleChip):
    """A chip that steers by a local APIC vector.

    Without interrupt remapping ("IR-") x86 can only re-program such an interrupt from
    its own handler (`kernel/irq/migration.c: irq_move_masked_irq`).
    """

    def __init__(self, name: str, vectors: VectorDomain, cpus: Cpus) -> None:
        super().__init__(name)
        self.moves_at_once = name.startswith("IR-")
        self._vectors = vectors
        self._cpus = cpus

    def alloc(self, desc: IrqDesc) -> None:
        """A vector is promised to it."""
        self._vectors.alloc(desc)

    def free(self, desc: IrqDesc) -> None:
        """The promise and the vector go back."""
        self._vectors.free(desc)
        super().free(desc)

    def activate(self, desc: IrqDesc) -> None:
        """Take a vector where it was started, else within its affinity, else anywhere.

        Raises OSError ENOSPC.
        """
        started = self._target.get(desc.irq, 1)
        if started.bit_count() != 1:  # it comes to several by one vector of each, or to none
            return
        cpu = self._vectors.activate(desc, (started, desc.affinity, self._cpus.online))
        self._target[desc.irq] = 1 << cpu

    def deactivate(self, desc: IrqDesc) -> None:
        """The vector goes back; where the interrupt was last is still shown."""
        self._vectors.deactivate(desc)

    def acknowledge(self, desc: IrqDesc) -> None:
        """`apic_ack_edge`: it has come, so the vector of before a move is needed no more."""
        self._vectors.force_complete_move(desc)

    force_complete_move = acknowledge

    def _pick(self, desc: IrqDesc, mask: int) -> int:
        """`apic_set_affinity`; raises OSError EBUSY, ENOSPC."""
        return self._vectors.set_affinity(desc, mask)
