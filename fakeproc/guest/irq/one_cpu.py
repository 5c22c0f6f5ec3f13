"""Interrupt chips that steer an interrupt to one CPU at a time."""

from __future__ import annotations

from abc import abstractmethod

from fakeproc.guest.irq.core import IrqChip, IrqDesc

__all__ = ["OneCpuChip"]


class OneCpuChip(IrqChip):
    """A chip that leaves an interrupt where it is as long as the mask allows it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._target: dict[int, int] = {}  # IRQ -> CPU

    def start(self, desc: IrqDesc, cpu: int) -> None:
        """Steer an interrupt to `cpu` from the start."""
        self._target[desc.irq] = cpu

    def set_affinity(self, desc: IrqDesc, mask: int) -> None:
        """Stay on the CPU where `mask` allows it, else move to the one that `_pick` chooses."""
        cpu = self._target.get(desc.irq)
        if cpu is None or not mask >> cpu & 1:
            self._target[desc.irq] = self._pick(desc, mask)

    @abstractmethod
    def _pick(self, desc: IrqDesc, mask: int) -> int:
        """One CPU of `mask`; raises OSError where no CPU can take the interrupt."""

    def effective_affinity(self, desc: IrqDesc) -> int:
        """The CPU it is steered to; none for an interrupt that each CPU has its own of."""
        cpu = self._target.get(desc.irq)
        return 0 if cpu is None else 1 << cpu
