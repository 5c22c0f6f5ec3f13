"""/proc/interrupts: `kernel/irq/proc.c: show_interrupts` and
`arch/x86/kernel/irq.c: arch_show_interrupts`, as of 6.10.

A machine of 2,048 CPUs and 2,047 channels makes a table of 46 MB, nearly all
of it zeros: a row is the row of zeros with the few other numbers put in.
"""  # noqa: D205 - two functions in one file of the kernel's

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.files.tree import Attribute
from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.irq import U32

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakeproc.guest.irq import IrqDesc
    from fakeproc.guest.kernel import Kernel

__all__ = ["interrupts_file", "label_width"]

CELL = 11  # "%10u "

# Label and text of the rows that are no Linux interrupts, in order.
ARCH_ROWS = (
    ("NMI", "Non-maskable interrupts"),
    ("LOC", "Local timer interrupts"),
    ("SPU", "Spurious interrupts"),
    ("PMI", "Performance monitoring interrupts"),
    ("IWI", "IRQ work interrupts"),
    ("RTR", "APIC ICR read retries"),
    ("RES", "Rescheduling interrupts"),
    ("CAL", "Function call interrupts"),
    ("TLB", "TLB shootdowns"),
    ("TRM", "Thermal event interrupts"),
    ("THR", "Threshold APIC interrupts"),
    ("DFR", "Deferred Error APIC interrupts"),
    ("MCE", "Machine check exceptions"),
    ("MCP", "Machine check polls"),
    ("HYP", "Hypervisor callback interrupts"),
    ("HRE", "Hyper-V reenlightenment interrupts"),
    ("HVS", "Hyper-V stimer0 interrupts"),
    ("ERR", None),  # one number for the whole machine
    ("MIS", None),
    ("PIN", "Posted-interrupt notification event"),
    ("NPI", "Nested posted-interrupt event"),
    ("PIW", "Posted-interrupt wakeup event"),
)


def label_width(nr_irqs: int) -> int:
    """`prec`: digits of the largest IRQ number, at least 3."""
    width = 3
    while width < 10 and 10**width <= nr_irqs:
        width += 1
    return width


def interrupts_file(kernel: Kernel) -> Attribute:
    """The file, for the guest's online CPUs as they are when it is read."""
    return Attribute(0o444, kernel, lambda: _Table(kernel).render())


class _Table:
    """One reading of the table: columns are the online CPUs, ascending."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._column = {cpu: at for at, cpu in enumerate(cpus_in(kernel.cpus.online))}
        self._zeros = (b"%10u " % 0) * len(self._column)
        self._width = label_width(kernel.irqs.nr_irqs)

    def render(self) -> bytes:
        """The whole text."""
        header = b" " * (self._width + 8)
        header += b"".join(b"CPU%-8d" % cpu for cpu in self._column)
        descs = self._kernel.irqs.descs
        rows = [self._irq_row(descs[irq]) for irq in sorted(descs) if descs[irq].actions]
        rows += [self._arch_row(label, text) for label, text in ARCH_ROWS]
        return b"\n".join((header, *rows, b""))

    def _irq_row(self, desc: IrqDesc) -> bytes:
        flow = f"-{desc.flow_name:<8s}" if desc.flow_name else ""
        return b"%*d: %s %8s %*d%s  %s" % (
            self._width,
            desc.irq,
            self._cells(desc.counts),
            desc.chip.name.encode(),
            self._width,
            desc.hwirq,
            flow.encode(),
            ", ".join(desc.actions).encode(),
        )

    def _arch_row(self, label: str, text: str | None) -> bytes:
        counts: Mapping[int, int] = self._kernel.accounting.arch.get(label, {})
        if text is None:
            return b"%*s: %10u" % (self._width, label.encode(), sum(counts.values()) & U32)
        return b"%*s: %s  %s" % (
            self._width,
            label.encode(),
            self._cells(counts),
            text.encode(),
        )

    def _cells(self, counts: Mapping[int, int]) -> bytes:
        """One `%10u ` for each online CPU."""
        cells = bytearray(self._zeros)
        for cpu, count in counts.items():
            at = self._column.get(cpu)
            if at is not None:
                cells[at * CELL : at * CELL + CELL] = b"%10u " % (count & U32)
        return bytes(cells)
