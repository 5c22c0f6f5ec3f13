"""Affinity writes that fail on request, with an errno that the kernel can give."""

from __future__ import annotations

from collections import Counter
from errno import EAGAIN, EBUSY, EINVAL, EIO, ENOMEM, ENOSPC, errorcode
from typing import TypeAlias

__all__ = ["AFFINITY_ERRNOS", "AffinityFaults"]

# What an irq_chip's irq_set_affinity returns somewhere in the kernel: no vector is left
# on the CPUs of the mask, a move is in flight, the hypervisor has no room, and so on.
AFFINITY_ERRNOS = {errorcode[n].lower(): n for n in (ENOSPC, EBUSY, EAGAIN, EINVAL, EIO, ENOMEM)}

# The errno, and the IRQ that is meant or None for every one.
Fault: TypeAlias = tuple[int, int | None]


class AffinityFaults:
    """Which of the next affinity writes fail, and how often."""

    def __init__(self) -> None:
        self.waiting: Counter[Fault] = Counter()

    def arm(self, errno: int, irq: int | None, times: int) -> None:
        """Make the next `times` writes fail, of one IRQ or (None) of all."""
        self.waiting[errno, irq] += times

    def consume(self, irq: int) -> None:
        """Raise the OSError that waits for a write of this IRQ, if any; it waits once less."""
        for fault, times in list(self.waiting.items()):
            errno, wanted = fault
            if wanted in {None, irq}:
                self.waiting[fault] -= 1
                if times == 1:
                    del self.waiting[fault]
                name = errorcode[errno].lower()
                raise OSError(errno, f"the fault 'affinity {name}' was armed for IRQ {irq}")

    def clear(self) -> None:
        """Disarm all of them."""
        self.waiting.clear()

    def __str__(self) -> str:
        """A line for each, as the console takes it."""
        return "".join(
            f"affinity {errorcode[errno].lower()}{'' if irq is None else f' irq{irq}'} {times}\n"
            for (errno, irq), times in self.waiting.items()
        )
