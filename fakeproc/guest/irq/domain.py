"""IRQ domains: which Linux interrupt a hardware number is mapped to (`kernel/irq/irqdomain.c`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.guest.irq.core import IrqChip, IrqCore, IrqDesc

__all__ = ["IrqDomain"]


class IrqDomain:
    """A linear domain whose interrupts all have one chip.

    `floor` answers with the lowest number that an interrupt of a hardware number
    may get.
    """

    def __init__(self, irqs: IrqCore, chip: IrqChip, floor: Callable[[int], int]) -> None:
        self._irqs = irqs
        self._chip = chip
        self._floor = floor
        self._mapped: dict[int, IrqDesc] = {}

    def create_mapping(self, hwirq: int) -> IrqDesc:
        """`irq_create_mapping`: a number that is mapped already keeps its interrupt.

        Raises OSError ENOMEM.
        """
        desc = self._mapped.get(hwirq)
        if desc is None:
            desc = self._irqs.create(self._chip, hwirq, floor=self._floor(hwirq))
            self._mapped[hwirq] = desc
        return desc

    def resolve(self, hwirq: int) -> IrqDesc | None:
        """`irq_resolve_mapping`."""
        return self._mapped.get(hwirq)

    def dispose_mapping(self, desc: IrqDesc) -> None:
        """`irq_dispose_mapping`: the interrupt goes, whoever else may use it."""
        hwirq = desc.hwirq
        if hwirq is not None and self._mapped.get(hwirq) is desc:
            del self._mapped[hwirq]
            self._irqs.free(desc)
