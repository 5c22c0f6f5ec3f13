"""What the guest's time goes to: architecture counters, softirqs, CPU times.

The rows of /proc/interrupts that are no Linux interrupts
(`arch/x86/kernel/irq.c`), /proc/softirqs and the first lines of /proc/stat
all tell of the same interrupts, so they are kept side by side.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fakeproc.timeline import MICROSECOND, SECOND

if TYPE_CHECKING:
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
# The row that counts timer interrupts (`HVS`: stimer0 in direct mode).
TIMER_ROW = "HVS"
# Of a thousand timer interrupts so many wake another CPU, or call a function there.
TIMER_IPIS = {"CAL": 400, "RES": 2}
# arch_irq_stat_cpu: what counts into the `intr` total of /proc/stat; TLB, DFR,
# PIN, NPI, PIW and MIS do not (before v7.2).
IN_INTR_TOTAL = (
    "NMI", "LOC", "SPU", "PMI", "IWI", "RTR", "RES", "CAL",
    "TRM", "THR", "HYP", "HRE", "HVS", "MCE", "MCP",
)  # fmt: skip


class CpuTimes:
    """One `cpu` line of /proc/stat, in USER_HZ; the rest of the ten stay 0."""

    def __init__(self, elapsed: int, hardirqs: int, softirqs: int) -> None:
        self.irq = hardirqs * HARDIRQ_COST * USER_HZ // SECOND
        self.softirq = softirqs * SOFTIRQ_COST * USER_HZ // SECOND
        ticks = elapsed * USER_HZ // SECOND
        self.user = ticks * USER_SHARE // 1_000_000
        self.system = ticks * SYSTEM_SHARE // 1_000_000
        self.idle = max(0, ticks - self.user - self.system - self.irq - self.softirq)


class Accounting:
    """Counters by CPU; absent is 0.  They wrap where the kernel's do, when shown."""

    def __init__(self, irqs: IrqCore) -> None:
        self.arch: dict[str, Counter[int]] = {}
        self._raised: dict[str, Counter[int]] = {}
        self._irqs = irqs

    def count_arch(self, row: str, cpu: int, number: int = 1) -> None:
        """`inc_irq_stat`: an interrupt that only the architecture knows."""
        self.arch.setdefault(row, Counter())[cpu] += number

    def count_timer(self, cpu: int, number: int) -> None:
        """Timer interrupts, and the interrupts between processors that they lead to."""
        before = self.arch.get(TIMER_ROW, Counter())[cpu]
        self.count_arch(TIMER_ROW, cpu, number)
        for row, share in TIMER_IPIS.items():
            more = (before + number) * share // 1000 - before * share // 1000
            self.count_arch(row, cpu, more)

    def restore_arch(self, row: str, counts: dict[int, int]) -> None:
        """Let a row have counted so much already."""
        self.arch[row] = Counter(counts)

    def raise_softirq(self, name: str, cpu: int, number: int = 1) -> None:
        """`raise_softirq` and its run on the same CPU."""
        self._raised.setdefault(name, Counter())[cpu] += number

    def softirqs(self, name: str, cpu: int) -> int:
        """How often a softirq has run on a CPU."""
        ticks = self.arch.get(TIMER_ROW, Counter())[cpu]
        raised = self._raised.get(name, Counter())[cpu]
        return raised + ticks * TIMER_SOFTIRQS.get(name, 0) // 1000

    def interrupts(self, cpu: int) -> int:
        """All interrupts of a CPU: what it adds to `intr` (`kstat_cpu_irqs_sum`)."""
        arch = sum(self.arch[row][cpu] for row in IN_INTR_TOTAL if row in self.arch)
        return self._irqs.irqs_sum[cpu] + arch

    def times(self, cpu: int, elapsed: int) -> CpuTimes:
        """Where `elapsed` nanoseconds of a CPU have gone."""
        softirqs = sum(self.softirqs(name, cpu) for name in SOFTIRQS)
        return CpuTimes(elapsed, self.interrupts(cpu), softirqs)
