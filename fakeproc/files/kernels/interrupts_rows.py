"""The rows of /proc/interrupts that are no Linux interrupts: `arch_show_interrupts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fakeproc.files.kernels.versions import shown

if TYPE_CHECKING:
    from fakeproc.guest.kernel import Kernel

__all__ = ["ArchRow", "arm64_rows", "x86_rows"]


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


def _stated(kernel: Kernel) -> tuple[ArchRow, ...]:
    """The rows that the profile lists."""
    return tuple(
        ArchRow(row.label, row.text, row.hidden_at_zero) for row in kernel.profile.arch_rows
    )


def x86_rows(kernel: Kernel) -> tuple[ArchRow, ...]:
    """`arch/x86/kernel/irq.c`: the rows, in order."""
    if kernel.profile.arch_rows:
        return _stated(kernel)
    rows = X86_ROWS_7_2 if shown(kernel).interrupts_layout == "7.2" else X86_ROWS
    hidden: set[str] = set()
    if not kernel.profile.stimer_direct:
        # ms_hyperv_init_platform installs these vectors only where the host has the feature.
        hidden |= {"HRE", "HVS"}
    if kernel.personality.series.messages_have_irq:
        hidden.add("HYP")  # "the HYP line would go away", its author in the review
    if not kernel.profile.hyperv:
        hidden |= {"HYP", "HRE", "HVS"}  # no vector was installed
    return tuple(row for row in rows if row.label not in hidden)


def arm64_rows(kernel: Kernel) -> tuple[ArchRow, ...]:
    """`arch/arm64/kernel/smp.c`: the rows, in order."""
    if kernel.profile.arch_rows:
        return _stated(kernel)
    texts = _ARM64_IPIS[shown(kernel).arm64_ipis]
    ipis = (ArchRow(f"IPI{number}", text) for number, text in enumerate(texts))
    return (*ipis, ArchRow("Err", None))
