"""What the guest's time goes to: architecture counters, softirqs, CPU times.

The rows of /proc/interrupts that are no Linux interrupts
(`arch/x86/kernel/irq.c`), /proc/softirqs and the first lines of /proc/stat
all tell of the same interrupts, so they are kept side by side.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.guest.irq import U32
from fakeproc.timeline import MICROSECOND

if TYPE_CHECKING:
    from fakeproc.guest.architecture import Architecture
    from fakeproc.guest.irq import IrqCore

__all__ = ["SOFTIRQS", "USER_HZ", "Accounting", "CpuTimes"]

USER_HZ = 100  # /proc/stat counts in hundredths of a second

# `softirq_to_name`, in the order of /proc/softirqs.
SOFTIRQS = (
    "HI",
    "TIMER",
    "NET_TX",
    "NET_RX",
    "BLOCK",
    "IRQ_POLL",
    "TASKLET",
    "SCHED",
    "HRTIMER",
    "RCU",
)

# What one interrupt costs its CPU: in the handler, and in the softirq it raises.
HARDIRQ_COST = 2 * MICROSECOND
SOFTIRQ_COST = 5 * MICROSECOND
# What else a mostly idle guest does, in parts of a million of its time.
USER_SHARE = 4_000
SYSTEM_SHARE = 2_500

# Of a thousand timer interrupts so many raise each of these softirqs.
TIMER_SOFTIRQS = {"TIMER": 420, "SCHED": 510, "HRTIMER": 3, "RCU": 350}
# Of a thousand timer interrupts so many wake another CPU, or call a function there.
TIMER_IPIS = {"function": 400, "wake": 2}
# arch_irq_stat_cpu: what counts into the `intr` total of /proc/stat; TLB, DFR,
# PIN, NPI, PIW and MIS do not (before v7.2).
IN_INTR_TOTAL = (
    "NMI", "LOC", "SPU", "PMI", "IWI", "RTR", "RES", "CAL",
    "TRM", "THR", "HYP", "HRE", "HVS", "MCE", "MCP",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Where a CPU's time has gone, in nanoseconds; what is not here is 0."""

    user: int = 0
    system: int = 0
    idle: int = 0
    irq: int = 0
    softirq: int = 0


class Accounting:
    """Counters by CPU; absent is 0.  They wrap where the kernel's do, when shown."""

    def __init__(self, irqs: IrqCore, *, counts_tlb: bool) -> None:
        self._counts_tlb = counts_tlb
        self.arch: dict[str, Counter[int]] = {}
        self._raised: dict[str, Counter[int]] = {}
        self._irqs = irqs
        self._architecture: Architecture | None = None
        self._charged: dict[int, tuple[CpuTimes, int]] = {}  # and up to when

    def count_arch(self, row: str, cpu: int, number: int = 1) -> None:
        """`inc_irq_stat`: an interrupt that only the architecture knows."""
        self.arch.setdefault(row, Counter())[cpu] += number

    @property
    def architecture(self) -> Architecture:
        """Who counts timers and calls between processors."""
        if self._architecture is None:
            raise RuntimeError("the guest has no architecture yet")
        return self._architecture

    @architecture.setter
    def architecture(self, architecture: Architecture) -> None:
        self._architecture = architecture

    def arch_count(self, row: str, cpu: int) -> int:
        """How often a CPU has counted on a row."""
        return self.arch.get(row, Counter())[cpu]

    def count_timer(self, cpu: int, number: int) -> None:
        """Timer interrupts, and the interrupts between processors that they lead to."""
        before = self.architecture.timer_count(cpu)
        self.architecture.count_timer(cpu, number)
        for kind, share in TIMER_IPIS.items():
            more = (before + number) * share // 1000 - before * share // 1000
            self.count_arch(self.architecture.ipi_rows[kind], cpu, more)

    def restore_arch(self, row: str, counts: dict[int, int]) -> None:
        """Let a row have counted so much already."""
        self.arch[row] = Counter(counts)

    def raise_softirq(self, name: str, cpu: int, number: int = 1) -> None:
        """`raise_softirq` and its run on the same CPU."""
        self._raised.setdefault(name, Counter())[cpu] += number

    def softirqs(self, name: str, cpu: int) -> int:
        """How often a softirq has run on a CPU."""
        ticks = self.architecture.timer_count(cpu)
        raised = self._raised.get(name, Counter())[cpu]
        return (raised + ticks * TIMER_SOFTIRQS.get(name, 0) // 1000) & U32

    def interrupts(self, cpu: int) -> int:
        """All interrupts of a CPU: what it adds to `intr` (`kstat_cpu_irqs_sum`)."""
        if not self.architecture.in_intr_total:
            return self._irqs.irqs_sum[cpu]
        rows = self.arch if self._counts_tlb else IN_INTR_TOTAL
        arch = sum(self.arch[row][cpu] & U32 for row in rows if row in self.arch)
        return self._irqs.irqs_sum[cpu] + arch

    def times(self, cpu: int, elapsed: int) -> CpuTimes:
        """Where `elapsed` nanoseconds of a CPU have gone.

        Interrupts cost what they cost, but never more time than there was
        since the last look: what is left over is charged as time goes on.
        """
        before, then = self._charged.get(cpu, (CpuTimes(), 0))
        room = (elapsed - then) * (1_000_000 - USER_SHARE - SYSTEM_SHARE) // 1_000_000
        irq = min(self.interrupts(cpu) * HARDIRQ_COST, before.irq + room)
        room -= irq - before.irq
        softirqs = sum(self.softirqs(name, cpu) for name in SOFTIRQS)
        softirq = min(softirqs * SOFTIRQ_COST, before.softirq + room)
        # A counter that wraps has not given its time back.
        irq, softirq = max(irq, before.irq), max(softirq, before.softirq)
        user = elapsed * USER_SHARE // 1_000_000
        system = elapsed * SYSTEM_SHARE // 1_000_000
        times = CpuTimes(user, system, elapsed - user - system - irq - softirq, irq, softirq)
        self._charged[cpu] = (times, elapsed)
        return times
