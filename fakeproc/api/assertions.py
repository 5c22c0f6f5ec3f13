"""Assertions about interrupts, whose failure shows who wrote what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakeproc.api.accesses import Accesses
    from fakeproc.api.state import Irq, State

__all__ = ["moved", "spread", "untouched"]

_LINES = 20  # of the writes that a failure shows; the last are the interesting ones


def moved(before: State, now: State, irq: int, to: int | None, accesses: Accesses) -> None:
    """Raise AssertionError unless an interrupt comes to another CPU than before, or to `to`."""
    was, is_now = _irq(before, irq), _irq(now, irq)
    if to is not None and is_now.effective_affinity != (to,):
        raise AssertionError(
            f"IRQ {irq} comes to CPU {_cpus(is_now)}, not to CPU {to}; {_writes(accesses)}"
        )
    if to is None and is_now.effective_affinity == was.effective_affinity:
        raise AssertionError(f"IRQ {irq} still comes to CPU {_cpus(was)}; {_writes(accesses)}")


def untouched(before: State, now: State, irqs: Iterable[int], accesses: Accesses) -> None:
    """Raise AssertionError where an affinity is another than before, or was written to."""
    for irq in irqs:
        was, is_now = _irq(before, irq), _irq(now, irq)
        writes = accesses.writes(f"/proc/irq/{irq}")
        if was.affinity != is_now.affinity:
            raise AssertionError(
                f"the affinity of IRQ {irq} was {was.affinity} and is {is_now.affinity}; "
                f"{_writes(accesses)}"
            )
        if len(writes):
            raise AssertionError(f"IRQ {irq} was written to; {_writes(writes)}")


def spread(now: State, irqs: Iterable[int], most: int, accesses: Accesses) -> None:
    """Raise AssertionError where more than `most` of the interrupts come to one CPU."""
    at: Counter[int] = Counter()
    for irq in irqs:
        at.update(_irq(now, irq).effective_affinity)
    crowded = {cpu: count for cpu, count in sorted(at.items()) if count > most}
    if crowded:
        said = ", ".join(f"{count} on CPU {cpu}" for cpu, count in crowded.items())
        raise AssertionError(f"more than {most} interrupts on one CPU: {said}; {_writes(accesses)}")


def _irq(state: State, irq: int) -> Irq:
    if irq not in state.irqs:
        raise AssertionError(f"the guest has no IRQ {irq}")
    return state.irqs[irq]


def _cpus(irq: Irq) -> str:
    return ",".join(map(str, irq.effective_affinity)) or "none"


def _writes(accesses: Accesses) -> str:
    writes = accesses.writes()
    if not len(writes):
        return "nothing was written"
    shown = writes[-_LINES:]
    return f"what was written last ({len(shown)} of {len(writes)} writes):\n{shown}".rstrip()
