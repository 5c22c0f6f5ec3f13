"""What the guest's time goes to: architecture counters, softirqs, CPU times.

The rows of /proc/interrupts that are no Linux interrupts
(`arch/x86/kernel/irq.c`), /proc/softirqs and the first lines of /proc/stat
all tell of the same interrupts, so they are kept side by side.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fakeproc.guest.cpu_time import CpuTime, Load
from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.irq.core import U32

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from fakeproc.guest.cpu_time import CpuTimes
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.irq.core import IrqCore

__all__ = ["SOFTIRQS", "USER_HZ", "Accounting"]

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

# Of a thousand timer interrupts so many raise each of these softirqs.
TIMER_SOFTIRQS = {"TIMER": 420, "SCHED": 510, "HRTIMER": 3, "RCU": 350}
# Of a thousand timer interrupts so many wake another CPU, or call a function there.
TIMER_IPIS = {"function": 400, "wake": 2}


class Accounting:
    """Counters by CPU; absent is 0.  They wrap where the kernel's do, when shown.

    Who reads one has `due` deliver first what has come up to now.
    """

    def __init__(
        self,
        irqs: IrqCore,
        cpus: Cpus,
        in_total: Callable[[str], bool],
        now: Callable[[], int],
        due: Callable[[], None],
    ) -> None:
        self.due = due
        self._arch: dict[str, Counter[int]] = {}
        self._in_total = in_total  # whether a row of the architecture counts in `intr`
        self._raised: dict[str, Counter[int]] = {}
        self._ticks: Counter[int] = Counter()  # timer interrupts
        self._irqs = irqs
        self._times = {cpu: CpuTime(now) for cpu in cpus_in(cpus.possible)}
        self._loaded: dict[Hashable, int] = {}  # the CPU that each source interrupts

    @property
    def arch(self) -> Mapping[str, Mapping[int, int]]:
        """The rows that only the architecture knows, up to now: a count by CPU."""
        self.due()
        return self._arch

    def count_arch(self, row: str, cpu: int, number: int = 1) -> None:
        """`inc_irq_stat`: an interrupt that only the architecture knows."""
        self._arch.setdefault(row, Counter())[cpu] += number

    def arch_count(self, row: str, cpu: int) -> int:
        """How often a CPU has counted on a row."""
        return self.arch.get(row, {}).get(cpu, 0)

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
        self._arch[row] = Counter(counts)

    def raise_softirq(self, name: str, cpu: int, number: int = 1) -> None:
        """`raise_softirq` and its run on the same CPU."""
        self._raised.setdefault(name, Counter())[cpu] += number

    def softirqs(self, name: str, cpu: int) -> int:
        """How often a softirq has run on a CPU."""
        self.due()
        ticks = self._ticks[cpu]
        raised = self._raised.get(name, Counter())[cpu]
        return (raised + ticks * TIMER_SOFTIRQS.get(name, 0) // 1000) & U32

    def interrupts(self, cpu: int) -> int:
        """All interrupts of a CPU: what it adds to `intr` (`kstat_cpu_irqs_sum`)."""
        arch = sum(
            counts.get(cpu, 0) & U32 for row, counts in self.arch.items() if self._in_total(row)
        )
        return self._irqs.irqs_sum[cpu] + arch

    # Time

    def times(self, cpu: int) -> CpuTimes:
        """Where the time of a CPU has gone, up to now."""
        return self._times[cpu].times()

    def cpu_online(self, cpu: int) -> None:
        """A CPU is online from now on, and is charged."""
        self._times[cpu].come()

    def cpu_offline(self, cpu: int) -> None:
        """A CPU is offline from now on; nothing is charged to it."""
        self._times[cpu].go()

    def charge(self, cpu: int, hardirqs: int, softirqs: int = 0, extra: float = 0) -> None:
        """Charge a CPU for interrupts that come at this moment, which take `extra` ns more."""
        self._times[cpu].charge(hardirqs, softirqs, extra)

    def set_load(self, source: Hashable, cpu: int, load: Load) -> None:
        """Charge a CPU for a source that interrupts it so often from now on.

        The CPU that the source interrupted before is not charged for it any more.
        """
        before = self._loaded.get(source)
        if before is not None and before != cpu:
            self._times[before].set_load(source, None)
        self._loaded[source] = cpu
        self._times[cpu].set_load(source, load)

    def end_load(self, source: Hashable) -> None:
        """A source interrupts no CPU any more."""
        cpu = self._loaded.pop(source, None)
        if cpu is not None:
            self._times[cpu].set_load(source, None)

    def timer_load(self, rate: float) -> Load:
        """What a timer costs that expires so often a second, with what it leads to."""
        ipis, softirqs = sum(TIMER_IPIS.values()), sum(TIMER_SOFTIRQS.values())
        return Load(rate * (1000 + ipis) / 1000, rate * softirqs / 1000)

    def restore_times(self, cpu: int) -> None:
        """Charge a CPU for all that it has counted already."""
        softirqs = sum(self.softirqs(name, cpu) for name in SOFTIRQS)
        self._times[cpu].restore(self.interrupts(cpu), softirqs)
