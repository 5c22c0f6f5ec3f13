"""Interrupt chips that steer an interrupt to one CPU at a time, as nearly all do."""

from __future__ import annotations

from abc import abstractmethod

from fakeproc.guest.irq.core import IrqChip, IrqDesc

__all__ = ["OneCpuChip"]


class OneCpuChip(IrqChip):
    """A chip that leaves an interrupt where it is as long as the mask allows it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._target: dict[int, int] = {}  # IRQ -> the CPUs

    def start(self, desc: IrqDesc, cpus: int) -> None:
        """Steer an interrupt to a set of CPUs from the start: one, several, or none."""
        self._target[desc.irq] = cpus

    def free(self, desc: IrqDesc) -> None:
        """Its number may become another interrupt's."""
        self._target.pop(desc.irq, None)

    def set_affinity(self, desc: IrqDesc, mask: int) -> None:
        """Stay on the CPU where `mask` allows it, else move to the one that `_pick` chooses.

        An interrupt that comes to several CPUs comes to all of `mask`, as with an APIC in
        logical mode.
        """
        target = self._target.get(desc.irq, 0)
        if target.bit_count() > 1:
            self._target[desc.irq] = mask
        elif not mask & target:
            self._target[desc.irq] = 1 << self._pick(desc, mask)

    @abstractmethod
    def _pick(self, desc: IrqDesc, mask: int) -> int:
        """One CPU of `mask`; raises OSError where no CPU can take the interrupt."""

    def effective_affinity(self, desc: IrqDesc) -> int:
        """The CPUs it is steered to; none for an interrupt that each CPU has its own of."""
        return self._target.get(desc.irq, 0)
