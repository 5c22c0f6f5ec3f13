"""What the guest's time goes to: architecture counters, softirqs, CPU times.

The rows of /proc/interrupts that are no Linux interrupts
(`arch/x86/kernel/irq.c`), /proc/softirqs and the first lines of /proc/stat
all tell of the same interrupts, so they are kept side by side.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.guest.irq.core import U32
from fakeproc.timeline import MICROSECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fakeproc.guest.irq.core import IrqCore

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

    def __init__(self, irqs: IrqCore, in_total: Callable[[str], bool]) -> None:
        self.arch: dict[str, Counter[int]] = {}
        self._in_total = in_total  # whether a row of the architecture counts in `intr`
        self._raised: dict[str, Counter[int]] = {}
        self._ticks: Counter[int] = Counter()  # timer interrupts
        self._irqs = irqs
        self._charged: dict[int, tuple[CpuTimes, int]] = {}  # and up to when

    def count_arch(self, row: str, cpu: int, number: int = 1) -> None:
        """`inc_irq_stat`: an interrupt that only the architecture knows."""
        self.arch.setdefault(row, Counter())[cpu] += number

    def arch_count(self, row: str, cpu: int) -> int:
        """How often a CPU has counted on a row."""
        return self.arch.get(row, Counter())[cpu]

    def tick(self, cpu: int, number: int) -> dict[str, int]:
        """Timer interrupts; returns how many calls between processors, by kind, they lead to."""
        before = self._ticks[cpu]
        self._ticks[cpu] += number
        return {
            kind: (before + number) * share // 1000 - before * share // 1000
            for kind, share in TIMER_IPIS.items()
        }

    def restore_ticks(self, counts: Mapping[int, int]) -> None:
        """Let timers have interrupted so often already."""
        self._ticks = Counter(counts)

    def restore_arch(self, row: str, counts: dict[int, int]) -> None:
        """Let a row have counted so much already."""
        self.arch[row] = Counter(counts)

    def raise_softirq(self, name: str, cpu: int, number: int = 1) -> None:
        """`raise_softirq` and its run on the same CPU."""
        self._raised.setdefault(name, Counter())[cpu] += number

    def softirqs(self, name: str, cpu: int) -> int:
        """How often a softirq has run on a CPU."""
        ticks = self._ticks[cpu]
        raised = self._raised.get(name, Counter())[cpu]
        return (raised + ticks * TIMER_SOFTIRQS.get(name, 0) // 1000) & U32

    def interrupts(self, cpu: int) -> int:
        """All interrupts of a CPU: what it adds to `intr` (`kstat_cpu_irqs_sum`)."""
        arch = sum(counts[cpu] & U32 for row, counts in self.arch.items() if self._in_total(row))
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
