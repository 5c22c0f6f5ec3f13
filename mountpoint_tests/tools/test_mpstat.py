"""mpstat on a guest whose time is real: its figures are those of /proc/interrupts."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

CPUS = 8
# Steady, and not the same on any two CPUs.
TRAFFIC = "all 0\ntimer 100\n14 900\n15 800\n13 700\n16 600\n17 500\n18 400\n19 300\n20 200\n"


@dataclass(frozen=True)
class Moment:
    """The sums of the columns of /proc/interrupts, and the guest's time of them."""

    seconds: float
    columns: tuple[int, ...]
    total: int  # of /proc/stat

    @classmethod
    def of(cls, guest) -> Moment:
        lines = (guest.proc / "interrupts").read_text().splitlines()[1:]
        rows = [
            [int(n) for n in re.match(r" *\w+:((?: +\d+)*)", line)[1].split()] for line in lines
        ]
        columns = tuple(sum(row[cpu] for row in rows if len(row) >= CPUS) for cpu in range(CPUS))
        total = int(re.search(r"(?m)^intr (\d+)", (guest.proc / "stat").read_text())[1])
        return cls(float((guest.host / "clock").read_text().split()[1]), columns, total)

    def rates(self, before: Moment) -> list[float]:
        """Interrupts a second since a moment before: of all CPUs, then of each."""
        span = self.seconds - before.seconds
        grown = [now - was for now, was in zip(self.columns, before.columns, strict=True)]
        return [(self.total - before.total) / span, *(count / span for count in grown)]


@pytest.fixture
def busy(mount_guest):
    """A guest whose CPUs have different things to do, all of them steadily."""
    guest = mount_guest()
    (guest.host / "clock").write_text("advance 3")  # its quiet time
    (guest.host / "traffic").write_text(TRAFFIC)
    return guest


def averages(printed: str) -> dict[str, float]:
    """The lines of averages: CPU, and interrupts a second."""
    return {
        cpu: float(rate)
        for cpu, rate in re.findall(r"(?m)^Average: +(all|\d+) +([\d.]+)$", printed)
    }


def test_against_mpstat_counts_what_proc_interrupts_counts(busy, inside) -> None:
    before = Moment.of(busy)
    printed = inside(busy, "mpstat", "-I", "SUM", "-P", "ALL", "1", "3")
    after = Moment.of(busy)
    shown = averages(printed)
    assert list(shown) == ["all", *map(str, range(CPUS))]
    # The traffic is steady: a second of mpstat's is like any other of ours. mpstat reads its
    # files one after the other, and takes times to the hundredth of a second.
    rates = after.rates(before)
    for name, rate in zip(shown, rates, strict=True):
        assert shown[name] == pytest.approx(rate, rel=0.03, abs=5), name
    assert shown["all"] == pytest.approx(sum(shown[str(cpu)] for cpu in range(CPUS)), rel=0.03)
    assert rates[0] > 4400


def test_against_mpstat_and_proc_stat_agree_on_what_interrupts_cost(busy, inside) -> None:
    """2 µs an interrupt and 5 µs a softirq (fakeproc/guest/accounting.py), idle taking the rest."""
    (busy.host / "traffic").write_text("19 20000")
    printed = inside(busy, "mpstat", "-P", "6", "1", "3")
    header = re.search(r"(?m)^\S+ +CPU +(.*)$", printed)[1].split()
    line = re.search(r"(?m)^Average: +6 +(.*)$", printed)[1].split()
    shown = dict(zip(header, map(float, line), strict=True))
    assert shown["%irq"] == pytest.approx(4, abs=1)
    assert shown["%soft"] == pytest.approx(10, abs=1)
    assert sum(shown.values()) == pytest.approx(100, abs=1)
    assert shown["%idle"] == pytest.approx(86, abs=2)


def test_against_mpstat_shows_the_softirqs_of_each_cpu(busy, inside) -> None:
    printed = inside(busy, "mpstat", "-I", "SCPU", "1", "2")
    kinds = re.search(r"(?m)^\S+ +CPU +(.*/s)$", printed)[1].split()
    lines = dict(re.findall(r"(?m)^Average: +(\d+) +(.*)$", printed))
    assert len(lines) == CPUS
    network = {
        int(cpu): float(line.split()[kinds.index("NET_RX/s")]) for cpu, line in lines.items()
    }
    expected = {2: 700, 3: 600, 4: 500, 5: 400, 6: 300, 7: 200}
    for cpu in range(CPUS):
        assert network[cpu] == pytest.approx(expected.get(cpu, 0), rel=0.05, abs=2)


def test_against_mpstat_shows_every_interrupt_by_its_name(busy, inside) -> None:
    printed = inside(busy, "mpstat", "-I", "CPU", "1", "1")
    columns = re.search(r"(?m)^\S+ +CPU +(.*/s)$", printed)[1].split()
    assert {"24/s", "39/s", "44/s", "HYP/s", "HVS/s"} <= set(columns)
    (line,) = re.findall(r"(?m)^Average: +6 +(.*)$", printed)
    assert float(line.split()[columns.index("39/s")]) == pytest.approx(300, rel=0.05)
