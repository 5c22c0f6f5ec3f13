"""Interrupts of CPUs that go and come: `kernel/irq/cpuhotplug.c`."""

from __future__ import annotations

from errno import ENOSPC
from typing import TYPE_CHECKING

from fakeproc.guest.log import KERN_WARNING

if TYPE_CHECKING:
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.irq.core import IrqCore, IrqDesc
    from fakeproc.guest.log import KernelLog

__all__ = ["CpuMigration"]


class CpuMigration:
    """Moves interrupts off a CPU that has gone, and managed ones back.

    `retries` is the kernel's: whether an interrupt leaves its affinity for want of a vector.
    """

    def __init__(self, irqs: IrqCore, cpus: Cpus, log: KernelLog, *, retries: bool) -> None:
        self._log = log
        self._retries = retries
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
                if desc.shut_down:
                    desc.shut_down = False
                    desc.chip.activate(desc)
                self._irqs.program(desc, desc.affinity)

    def _migrate(self, desc: IrqDesc) -> None:
        """`migrate_one_irq`: within its affinity, or else to any CPU, and stay so."""
        online = self._cpus.online
        desc.chip.force_complete_move(desc)
        affinity = desc.affinity
        if desc.pending is not None:
            affinity = desc.pending if desc.pending & online else affinity
            desc.pending = None
        if not affinity & online:
            if desc.managed:
                desc.shut_down = True  # until a CPU of its mask returns
                desc.chip.deactivate(desc)
                return
            affinity = online
        failed = self._program(desc, affinity)
        if failed == ENOSPC and self._retries and not desc.managed and affinity != online:
            failed = self._program(desc, online)
        if failed:  # it stays where it was
            self._log.say(f"IRQ{desc.irq}: set affinity failed({-failed}).", KERN_WARNING)

    def _program(self, desc: IrqDesc, affinity: int) -> int:
        """The errno of `irq_do_set_affinity`, or 0."""
        try:
            self._irqs.program(desc, affinity)
        except OSError as error:
            return error.errno or 0
        return 0
