"""How /proc/interrupts is laid out, by kernel version and by architecture.

`Version.interrupts_layout` names the layout; each states what it changed, in
which release.  Every cell is eleven bytes wide in all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakeproc.guest.irq.core import IrqDesc
    from fakeproc.guest.kernel import Kernel

__all__ = ["LAYOUTS", "ArchRow", "Layout", "arch_rows", "label_width"]


class ArchRow(NamedTuple):
    """A row that is no Linux interrupt; without text it is one number for the machine."""

    label: str
    text: str | None
    hidden_at_zero: bool = False  # until its first event


X86_ROWS = (
    ArchRow("NMI", "Non-maskable interrupts"),
    ArchRow("LOC", "Local timer interrupts"),
    ArchRow("SPU", "Spurious interrupts"),
    ArchRow("PMI", "Performance monitoring interrupts"),
    ArchRow("IWI", "IRQ work interrupts"),
    ArchRow("RTR", "APIC ICR read retries"),
    ArchRow("RES", "Rescheduling interrupts"),
    ArchRow("CAL", "Function call interrupts"),
    ArchRow("TLB", "TLB shootdowns"),
    ArchRow("TRM", "Thermal event interrupts"),
    ArchRow("THR", "Threshold APIC interrupts"),
    ArchRow("DFR", "Deferred Error APIC interrupts"),
    ArchRow("MCE", "Machine check exceptions"),
    ArchRow("MCP", "Machine check polls"),
    ArchRow("HYP", "Hypervisor callback interrupts"),
    ArchRow("HRE", "Hyper-V reenlightenment interrupts"),
    ArchRow("HVS", "Hyper-V stimer0 interrupts"),
    ArchRow("ERR", None),
    ArchRow("MIS", None),
    ArchRow("PIN", "Posted-interrupt notification event"),
    ArchRow("NPI", "Nested posted-interrupt event"),
    ArchRow("PIW", "Posted-interrupt wakeup event"),
)

# v7.2 hides what never happens, gives ERR and MIS a column for each CPU, and
# leaves DFR to AMD; v7.0 added VPMI (commit a05385d84b2a).
X86_ROWS_7_2 = (
    *(
        row._replace(hidden_at_zero=row.label in {"SPU", "RTR"})
        for row in X86_ROWS
        if row.label not in {"DFR", "ERR", "MIS"}
    ),
    ArchRow("VPMI", "Perf Guest Mediated PMI"),
    ArchRow("ERR", "PIC/APIC error interrupts", hidden_at_zero=True),
    ArchRow("MIS", "Misrouted IO/APIC interrupts", hidden_at_zero=True),
)

# arch/arm64/kernel/smp.c: ipi_types[], and the error count.
_ARM64_IPIS = {
    "6.1": (
        "Rescheduling interrupts",
        "Function call interrupts",
        "CPU stop interrupts",
        "CPU stop (for crash dump) interrupts",
        "Timer broadcast interrupts",
        "IRQ work interrupts",
        "CPU wake-up interrupts",
    ),
    # v6.7: no wake-up, backtraces and KGDB
    "6.10": (
        "Rescheduling interrupts",
        "Function call interrupts",
        "CPU stop interrupts",
        "CPU stop (for crash dump) interrupts",
        "Timer broadcast interrupts",
        "IRQ work interrupts",
        "CPU backtrace interrupts",
        "KGDB roundup interrupts",
    ),
    # v6.12: stopping by a pseudo-NMI, also for a crash dump
    "6.12": (
        "Rescheduling interrupts",
        "Function call interrupts",
        "CPU stop interrupts",
        "CPU stop NMIs",
        "Timer broadcast interrupts",
        "IRQ work interrupts",
        "CPU backtrace interrupts",
        "KGDB roundup interrupts",
    ),
}


def arch_rows(kernel: Kernel) -> tuple[ArchRow, ...]:
    """The architecture's rows, in order."""
    version = kernel.personality.version
    if kernel.profile.architecture == "arm64":
        texts = _ARM64_IPIS[version.arm64_ipis]
        ipis = (ArchRow(f"IPI{number}", text) for number, text in enumerate(texts))
        return (*ipis, ArchRow("Err", None))
    rows = X86_ROWS_7_2 if version.interrupts_layout == "7.2" else X86_ROWS
    if kernel.profile.stimer_direct:
        return rows
    # ms_hyperv_init_platform installs these vectors only where the host has the feature.
    return tuple(row for row in rows if row.label not in {"HRE", "HVS"})


def label_width(nr_irqs: int, least: int) -> int:
    """Digits of the number of IRQs, at least so many and at most ten."""
    width = least
    while width < 10 and 10**width <= nr_irqs:
        width += 1
    return width


class Layout:
    """Up to v6.12: each count is followed by a blank, the chip stands on the right."""

    least_width = 3
    label_end, cell = b": ", b"%10u "  # of an IRQ's row
    arch_label_end, arch_cell, arch_gap = b": ", b"%10u ", b"  "
    ipi_gap = b"      "

    def label_width(self, kernel: Kernel) -> int:
        """`prec`: digits of the number of IRQs."""
        return label_width(kernel.irqs.nr_irqs, self.least_width)

    def chip(self, desc: IrqDesc, width: int, longest: int) -> bytes:
        """Chip and hwirq; `longest` is the longest chip name there ever was."""
        del longest
        return b" %8s %*d" % (desc.chip.name.encode(), width, desc.hwirq)

    def ipi_label(self, label: str, width: int) -> bytes:
        """An IPI's number stands behind the column of the labels: `IPI0:`, `IPI0: `, ` IPI0: `."""
        number = label.removeprefix("IPI").encode()
        return b"%*s%s:%s" % (width - 1, b"IPI", number, b" " if width >= 4 else b"")

    def shows(self, row: ArchRow, counts: Mapping[int, int]) -> bool:
        """Whether a row is there."""
        return not row.hidden_at_zero or any(counts.values())


class Spaced(Layout):
    """Since v6.13, commit f9ed1f7c2e26: a blank before each count, and one less behind."""

    label_end, cell = b":", b" %10u"


class Aligned(Layout):
    """Since v7.2, irq-core-2026-06-13: the chip stands on the left, as wide as the longest."""

    least_width = 4
    label_end, cell = b":", b" %10u"
    arch_label_end, arch_cell, arch_gap = b":", b" %10u", b"  "
    ipi_gap = b" "

    def label_width(self, kernel: Kernel) -> int:
        """On x86 the clip of nr_irqs early at boot counts too, unless it clips nothing."""
        width = super().label_width(kernel)
        if kernel.profile.architecture == "x86_64":
            clip = 256 * kernel.cpus.nr_cpu_ids
            if clip < 256 + 64 * kernel.profile.kernel.max_cpus:
                width = max(width, label_width(clip, self.least_width))
        return width

    def chip(self, desc: IrqDesc, width: int, longest: int) -> bytes:
        """Chip and hwirq."""
        return b"  %-*s %*d" % (longest, desc.chip.name.encode(), width, desc.hwirq)

    def ipi_label(self, label: str, width: int) -> bytes:
        """The cells line up with those of the IRQs."""
        return b"%*s: " % (width, label.encode())


LAYOUTS = {"6.1": Layout(), "6.13": Spaced(), "7.2": Aligned()}
