"""Interrupts of CPUs that go and come: `kernel/irq/cpuhotplug.c`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.irq.core import IrqCore, IrqDesc

__all__ = ["CpuMigration"]


class CpuMigration:
    """Moves interrupts off a CPU that has gone, and managed ones back."""

    def __init__(self, irqs: IrqCore, cpus: Cpus) -> None:
        self._irqs = irqs
        self._cpus = cpus

    def cpu_gone(self, cpu: int) -> None:
        """`irq_migrate_all_off_this_cpu`, once the CPU is not online any more."""
        online = self._cpus.online
        for desc in list(self._irqs.descs.values()):
            # irq_needs_fixup: a chip that never set an effective mask is judged by the other one
            if desc.actions and (desc.effective or desc.affinity) >> cpu & 1:
                self._migrate(desc)
            elif desc.pending is not None and not desc.pending & online:
                desc.pending = None  # irq_fixup_move_pending: the move has nowhere to go

    def cpu_online(self, cpu: int) -> None:
        """`irq_affinity_online_cpu`: only managed interrupts come back."""
        for desc in self._irqs.descs.values():
            if desc.managed and desc.affinity >> cpu & 1:
                desc.shut_down = False
                self._irqs.program(desc, desc.affinity)

    def _migrate(self, desc: IrqDesc) -> None:
        """`migrate_one_irq`: within its affinity, or else to any CPU, and stay so."""
        online = self._cpus.online
        affinity = desc.affinity
        if desc.pending is not None:
            affinity = desc.pending if desc.pending & online else affinity
            desc.pending = None
        if not affinity & online:
            if desc.managed:
                desc.shut_down = True  # until a CPU of its mask returns
                return
            affinity = online
        with contextlib.suppress(OSError):  # IRQ%u: set affinity failed: it stays where it was
            self._irqs.program(desc, affinity)
