"""/proc/interrupts read back: rows with types, of any kernel's layout.

Layouts differ in widths, in the blank before the chip (v6.13), in whether chip
and hwirq are columns (v7.2), and in what a chip prints for the trigger.  What is
the same on all of them: a label, a colon, counts, and words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Row", "Table", "TableError"]

# chip, hwirq, trigger: "IO-APIC   2-edge", "GICv3  27 Level", "xen-dyn    -event", "VMBus  19".
_INTERRUPT = re.compile(
    r"(?P<chip>\S+(?: \S+)*?)\s+"
    r"(?:(?P<hwirq>\d+)(?:-(?P<flow>[^\s,]+)|\s+(?P<type>Edge|Level))?|-(?P<handler>[a-z]\S*))"
    r"(?:\s+(?P<actions>\S.*))?"
)
# Without a hwirq, and on old kernels with the name of the flow behind the chip's: "PCI-MSI-edge".
_CHIP_ALONE = re.compile(
    r"(?P<chip>\S(?:.*?\S)??)(?:-(?P<flow>(?:ioapic-)?(?:edge|fasteoi|level)|percpu|event|ipi|virq))?"
    r"(?:\s{2,}(?P<actions>\S.*))?"
)
_MAX_DIGITS = 20  # of a count: the kernel's is an unsigned long at most


class TableError(ValueError):
    """No table of interrupts; the message says which line and what is wrong with it."""


@dataclass(frozen=True)
class Row:
    """One row.

    `counts` are in the order of the columns, and fewer or none where the row has
    fewer (ERR has one).  `chip`, `hwirq`, `trigger` ("edge", "fasteoi", "Level") and
    `actions` are an interrupt's; the architecture's own rows have a `text`.
    """

    label: str
    counts: tuple[int, ...]
    chip: str = ""
    hwirq: int | None = None
    trigger: str = ""
    actions: tuple[str, ...] = ()
    text: str = ""

    @property
    def irq(self) -> int | None:
        """The number of the interrupt, or None for a row of the architecture."""
        return int(self.label) if self.label.isdigit() else None

    @property
    def total(self) -> int:
        """What all CPUs have counted."""
        return sum(self.counts)


@dataclass(frozen=True)
class Table:
    """The whole file: the CPUs of the columns, and the rows from the top."""

    cpus: tuple[int, ...]
    rows: tuple[Row, ...]

    @classmethod
    def parse(cls, text: str) -> Table:
        """What a kernel has printed.  Raises TableError."""
        lines = text.splitlines()
        if not lines or not re.fullmatch(r"\s*(CPU\d{1,5}\s*)+", lines[0]):
            raise TableError("line 1: no row of CPUs")
        cpus = tuple(int(word.removeprefix("CPU")) for word in lines[0].split())
        rows = []
        for number, line in enumerate(lines[1:], start=2):
            if line.strip():
                rows.append(_row(line, number))
        return cls(cpus, tuple(rows))

    @cached_property
    def irqs(self) -> dict[int, Row]:
        """The rows of interrupts, by number."""
        return {row.irq: row for row in self.rows if row.irq is not None}

    @cached_property
    def arch(self) -> dict[str, Row]:
        """The architecture's own rows, by label."""
        return {row.label: row for row in self.rows if row.irq is None}

    def by_cpu(self, row: Row) -> dict[int, int]:
        """A row's counts by CPU; a column without a count is left out."""
        return dict(zip(self.cpus, row.counts, strict=False))


def _row(line: str, number: int) -> Row:
    label, colon, rest = line.partition(":")
    label = label.strip()
    if not colon or not label:
        raise TableError(f"line {number}: no label before a colon")
    words = rest.split()
    some = 0
    while some < len(words) and words[some].isascii() and words[some].isdigit():
        if len(words[some]) > _MAX_DIGITS:
            raise TableError(f"line {number}: a count of more than {_MAX_DIGITS} digits")
        some += 1
    counts = tuple(map(int, words[:some]))
    said = rest.split(maxsplit=some)[some].rstrip() if some < len(words) else ""
    if not label.isdigit():
        return Row(label, counts, text=said)
    found = _INTERRUPT.fullmatch(said)
    if found:
        return Row(
            label,
            counts,
            found["chip"],
            None if found["hwirq"] is None else int(found["hwirq"]),
            found["flow"] or found["type"] or found["handler"] or "",
            _actions(found["actions"]),
        )
    alone = _CHIP_ALONE.fullmatch(said)
    if alone:
        return Row(
            label,
            counts,
            alone["chip"],
            trigger=alone["flow"] or "",
            actions=_actions(alone["actions"]),
        )
    return Row(label, counts)


def _actions(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",")) if text else ()
