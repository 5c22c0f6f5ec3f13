"""Interrupts a second, by row and CPU, decaying."""

from __future__ import annotations

from collections.abc import Mapping

from fakeproc.view.snapshot import Snapshot

__all__ = ["Rates"]

_HALF_LIFE_S = 1.5  # after so long an interrupt counts for half
_LEAST = 0.05  # a second; less is shown as nothing, and forgotten

_Counts = Mapping[int, int]


class Rates:
    """What each row counts a second on each CPU, the latest snapshots counting most."""

    def __init__(self) -> None:
        self._before: Snapshot | None = None
        self._counts: dict[tuple[str, str], _Counts] = {}
        self._rates: dict[tuple[str, str], dict[int, float]] = {}

    def update(self, now: Snapshot) -> None:
        """Take a later snapshot in; one of the same moment changes nothing."""
        before, self._before = self._before, now
        counts = {(row.group, row.label): row.counts for row in now.interrupts}
        passed = now.time_s - before.time_s if before else 0.0
        if before is None or passed <= 0:
            self._counts = self._counts if before and passed == 0 else counts
            return
        kept = 0.5 ** (passed / _HALF_LIFE_S)
        rates = {}
        for key, now_counted in counts.items():
            was = self._counts.get(key, {})
            old = self._rates.get(key, {})
            new = {}
            for cpu in now_counted.keys() | old.keys():
                counted = max(now_counted.get(cpu, 0) - was.get(cpu, 0), 0)
                rate = old.get(cpu, 0.0) * kept + counted / passed * (1 - kept)
                if rate >= _LEAST:
                    new[cpu] = rate
            rates[key] = new
        self._rates, self._counts = rates, counts

    def of(self, group: str, label: str) -> Mapping[int, float]:
        """A row's interrupts a second by CPU, zeros left out."""
        return self._rates.get((group, label), {})

    def by_cpu(self) -> dict[int, float]:
        """The interrupts of all rows a second, by CPU."""
        total: dict[int, float] = {}
        for row in self._rates.values():
            for cpu, rate in row.items():
                total[cpu] = total.get(cpu, 0.0) + rate
        return total
