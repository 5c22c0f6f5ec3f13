"""arm64's interrupt controller, as far as user space sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.cpus import first_cpu
from fakeproc.guest.irq.one_cpu import OneCpuChip

if TYPE_CHECKING:
    from fakeproc.guest.irq.core import IrqDesc

__all__ = ["GicChip"]


class GicChip(OneCpuChip):
    """GICv3, or the ITS behind it: an interrupt moves at once."""

    def _pick(self, desc: IrqDesc, mask: int) -> int:
        """`gic_set_affinity`, `its_set_affinity`: the first CPU."""
        del desc
        return first_cpu(mask) or 0
