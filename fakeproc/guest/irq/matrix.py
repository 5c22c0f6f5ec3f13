"""How many vectors each CPU has left: `kernel/irq/matrix.c`, by numbers only.

Which vector an interrupt has shows in no file outside of debugfs, so vectors are counted.

Invariant: `available` is what neither the system, nor an interrupt, nor the
reservation of a managed one has taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import ENOSPC
from typing import TYPE_CHECKING

from fakeproc.guest.cpus import cpus_in

if TYPE_CHECKING:
    from fakeproc.guest.cpus import Cpus

__all__ = ["VectorMatrix"]


@dataclass(slots=True)
class _CpuMap:
    """`struct cpumap`."""

    available: int
    allocated: int = 0
    managed: int = 0
    managed_allocated: int = 0


class VectorMatrix:
    """`struct irq_matrix`.  `size` is how many vectors of a CPU the system leaves to interrupts."""

    def __init__(self, cpus: Cpus, size: int) -> None:
        self._cpus = cpus
        self._size = size
        self._maps: dict[int, _CpuMap] = {}

    def map_of(self, cpu: int) -> _CpuMap:
        """What one CPU has taken and left."""
        return self._maps.setdefault(cpu, _CpuMap(self._size))

    def alloc(self, mask: int) -> int:
        """`irq_matrix_alloc`: on the CPU of `mask` that has most left, the lowest among equals.

        Raises OSError ENOSPC where none of them that is online has one left.
        """
        best, most = None, 0
        for cpu in cpus_in(mask & self._cpus.online):
            available = self.map_of(cpu).available
            if available > most:
                best, most = cpu, available
        if best is None:
            raise OSError(ENOSPC, "no CPU of the mask has a vector left")
        self.map_of(best).allocated += 1
        self.map_of(best).available -= 1
        return best

    def reserve_managed(self, mask: int) -> None:
        """`irq_matrix_reserve_managed`: one on each CPU of `mask`, online or not, or none.

        Raises OSError ENOSPC.
        """
        full = [cpu for cpu in cpus_in(mask) if not self.map_of(cpu).available]
        if full:
            raise OSError(ENOSPC, f"CPU {full[0]} has no vector left for a managed interrupt")
        for cpu in cpus_in(mask):
            self.map_of(cpu).managed += 1
            self.map_of(cpu).available -= 1

    def remove_managed(self, mask: int) -> None:
        """`irq_matrix_remove_managed`: give up what was reserved and is not allocated."""
        for cpu in cpus_in(mask):
            self.map_of(cpu).managed -= 1
            self.map_of(cpu).available += 1

    def alloc_managed(self, mask: int) -> int:
        """`irq_matrix_alloc_managed`: of what is reserved, where fewest of it are allocated.

        Among equals it is the last CPU, as the kernel's comparison has it.  Raises
        OSError ENOSPC where no CPU of `mask` is online.
        """
        online = list(cpus_in(mask & self._cpus.online))
        if not online:
            raise OSError(ENOSPC, "no CPU of a managed interrupt is online")
        best = min(online, key=lambda cpu: (self.map_of(cpu).managed_allocated, -cpu))
        self.map_of(best).allocated += 1
        self.map_of(best).managed_allocated += 1
        return best

    def free(self, cpu: int, *, managed: bool) -> None:
        """`irq_matrix_free`: a managed interrupt keeps its reservation."""
        self.map_of(cpu).allocated -= 1
        if managed:
            self.map_of(cpu).managed_allocated -= 1
        else:
            self.map_of(cpu).available += 1

    def movable(self, cpu: int) -> int:
        """`irq_matrix_allocated`: what must go elsewhere when the CPU goes."""
        return self.map_of(cpu).allocated - self.map_of(cpu).managed_allocated

    def available_without(self, cpu: int) -> int:
        """`irq_matrix_available`: what the other CPUs that are online have left."""
        others = self._cpus.online & ~(1 << cpu)
        return sum(self.map_of(other).available for other in cpus_in(others))
