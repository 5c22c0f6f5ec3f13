"""Interrupts that are not the VMBus's: IO-APIC inputs, and those nobody may move."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.irq.one_cpu import OneCpuChip

if TYPE_CHECKING:
    from fakeproc.guest.irq.core import IrqDesc

__all__ = ["ApicChip", "nr_irqs_at_boot"]


def nr_irqs_at_boot(nr_cpu_ids: int, legacy: int, gsi_top: int) -> int:
    """`arch_probe_nr_irqs`: interrupts that the vectors suffice for.

    `legacy` is 16 with a PIC (Generation 1), else 0; `gsi_top` the inputs of the IO-APICs.
    """
    messages = 16 * gsi_top if gsi_top > 16 else 8 * nr_cpu_ids
    return min(256 * nr_cpu_ids, gsi_top + legacy + 8 * nr_cpu_ids + messages)


class ApicChip(OneCpuChip):
    """A chip that steers by a local APIC vector, moved when the interrupt fires next.

    Without interrupt remapping x86 can only re-program such an interrupt from
    its own handler (`kernel/irq/migration.c: irq_move_masked_irq`).
    """

    moves_at_once = False

    def _pick(self, desc: IrqDesc, mask: int) -> int:
        """`apic_set_affinity`: the idlest CPU, the lowest among equals.

        The vector allocator (`kernel/irq/matrix.c: matrix_find_best_cpu`) takes
        the CPU with the most vectors free.
        """
        del desc
        vectors = Counter(cpu for cpus in self._target.values() for cpu in cpus_in(cpus))
        return min(cpus_in(mask), key=lambda cpu: (vectors[cpu], cpu))

    def effective_affinity(self, desc: IrqDesc) -> int:
        """The one CPU whose vector it has; CPU 0 before it is started."""
        return self._target.get(desc.irq, 1)
