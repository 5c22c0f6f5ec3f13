"""/proc/interrupts: `kernel/irq/proc.c: show_interrupts` and `arch_show_interrupts`.

A machine of 2,048 CPUs and 2,047 channels makes a table of 46 MB, nearly all
of it zeros: a row is the row of zeros with the few other numbers put in.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from fakeproc.files.kernels.architectures import architecture_files
from fakeproc.files.proc.interrupts_layout import layout_of
from fakeproc.files.text.records import end_of_line
from fakeproc.files.tree import Attribute
from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.irq.core import U32

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fakeproc.files.kernels.interrupts_rows import ArchRow
    from fakeproc.guest.irq.core import IrqDesc
    from fakeproc.guest.kernel import Kernel

__all__ = ["end_of_interrupts_record", "interrupts_file"]

CELL = 11  # bytes, a blank on one side or the other


def interrupts_file(kernel: Kernel) -> Attribute:
    """The file, for the guest's online CPUs as they are when it is read."""
    return Attribute(
        0o444, kernel, lambda: _Table(kernel).render(), end_of_record=end_of_interrupts_record
    )


def end_of_interrupts_record(text: bytes, start: int) -> int:
    """Where a record of the table ends (`kernel/irq/proc.c: show_interrupts`).

    A record a row; IRQ 0's has the header, and all rows of the architecture are one.
    """
    end = end_of_line(text, start)
    if start:
        return end if _label(text, start).isdigit() else len(text)
    return end_of_line(text, end) if _label(text, end) == b"0" else end


def _label(text: bytes, start: int) -> bytes:
    return text[start : text.find(b":", start)].strip()


class _Table:
    """One reading of the table: columns are the online CPUs, ascending."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._layout = layout_of(kernel)
        self._column = {cpu: at for at, cpu in enumerate(cpus_in(kernel.cpus.online))}
        self._width = self._layout.label_width(kernel)
        self._architecture = architecture_files(kernel)

    def render(self) -> bytes:
        """The whole text."""
        text = BytesIO()  # row by row: a list of the rows would be all of it once more
        for row in self._rows():
            text.write(row)
            text.write(b"\n")
        return text.getvalue()

    def _rows(self) -> Iterator[bytes]:
        yield b" " * (self._width + 8) + b"".join(b"CPU%-8d" % cpu for cpu in self._column)
        descs = self._kernel.irqs.descs
        for irq in sorted(descs):
            if self._has_row(descs[irq]):
                yield self._irq_row(descs[irq])
        for row in self._architecture.interrupts_rows(self._kernel):
            counts: Mapping[int, int] = self._kernel.accounting.arch.get(row.label, {})
            if self._layout.shows(row, counts):
                yield self._arch_row(row, counts)

    def _has_row(self, desc: IrqDesc) -> bool:
        if desc.hidden:
            return False
        needs_action = self._kernel.personality.version.row_needs_action
        if desc.actions or (needs_action and not self._layout.counted_is_enough):
            return bool(desc.actions)
        return any(desc.counts.get(cpu) for cpu in self._column)

    def _irq_row(self, desc: IrqDesc) -> bytes:
        layout, width = self._layout, self._width
        level = f" {desc.trigger.capitalize():<8s}" if self._architecture.shows_level else ""
        flow = f"-{desc.flow_name:<8s}" if desc.flow_name else ""
        actions = f"  {', '.join(desc.actions)}" if desc.actions else ""
        return b"%*d%s%s%s%s" % (
            width,
            desc.irq,
            layout.label_end,
            self._cells(desc.counts, layout.cell),
            layout.chip(desc, width, self._kernel.irqs.longest_chip_name),
            f"{level}{flow}{actions}".encode(),
        )

    def _arch_row(self, row: ArchRow, counts: Mapping[int, int]) -> bytes:
        layout, width, label = self._layout, self._width, row.label.encode()
        if row.text is None:
            return b"%*s: %10u" % (width, label, sum(counts.values()) & U32)
        text = row.text.encode()
        if row.label.startswith("IPI"):
            cells = self._cells(counts, b"%10u ")
            return layout.ipi_label(row.label, width) + cells + layout.ipi_gap + text
        cells = self._cells(counts, layout.arch_cell)
        return b"%*s%s%s  %s" % (width, label, layout.arch_label_end, cells, text)

    def _cells(self, counts: Mapping[int, int], cell: bytes) -> bytes:
        """One cell for each online CPU."""
        cells = bytearray((cell % 0) * len(self._column))
        for cpu, count in counts.items():
            at = self._column.get(cpu)
            if at is not None:
                cells[at * CELL : at * CELL + CELL] = cell % (count & U32)
        return bytes(cells)
