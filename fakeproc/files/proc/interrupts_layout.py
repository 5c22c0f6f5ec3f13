"""How /proc/interrupts is laid out, by kernel version.

`Shown.interrupts_layout` names the layout; each states what it changed, in
which release.  Every cell is eleven bytes wide in all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.files.kernels.architectures import architecture_files
from fakeproc.files.kernels.versions import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakeproc.files.kernels.interrupts_rows import ArchRow
    from fakeproc.guest.irq.core import IrqDesc
    from fakeproc.guest.kernel import Kernel

__all__ = ["Layout", "label_width", "layout_of"]


def label_width(nr_irqs: int, least: int) -> int:
    """Digits of the number of IRQs, at least so many and at most ten."""
    width = least
    while width < 10 and 10**width <= nr_irqs:
        width += 1
    return width


def _hwirq(desc: IrqDesc) -> bytes:
    """The number in the chip's domain; blanks where the chip has none."""
    return b"" if desc.hwirq is None else b"%d" % desc.hwirq


class Layout:
    """Up to v6.12: each count is followed by a blank, the chip stands on the right."""

    least_width = 3
    label_end, cell = b": ", b"%10u "  # of an IRQ's row
    arch_label_end, arch_cell = b": ", b"%10u "
    ipi_gap = b"      "
    counted_is_enough = False  # a row stays without an action, whatever the version does

    def label_width(self, kernel: Kernel) -> int:
        """`prec`: digits of the number of IRQs."""
        return label_width(kernel.irqs.nr_irqs, self.least_width)

    def chip(self, desc: IrqDesc, width: int, longest: int) -> bytes:
        """Chip and hwirq; `longest` is the longest chip name there ever was."""
        del longest
        return b" %8s %*s" % (desc.chip.name.encode(), width, _hwirq(desc))

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


class Aligned(Spaced):
    """Since v7.2, irq-core-2026-06-13: the chip stands on the left, as wide as the longest."""

    least_width = 4
    arch_label_end, arch_cell = b":", b" %10u"
    ipi_gap = b" "

    def label_width(self, kernel: Kernel) -> int:
        """On x86 the clip of nr_irqs early at boot counts too, unless it clips nothing."""
        width = super().label_width(kernel)
        if architecture_files(kernel).clips_nr_irqs:
            clip = 256 * kernel.cpus.nr_cpu_ids
            if clip < 256 + 64 * kernel.profile.kernel.max_cpus:
                width = max(width, label_width(clip, self.least_width))
        return width

    def chip(self, desc: IrqDesc, width: int, longest: int) -> bytes:
        """Chip and hwirq."""
        return b"  %-*s %*s" % (longest, desc.chip.name.encode(), width, _hwirq(desc))

    def ipi_label(self, label: str, width: int) -> bytes:
        """The cells line up with those of the IRQs."""
        return b"%*s: " % (width, label.encode())


class WithoutHwirqs(Layout):
    """Old kernels (3.13 still, 4.13 no longer): nothing stands for a hwirq that there is not.

    A row without an action stays as long as it has counted.
    """

    counted_is_enough = True

    def chip(self, desc: IrqDesc, width: int, longest: int) -> bytes:
        """The chip, and the hwirq of a chip that has a domain."""
        chip = super().chip(desc, width, longest)
        return chip if desc.hwirq is not None else chip[: -width - 1]


_WITHOUT_HWIRQS = WithoutHwirqs()
_LAYOUTS = {"6.1": Layout(), "6.13": Spaced(), "7.2": Aligned()}


def layout_of(kernel: Kernel) -> Layout:
    """The layout of a guest's table."""
    if not kernel.profile.kernel.hwirq_column:
        return _WITHOUT_HWIRQS
    return _LAYOUTS[shown(kernel).interrupts_layout]
