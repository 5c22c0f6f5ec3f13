"""Which CPUs a column stands for: one, or as many neighbours as the width asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from fakeproc.view.snapshot import Cpu

__all__ = ["CELL", "Column", "columns", "fitting"]

CELL = 6  # characters: a number of up to five, and a blank


@dataclass(frozen=True)
class Column:
    """Neighbouring CPUs of one node and package."""

    cpus: tuple[Cpu, ...]

    @property
    def head(self) -> str:
        """Its CPUs: "7", "8-15", or where that is too long "1024+" for those from 1024 on."""
        first, last = self.cpus[0].number, self.cpus[-1].number
        both = f"{first}-{last}"
        if first == last:
            return str(first)
        return both if len(both) < CELL else f"{first}+"

    @property
    def place(self) -> tuple[int, int]:
        """Its node and package."""
        return self.cpus[0].node, self.cpus[0].package

    @property
    def online(self) -> bool:
        """Whether any of its CPUs is."""
        return any(cpu.online for cpu in self.cpus)


def columns(cpus: Sequence[Cpu], each: int) -> list[Column]:
    """Columns of up to `each` CPUs, by node and package, none across two of them."""
    ordered = sorted(cpus, key=lambda cpu: (cpu.node, cpu.package, cpu.number))
    found = []
    for _, group in groupby(ordered, key=lambda cpu: (cpu.node, cpu.package)):
        members = list(group)
        found += [Column(tuple(members[at : at + each])) for at in range(0, len(members), each)]
    return found


def fitting(cpus: Sequence[Cpu], width: int) -> int:
    """How many CPUs a column has to stand for, a power of two, so that all fit the width."""
    each = 1
    while len(columns(cpus, each)) * CELL > width and each < len(cpus):
        each *= 2
    return each
