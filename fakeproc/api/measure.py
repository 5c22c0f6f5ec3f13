"""Interrupts that came while some time passed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fakeproc.api.state import State

__all__ = ["Measured"]


@dataclass(frozen=True)
class Measured:
    """What a guest's interrupts counted while time passed.

    `irqs` has the counts by IRQ and CPU, without zeros; an IRQ that came or went
    meanwhile counts from or to its state of then.  `seconds` are the guest's.
    """

    seconds: float
    irqs: Mapping[int, Mapping[int, int]]

    @classmethod
    def between(cls, before: State, after: State) -> Measured:
        """What was counted between two states of one guest."""
        irqs = {}
        for number, irq in after.irqs.items():
            earlier = before.irqs.get(number)
            # Another device may have the number by now; its counts began at zero.
            known = earlier.counts if earlier and earlier.hwirq == irq.hwirq else {}
            counted = {cpu: count - known.get(cpu, 0) for cpu, count in irq.counts.items()}
            irqs[number] = {cpu: count for cpu, count in counted.items() if count > 0}
        return cls(after.time_s - before.time_s, irqs)

    def by_cpu(self, irqs: Iterable[int] | None = None) -> dict[int, int]:
        """Interrupts by CPU, of all IRQs or of some; CPUs without any are left out."""
        total: Counter[int] = Counter()
        for irq in self.irqs if irqs is None else irqs:
            total.update(self.irqs.get(irq, {}))
        return dict(sorted(total.items()))

    def by_irq(self) -> dict[int, int]:
        """Interrupts by IRQ, those without any left out."""
        total = {irq: sum(counts.values()) for irq, counts in self.irqs.items()}
        return {irq: count for irq, count in total.items() if count}
