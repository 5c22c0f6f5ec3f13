"""The vectors of x86's interrupts: `arch/x86/kernel/apic/vector.c`.

Every interrupt of an IO-APIC or of a PCI function needs a vector of the CPU it
comes to.  One that nobody has requested has the promise of one (a reservation);
one that has moved holds two until it has come to its new CPU.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from errno import EBUSY, ENOSPC
from typing import TYPE_CHECKING

from fakeproc.guest.irq.matrix import VectorMatrix
from fakeproc.guest.log import KERN_WARNING

if TYPE_CHECKING:
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.irq.core import IrqDesc
    from fakeproc.guest.log import KernelLog

__all__ = ["VectorDomain", "vectors_of_a_cpu"]

FIRST_EXTERNAL_VECTOR = 0x20
LOCAL_TIMER_VECTOR = 0xEC  # FIRST_SYSTEM_VECTOR, without CONFIG_X86_POSTED_MSI


def vectors_of_a_cpu(*, pic: bool, cleanup_vector: bool) -> int:
    """How many vectors of a CPU interrupts can have.

    Within them lie the system call's (0x80), the cascade's of a PIC, and the one by
    which old vectors were cleaned up before v6.6.
    """
    return LOCAL_TIMER_VECTOR - FIRST_EXTERNAL_VECTOR - 1 - pic - cleanup_vector


@dataclass(slots=True)
class _ChipData:
    """`struct apic_chip_data`: the CPU of the vector, and of the one before a move."""

    cpu: int | None = None
    previous: int | None = None
    managed: int = 0  # on which CPUs a vector is reserved for it, where it is managed


class VectorDomain:
    """`x86_vector_domain`."""

    def __init__(self, cpus: Cpus, size: int) -> None:
        self.matrix = VectorMatrix(cpus, size)
        self._cpus = cpus
        self._data: dict[int, _ChipData] = {}

    @property
    def reserved(self) -> int:
        """`irq_matrix_reserved`: how many interrupts have the promise of a vector."""
        return sum(data.cpu is None and not data.managed for data in self._data.values())

    def alloc(self, desc: IrqDesc) -> None:
        """`x86_vector_alloc_irqs`: a promise, which is always given."""
        self._data[desc.irq] = _ChipData()

    def free(self, desc: IrqDesc) -> None:
        """`x86_vector_free_irqs`."""
        self.deactivate(desc)
        self.matrix.remove_managed(self._data.pop(desc.irq).managed)

    def activate(self, desc: IrqDesc, masks: tuple[int, ...]) -> int:
        """`x86_vector_activate`: a vector on a CPU of the first mask where one is left.

        A managed interrupt has one reserved on each CPU of its affinity, and no other.
        Raises OSError ENOSPC.
        """
        data = self._data[desc.irq]
        if data.cpu is None:
            if desc.managed:
                if not data.managed:
                    self.matrix.reserve_managed(desc.affinity)
                    data.managed = desc.affinity
                data.cpu = self.matrix.alloc_managed(data.managed)
            else:
                data.cpu = self._alloc_any(masks)
        return data.cpu

    def _alloc_any(self, masks: tuple[int, ...]) -> int:
        """`assign_irq_vector_any_locked`."""
        for mask in masks[:-1]:
            with contextlib.suppress(OSError):
                return self.matrix.alloc(mask)
        return self.matrix.alloc(masks[-1])

    def deactivate(self, desc: IrqDesc) -> None:
        """`x86_vector_deactivate`: from now on it has a promise, or what is reserved for it."""
        data = self._data[desc.irq]
        self.force_complete_move(desc)
        if data.cpu is not None:
            self.matrix.free(data.cpu, managed=bool(data.managed))
            data.cpu = None

    def set_affinity(self, desc: IrqDesc, mask: int) -> int:
        """`apic_set_affinity`: another CPU, unless it is on one of `mask` that is online.

        Raises OSError: EBUSY while the vector before the last move is held, ENOSPC
        where no CPU of `mask` has one left.
        """
        data = self._data[desc.irq]
        if data.cpu is None:
            return self.activate(desc, (mask,))
        if mask >> data.cpu & 1 and self._cpus.is_online(data.cpu):
            return data.cpu
        if data.managed:
            cpu = self.matrix.alloc_managed(mask & data.managed)
        else:
            if data.previous is not None:
                raise OSError(EBUSY, f"IRQ {desc.irq} has not come since it has moved")
            cpu = self.matrix.alloc(mask)
        if self._cpus.is_online(data.cpu):
            self.force_complete_move(desc)
            data.previous = data.cpu
        else:  # it cannot come there any more
            self.matrix.free(data.cpu, managed=bool(data.managed))
        data.cpu = cpu
        return cpu

    def force_complete_move(self, desc: IrqDesc) -> None:
        """`irq_force_complete_move`, `free_moved_vector`: give up the vector of before a move."""
        data = self._data[desc.irq]
        if data.previous is not None:
            self.matrix.free(data.previous, managed=bool(data.managed))
            data.previous = None

    def check_cpu_can_go(self, cpu: int, log: KernelLog) -> None:
        """`lapic_can_unplug_cpu`; raises OSError ENOSPC where its interrupts find no vectors."""
        moving, left = self.matrix.movable(cpu), self.matrix.available_without(cpu)
        if left < moving:
            log.say(
                f"CPU {cpu} has {moving} vectors, {left} available. Cannot disable CPU",
                KERN_WARNING,
            )
            raise OSError(ENOSPC, f"CPU {cpu} has {moving} vectors, the others have {left} left")
        if left < self.reserved:
            log.say(
                f"Reserved vectors {self.reserved} > available {left}. IRQ request may fail",
                KERN_WARNING,
            )
