"""/proc/stat and /proc/softirqs: `fs/proc/stat.c`, `fs/proc/softirqs.c`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.files.tree import Attribute
from fakeproc.guest.accounting import SOFTIRQS, USER_HZ
from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.irq.core import U32
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from fakeproc.guest.cpu_time import CpuTimes
    from fakeproc.guest.kernel import Kernel

__all__ = ["softirqs_file", "stat_file"]

# A guest that does little else: context switches and new processes a second.
SWITCHES_A_SECOND = 230
FORKS_AN_HOUR = 180


def stat_file(kernel: Kernel) -> Attribute:
    """/proc/stat."""
    return Attribute(0o444, kernel, lambda: _show_stat(kernel).encode())


def softirqs_file(kernel: Kernel) -> Attribute:
    """/proc/softirqs."""
    return Attribute(0o444, kernel, lambda: _show_softirqs(kernel).encode())


def _show_stat(kernel: Kernel) -> str:
    accounting, elapsed = kernel.accounting, kernel.timeline.now
    possible = list(cpus_in(kernel.cpus.possible))
    times = {cpu: accounting.times(cpu) for cpu in possible}
    softirqs = [sum(accounting.softirqs(name, cpu) for cpu in possible) & U32 for name in SOFTIRQS]
    errors = sum(accounting.arch.get("ERR", {}).values())
    interrupts = sum(accounting.interrupts(cpu) for cpu in possible) + errors
    seconds = elapsed // SECOND
    return "\n".join(
        (
            f"cpu  {_times(times.values())}",
            *(f"cpu{cpu} {_times((times[cpu],))}" for cpu in cpus_in(kernel.cpus.online)),
            f"intr {interrupts} {' '.join(_irq_totals(kernel))}",
            f"ctxt {seconds * SWITCHES_A_SECOND}",
            f"btime {kernel.boot_time}",
            f"processes {1000 + seconds * FORKS_AN_HOUR // 3600}",
            "procs_running 1",
            "procs_blocked 0",
            f"softirq {sum(softirqs)} {' '.join(map(str, softirqs))}",
            "",
        )
    )


def _times(times: Collection[CpuTimes]) -> str:
    """The ten columns: user nice system idle iowait irq softirq steal guest guest_nice."""

    def ticks(nanoseconds: Iterable[int]) -> int:
        return sum(nanoseconds) * USER_HZ // SECOND

    return (
        f"{ticks(t.user for t in times)} 0 {ticks(t.system for t in times)}"
        f" {ticks(t.idle for t in times)} 0 {ticks(t.irq for t in times)}"
        f" {ticks(t.softirq for t in times)} 0 0 0"
    )


def _irq_totals(kernel: Kernel) -> list[str]:
    """One number for each IRQ below nr_irqs; 0 where there is none."""
    totals = ["0"] * kernel.irqs.nr_irqs
    for desc in kernel.irqs.descs.values():
        totals[desc.irq] = str(desc.total)
    return totals


def _show_softirqs(kernel: Kernel) -> str:
    possible = list(cpus_in(kernel.cpus.possible))
    lines = [" " * 20 + "".join(f"CPU{cpu:<8d}" for cpu in possible)]
    for name in SOFTIRQS:
        counts = (kernel.accounting.softirqs(name, cpu) & U32 for cpu in possible)
        lines.append(f"{name:>12s}:" + "".join(f" {count:10d}" for count in counts))
    return "\n".join((*lines, ""))
