"""Interrupts that are not the VMBus's: IO-APIC inputs, and those nobody may move."""

from __future__ import annotations

from collections import Counter

from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.irq.core import IrqChip, IrqDesc

__all__ = ["GSI_TOP", "ApicChip", "nr_irqs_at_boot"]

GSI_TOP = 24  # inputs of the one IO-APIC that Hyper-V shows


def nr_irqs_at_boot(nr_cpu_ids: int, legacy: int = 0) -> int:
    """`arch_probe_nr_irqs`: interrupts that the vectors suffice for.

    `legacy` is 16 with a PIC (Generation 1), else 0.
    """
    return min(256 * nr_cpu_ids, GSI_TOP + legacy + 8 * nr_cpu_ids + GSI_TOP * 16)


class ApicChip(IrqChip):
    """A chip that steers by a local APIC vector, moved when the interrupt fires next.

    Without interrupt remapping x86 can only re-program such an interrupt from
    its own handler (`kernel/irq/migration.c: irq_move_masked_irq`).
    """

    moves_at_once = False

    def __init__(self, name: str) -> None:
        self.name = name
        self._target: dict[int, int] = {}  # IRQ -> CPU

    def start(self, desc: IrqDesc, cpu: int) -> None:
        """Let an interrupt be steered to `cpu` from the start."""
        self._target[desc.irq] = cpu

    def set_affinity(self, desc: IrqDesc, mask: int) -> None:
        """`apic_set_affinity`: stay where the mask allows it, else take the idlest CPU.

        The vector allocator (`kernel/irq/matrix.c: matrix_find_best_cpu`) takes
        the CPU with the most vectors free, the lowest among equals.
        """
        if desc.irq in self._target and mask >> self._target[desc.irq] & 1:
            return
        vectors = Counter(self._target.values())
        self._target[desc.irq] = min(cpus_in(mask), key=lambda cpu: (vectors[cpu], cpu))

    def effective_affinity(self, desc: IrqDesc) -> int:
        """The one CPU whose vector it has."""
        return 1 << self._target.get(desc.irq, 0)
