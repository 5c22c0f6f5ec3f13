"""Where the time of a CPU goes: `kernel/sched/cputime.c`, `kernel/time/tick-sched.c`.

A CPU is charged for the time that it is online.  Interrupts and softirqs take
what they cost, but never more time than there is: what is left over waits, and
is charged as time goes on.  So the time of a CPU is a function of what happened
to it (how often it is interrupted from now on, how many interrupts came at once,
when it went and came), and reading it changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.timeline import MICROSECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["CpuTime", "CpuTimes", "Load"]

# What one interrupt costs its CPU: in the handler, and in the softirq it raises (ns).
HARDIRQ_COST = 2 * MICROSECOND
SOFTIRQ_COST = 5 * MICROSECOND
# What else a mostly idle guest does, in parts of a million of its time.
USER_SHARE = 4_000
SYSTEM_SHARE = 2_500
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Where a CPU's time has gone, in nanoseconds; what is not here is 0."""

    user: int = 0
    system: int = 0
    idle: int = 0
    irq: int = 0
    softirq: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """How often a source interrupts a CPU: hard interrupts and softirqs a second.

    `extra` is what the hard interrupts take beyond HARDIRQ_COST, in ns a second.
    """

    hardirqs: float
    softirqs: float
    extra: float = 0

    @property
    def irq_cost(self) -> int:
        """What the hard interrupts take, in millionths of a nanosecond a second."""
        return round((self.hardirqs * HARDIRQ_COST + self.extra) * MILLION)

    @property
    def softirq_cost(self) -> int:
        """What the softirqs take, in the same unit."""
        return round(self.softirqs * SOFTIRQ_COST * MILLION)


class CpuTime:
    """The time of one CPU.  `now` is the machine's time in nanoseconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._online_since: int | None = None
        self._online = 0  # ns that it was online before
        # What was charged up to `_from`, a point of its online time, and what waits then.
        self._from = 0
        self._irq = self._softirq = 0
        self._irq_waits = self._softirq_waits = 0
        self._loads: dict[Hashable, Load] = {}
        self._due_per_s = (0, 0)  # ns a second that all loads take, in millionths

    # What happens to the CPU

    def come(self) -> None:
        """It is online from now on."""
        if self._online_since is None:
            self._online_since = self._now()

    def go(self) -> None:
        """It is offline from now on: its time stands still."""
        self._fold()
        self._online = self._elapsed()
        self._online_since = None

    def set_load(self, source: Hashable, load: Load | None) -> None:
        """Be interrupted by a source so often from now on; None: not any more."""
        self._fold()
        before = self._loads.pop(source, None)
        irq, softirq = self._due_per_s
        if before is not None:
            irq, softirq = irq - before.irq_cost, softirq - before.softirq_cost
        if load is not None:
            self._loads[source] = load
            irq, softirq = irq + load.irq_cost, softirq + load.softirq_cost
        self._due_per_s = irq, softirq

    def charge(self, hardirqs: int, softirqs: int, extra: float = 0) -> None:
        """Pay for interrupts that come at this moment; `extra` ns more than they all cost."""
        self._fold()
        self._irq_waits += round(hardirqs * HARDIRQ_COST + extra)
        self._softirq_waits += softirqs * SOFTIRQ_COST

    def restore(self, hardirqs: int, softirqs: int) -> None:
        """Have paid for all that was counted so far, as far as the time was enough."""
        self._loads, self._from, self._irq, self._softirq = {}, 0, 0, 0
        self._due_per_s = (0, 0)
        self._irq_waits, self._softirq_waits = hardirqs * HARDIRQ_COST, softirqs * SOFTIRQ_COST
        self._fold()
        self._irq_waits = self._softirq_waits = 0

    # What is read

    def times(self) -> CpuTimes:
        """Where its time has gone up to now."""
        elapsed = self._elapsed()
        irq, softirq, _, _ = self._charged(elapsed)
        user = elapsed * USER_SHARE // MILLION
        system = elapsed * SYSTEM_SHARE // MILLION
        return CpuTimes(user, system, elapsed - user - system - irq - softirq, irq, softirq)

    def _elapsed(self) -> int:
        """Nanoseconds that it has been online."""
        since = self._online_since
        return self._online if since is None else self._online + self._now() - since

    def _charged(self, elapsed: int) -> tuple[int, int, int, int]:
        """What interrupts and softirqs have taken, and how much of them waits."""
        room = _room(elapsed) - _room(self._from)
        passed = elapsed - self._from
        irq_per_s, softirq_per_s = self._due_per_s
        irq_due = self._irq_waits + passed * irq_per_s // (MILLION * SECOND)
        softirq_due = self._softirq_waits + passed * softirq_per_s // (MILLION * SECOND)
        irq = min(irq_due, room)
        softirq = min(softirq_due, room - irq)
        return self._irq + irq, self._softirq + softirq, irq_due - irq, softirq_due - softirq

    def _fold(self) -> None:
        elapsed = self._elapsed()
        self._irq, self._softirq, self._irq_waits, self._softirq_waits = self._charged(elapsed)
        self._from = elapsed


def _room(elapsed: int) -> int:
    """What is left of so much time for interrupts and softirqs."""
    return elapsed - elapsed * USER_SHARE // MILLION - elapsed * SYSTEM_SHARE // MILLION
