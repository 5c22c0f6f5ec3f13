"""arm64's interrupt controller, as far as user space sees it."""

from __future__ import annotations

from fakeproc.guest.cpus import first_cpu
from fakeproc.guest.irq.core import IrqChip, IrqDesc

__all__ = ["GicChip"]


class GicChip(IrqChip):
    """GICv3, or the ITS behind it: an interrupt is steered to one CPU, and at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._target: dict[int, int] = {}  # IRQ -> CPU

    def start(self, desc: IrqDesc, cpu: int) -> None:
        """Let an interrupt be steered to `cpu` from the start."""
        self._target[desc.irq] = cpu

    def set_affinity(self, desc: IrqDesc, mask: int) -> None:
        """`gic_set_affinity`, `its_set_affinity`: stay where the mask allows it, else the first."""
        if self._target.get(desc.irq) is None or not mask >> self._target[desc.irq] & 1:
            self._target[desc.irq] = first_cpu(mask) or 0

    def effective_affinity(self, desc: IrqDesc) -> int:
        """The CPU it is steered to; none for an interrupt that each CPU has its own of."""
        cpu = self._target.get(desc.irq)
        return 0 if cpu is None else 1 << cpu
