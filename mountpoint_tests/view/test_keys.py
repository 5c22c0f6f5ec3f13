"""Keys and the mouse: what is written, and what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.widgets import Static

import fakeproc
from fakeproc.view import heat_map
from fakeproc.view.app import Top
from fakeproc.view.heat_map import HeatMap, number
from fakeproc.view.snapshot import Interrupt
from fakeproc.view.sources import ComputerSource, GuestSource

NEW_NIC = 4  # channels


def during(top: Top, steps: Callable[[Any], Awaitable[None]], size=(120, 50)) -> str:
    """Run steps in the view; returns the line that says what the last key did."""

    async def run() -> str:
        async with top.run_test(size=size) as pilot:
            await pilot.pause()
            await steps(pilot)
            await pilot.pause()
            return str(top.query_one("#said", Static).render())

    return asyncio.run(run())


def pressing(*keys: str) -> Callable[[Any], Awaitable[None]]:
    async def steps(pilot: Any) -> None:
        for key in keys:
            await pilot.press(key)

    return steps


def to_irq(irq: int) -> Callable[[Any], Awaitable[None]]:
    """Select the row of an interrupt."""
    return to_row(lambda row: row.irq == irq)


def to_row(wanted: Callable[[Interrupt], bool]) -> Callable[[Any], Awaitable[None]]:
    async def steps(pilot: Any) -> None:
        found = pilot.app.query_one(HeatMap)
        for line in range(100):
            found.select(line, 0)
            if found.row is not None and wanted(found.row):
                return
        raise AssertionError("no such row")

    return steps


def test_an_interrupt_is_moved_and_every_file_says_so(view) -> None:
    top, machine = view()

    async def steps(pilot: Any) -> None:
        await to_irq(39)(pilot)
        await pressing("home", "right", "right", "right", "m")(pilot)

    assert during(top, steps) == "$ echo 3 > proc/irq/39/smp_affinity_list"
    assert machine.state().irqs[39].effective_affinity == (3,)
    assert machine.state().channels[19].target_cpu == 3


def test_without_the_series_a_channel_is_moved_by_its_own_file(view) -> None:
    top, machine = view(kernel="6.12")
    device = next(name for name, it in machine.state().devices.items() if it.type == "netvsc")

    async def steps(pilot: Any) -> None:
        await to_row(lambda row: row.relid == 19)(pilot)
        await pressing("home", "right", "m")(pilot)

    said = during(top, steps)
    assert said == f"$ echo 1 > sys/bus/vmbus/devices/{device}/channels/19/cpu"
    assert machine.state().channels[19].target_cpu == 1


def test_a_second_click_in_a_row_moves_the_interrupt(view) -> None:
    top, machine = view()

    async def steps(pilot: Any) -> None:
        await to_irq(39)(pilot)
        found = top.query_one(HeatMap)
        row = found._at[0] + heat_map._HEAD - found.scroll_offset.y  # noqa: SLF001
        await pilot.click(HeatMap, offset=(heat_map._LABEL + 2 * 6 + 1, row))  # noqa: SLF001

    assert during(top, steps) == "$ echo 2 > proc/irq/39/smp_affinity_list"
    assert machine.state().irqs[39].effective_affinity == (2,)


def test_a_refusal_is_said_with_its_reason(view) -> None:
    top, machine = view()
    said = during(top, pressing("end", "o"))
    assert said.startswith("$ echo 0 > sys/devices/system/cpu/cpu7/online   refused: CPU 7 is ")
    assert "relid 20 (netvsc, IRQ 40)" in said
    assert 7 in machine.state().online


def test_a_cpu_goes_and_comes_back(view) -> None:
    top, machine = view()
    machine.write("/proc/irq/40/smp_affinity_list", "0\n")

    async def steps(pilot: Any) -> None:
        await pressing("end", "o")(pilot)
        assert 7 not in machine.state().online
        await pressing("o")(pilot)

    assert during(top, steps) == "$ echo 1 > sys/devices/system/cpu/cpu7/online"
    assert 7 in machine.state().online


def test_a_storm_begins_and_ends(view) -> None:
    top, machine = view()

    async def steps(pilot: Any) -> None:
        await to_irq(39)(pilot)
        await pressing("s")(pilot)
        assert "19 50000 steady" in machine.read("/host/traffic")
        await pressing("s")(pilot)

    assert during(top, steps) == "$ echo '19 0' > host/traffic"
    assert "\n19 " not in machine.read("/host/traffic")


def test_a_device_comes_and_goes(view) -> None:
    top, machine = view()
    before = len(machine.state().channels)

    async def steps(pilot: Any) -> None:
        await pressing("a", "t")(pilot)
        assert len(machine.state().channels) == before + NEW_NIC
        await to_irq(45)(pilot)
        await pressing("r", "t")(pilot)

    during(top, steps)
    assert len(machine.state().channels) == before


def test_an_acknowledgement_is_lost(view) -> None:
    top, machine = view()

    async def steps(pilot: Any) -> None:
        await to_irq(39)(pilot)
        await pressing("l", "home", "m", "t")(pilot)

    during(top, steps)
    state = machine.state()
    assert (state.modifychannels_sent, state.modifychannels_completed) == (1, 0)


def test_what_needs_something_selected_says_so(view) -> None:
    top, machine = view()
    before = machine.state()
    assert during(top, pressing("pagedown", "pagedown", "pagedown", "m")).endswith(
        "is no interrupt that can be moved"
    )
    top, _ = view(clock="real")
    assert during(top, pressing("t")) == "the clock is real: time passes by itself"
    assert machine.state().difference(before) == []


def test_this_computer_is_only_looked_at() -> None:
    machine = fakeproc.Machine()
    machine.write("/proc/irq/39/smp_affinity_list", "3\n")
    top = Top(ComputerSource(Recorded(machine)), interval_s=3600)
    before = machine.state()

    async def steps(pilot: Any) -> None:
        await to_irq(39)(pilot)
        await pressing("home", "m", "o", "s", "a", "r", "l", "t")(pilot)

    assert during(top, steps) == ""
    assert machine.state().difference(before) == []


class Recorded:
    """A machine's files as this computer's, which has a file more and no console."""

    def __init__(self, machine: fakeproc.Machine) -> None:
        self.machine = machine

    def read(self, path: str) -> str:
        if path == "/proc/sys/kernel/osrelease":
            return "6.18\n"
        assert not path.startswith("/host")
        return self.machine.read(path)

    def list(self, path: str) -> list[str]:
        return self.machine.list(path)

    def exists(self, path: str) -> bool:
        return self.machine.exists(path)


def test_both_sources_count_the_same() -> None:
    machine = fakeproc.Machine()
    machine.advance(10)
    guest = GuestSource(machine).snapshot()
    computer = ComputerSource(Recorded(machine)).snapshot()
    rows = {row.label: row.counts for row in computer.interrupts if row.counts}
    assert len(rows) > 10
    assert {row.label: row.counts for row in guest.interrupts if row.counts} == rows
    assert guest.cpus == computer.cpus


def test_a_guest_that_has_gone_is_said(view) -> None:
    top, _ = view()

    async def steps(pilot: Any) -> None:
        top._source.files = Gone()  # noqa: SLF001
        pilot.app.look()

    assert during(top, steps) == "cannot be read: [Errno 107] Transport endpoint is not connected"


class Gone:
    def read(self, path: str) -> str:
        raise OSError(107, "Transport endpoint is not connected")


@pytest.mark.parametrize(
    ("rate", "shown"),
    [
        (0, ""),
        (0.2, "·"),
        (0.5, "0"),
        (999.4, "999"),
        (1000, "1.0k"),
        (12_345, "12.3k"),
        (99_960, "100k"),
        (1e6, "1.0M"),
        (2.5e8, "250M"),
    ],
)
def test_a_rate_in_five_characters(rate: float, shown: str) -> None:
    assert number(rate) == shown
    assert len(shown) <= 5
