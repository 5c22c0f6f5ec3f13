"""vmstat on a guest whose time is real: its figures are those of /proc/interrupts."""

from __future__ import annotations

import re

import pytest

TRAFFIC = "all 0\ntimer 100\n14 2000\n19 3000\n"


@pytest.fixture
def busy(mount_guest):
    """A guest with steady traffic."""
    guest = mount_guest()
    (guest.host / "clock").write_text("advance 3")  # its quiet time
    (guest.host / "traffic").write_text(TRAFFIC)
    return guest


def interrupts(guest) -> tuple[float, int]:
    """The guest's time, and the sum of /proc/interrupts."""
    lines = (guest.proc / "interrupts").read_text().splitlines()[1:]
    counts = [re.match(r" *\w+:((?: +\d+)*)", line)[1].split() for line in lines]
    seconds = float((guest.host / "clock").read_text().split()[1])
    return seconds, sum(int(n) for row in counts if len(row) > 1 for n in row)


def table(printed: str) -> list[dict[str, int]]:
    """The lines by the names of their columns."""
    _, names, *lines = printed.splitlines()
    return [dict(zip(names.split(), map(int, line.split()), strict=False)) for line in lines]


def test_against_vmstat_counts_what_proc_interrupts_counts(busy, inside) -> None:
    began, before = interrupts(busy)
    since_boot, *seconds = table(inside(busy, "vmstat", "1", "3"))
    ended, after = interrupts(busy)
    rate = (after - before) / (ended - began)
    assert rate > 5000
    # vmstat sleeps for a second, and takes what has passed for one.
    assert [line["in"] for line in seconds] == pytest.approx([rate] * 2, rel=0.1)
    assert since_boot["in"] < 500  # the average of the nine hours before


def test_against_vmstat_shows_a_guest_that_is_nearly_idle(busy, inside) -> None:
    _, *seconds = table(inside(busy, "vmstat", "1", "3"))
    for line in seconds:
        assert line["us"] + line["sy"] + line["id"] + line["wa"] + line["st"] == pytest.approx(
            100, abs=2
        )
        assert line["id"] > 90
        assert line["cs"] == pytest.approx(230, rel=0.2)
    assert table(inside(busy, "vmstat", "-S", "K"))[0]["free"] > 1_000_000
