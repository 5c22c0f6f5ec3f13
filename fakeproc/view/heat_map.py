"""The map: rows of interrupts by columns of CPUs, each cell as hot as it is busy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from fakeproc.view.columns import CELL, Column, columns, fitting
from fakeproc.view.rates import Rates
from fakeproc.view.snapshot import Cpu, Interrupt, Snapshot

__all__ = ["HeatMap"]

_NAME = 22  # characters of a row's label and name
_LABEL = _NAME + 7  # and of what it counts on all CPUs together
_HEAD = 3  # lines above the rows: places, CPUs, what all rows count together
_HEAT = ("", "#1c3d5a", "#20639b", "#3caea3", "#f6d55c", "#f29f4b", "#ed553b", "#c4161c")
_HOTTEST = 6.0  # powers of ten a second: what is reddest


@dataclass(frozen=True)
class _Line:
    """A line of the map: a group's heading, or an interrupt."""

    heading: str = ""
    row: Interrupt | None = None


def number(rate: float) -> str:
    """A rate in up to five characters: "7", "950", "12.3k", "1.2M"."""
    if rate < 0.5:
        return "·" if rate else ""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if rate >= size:
            scaled = rate / size
            return f"{scaled:.1f}{unit}" if scaled < 99.95 else f"{scaled:.0f}{unit}"
    return f"{rate:.0f}"


def heat(rate: float) -> int:
    """How hot, from 0 to the number of colours less one, by the power of ten."""
    if rate <= 0:
        return 0
    share = min(max(math.log10(rate + 1), 0.2) / _HOTTEST, 1.0)
    return max(1, round(share * (len(_HEAT) - 1)))


class HeatMap(ScrollView, can_focus=True):
    """A row for each interrupt, a column for one CPU or several, a cell for the rate.

    The arrow keys and the mouse select a cell; a click into another column of the
    selected row is a `Moved`.
    """

    DEFAULT_CSS = "HeatMap { height: 1fr; }"

    class Moved(Message):
        """The selected interrupt is wanted on the selected CPU."""

    def __init__(self) -> None:
        super().__init__()
        self._snapshot: Snapshot | None = None
        self._rates = Rates()
        self._lines: list[_Line] = []
        self._columns: list[Column] = []
        self._each: int | None = None  # CPUs a column; None is as the width asks for
        self._at = (0, 0)  # line, column
        self.totals: Mapping[int, float] = {}
        self.shows = "rate"  # or "count"
        self.by_rate = False  # the busiest row first, and no groups

    # -- What is shown -------------------------------------------------------------------

    def show(self, snapshot: Snapshot) -> None:
        """Draw a later snapshot."""
        selected = self.row
        self._rates.update(snapshot)
        self._snapshot = snapshot
        self.totals = self._rates.by_cpu()
        self._lines = self._busiest(snapshot) if self.by_rate else _lines(snapshot)
        if selected is not None:
            self._select_row(selected)
        self._lay_out()

    def _busiest(self, snapshot: Snapshot) -> list[_Line]:
        """All rows, the busiest first."""

        def busy(row: Interrupt) -> float:
            return -sum(self._values(row).values())

        return [_Line(row=row) for row in sorted(snapshot.interrupts, key=busy)]

    def zoom(self, change: int) -> None:
        """Let a column stand for twice as many CPUs (1), for half (-1), or as fits (0)."""
        now = self._columns[0] if self._columns else None
        if change == 0 or now is None:
            self._each = None
        else:
            each = self._each or self._fitting()
            most = max(len(self._snapshot.cpus) if self._snapshot else 1, 1)
            self._each = min(max(each * 2 if change > 0 else each // 2, 1), most)
        self._lay_out()

    def _fitting(self) -> int:
        cpus = self._snapshot.cpus if self._snapshot else ()
        return fitting(cpus, max(self.size.width - _LABEL, CELL)) if cpus else 1

    def _lay_out(self) -> None:
        if self._snapshot is None:
            return
        self._columns = columns(self._snapshot.cpus, self._each or self._fitting())
        line = min(self._at[0], max(len(self._lines) - 1, 0))
        self._at = (line, min(self._at[1], max(len(self._columns) - 1, 0)))
        self.virtual_size = Size(_LABEL + CELL * len(self._columns), _HEAD + len(self._lines))
        self.refresh()

    def on_resize(self) -> None:
        """Fit the columns to another width."""
        self._lay_out()

    # -- What is selected ------------------------------------------------------------------

    @property
    def row(self) -> Interrupt | None:
        """The selected interrupt."""
        return self._lines[self._at[0]].row if self._at[0] < len(self._lines) else None

    @property
    def column(self) -> Column | None:
        """The selected column."""
        return self._columns[self._at[1]] if self._at[1] < len(self._columns) else None

    @property
    def cpu(self) -> Cpu | None:
        """The selected CPU: the first of the column."""
        return self.column.cpus[0] if self.column else None

    def _select_row(self, row: Interrupt) -> None:
        for at, line in enumerate(self._lines):
            if line.row and (line.row.group, line.row.label) == (row.group, row.label):
                self._at = (at, self._at[1])
                return

    def select(self, line: int, column: int) -> None:
        """Select a cell, and scroll to it."""
        if not self._lines or not self._columns:
            return
        line = min(max(line, 0), len(self._lines) - 1)
        self._at = (line, min(max(column, 0), len(self._columns) - 1))
        left = self._at[1] * CELL
        self.scroll_to_region(
            Region(left, self._at[0], CELL + _LABEL, 1 + _HEAD), animate=False, force=True
        )
        self.refresh()

    def on_key(self, event: events.Key) -> None:
        """Move the selection."""
        line, column = self._at
        page = max(self.size.height - _HEAD - 1, 1)
        steps = {
            "up": (line - 1, column),
            "down": (line + 1, column),
            "left": (line, column - 1),
            "right": (line, column + 1),
            "pageup": (line - page, column),
            "pagedown": (line + page, column),
            "home": (line, 0),
            "end": (line, len(self._columns)),
        }
        if event.key in steps:
            self.select(*steps[event.key])
            event.stop()

    def on_click(self, event: events.Click) -> None:
        """Select what is clicked; in the selected row, move the interrupt to that CPU."""
        line = event.y - _HEAD + self.scroll_offset.y
        column = (event.x - _LABEL + self.scroll_offset.x) // CELL
        if event.y < _HEAD or line >= len(self._lines):
            return
        if event.x < _LABEL:
            self.select(line, self._at[1])
            return
        again = line == self._at[0] and self._at[1] != column < len(self._columns)
        self.select(line, column)
        if again:
            self.post_message(self.Moved())

    # -- Drawing -----------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One line of the screen: the head stays, and so does the label of a row."""
        width = self.size.width
        first = self.scroll_offset.x // CELL
        shown = self._columns[first : first + max(width - _LABEL, 0) // CELL + 1]
        if y < _HEAD:
            segments = self._head(y, shown)
        else:
            at = y - _HEAD + self.scroll_offset.y
            segments = self._line(at, first, shown) if at < len(self._lines) else []
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    def _values(self, row: Interrupt) -> Mapping[int, float]:
        """What a row's cells show, by CPU."""
        return self._rates.of(row.group, row.label) if self.shows == "rate" else row.counts

    def _head(self, y: int, shown: list[Column]) -> list[Segment]:
        if y == 0:
            segments = [Segment(" " * _LABEL)]
            place = None
            for column in shown:
                new, place = column.place != place, column.place
                text = f"n{place[0]} p{place[1]}" if new else ""
                segments.append(Segment(f"{text:<{CELL}}", Style(dim=True)))
            return segments
        if y == 2:
            every = number(sum(self.totals.values())) or "0"
            segments = [Segment(f"{'all':>5}{every:>{_LABEL - 6}} ", Style(bold=True))]
            for column in shown:
                total = sum(self.totals.get(cpu.number, 0.0) for cpu in column.cpus)
                segments += _cell(total, column, here=False, cursor=False)
            return segments
        title = "interrupts a second" if self.shows == "rate" else "interrupts so far"
        segments = [Segment(f"{title:<{_LABEL}}", Style(bold=True))]
        for at, column in enumerate(shown, start=self.scroll_offset.x // CELL):
            style = Style(bold=column.online, dim=not column.online, reverse=at == self._at[1])
            segments += [Segment(f"{column.head:>{CELL - 1}}", style), Segment(" ")]
        return segments

    def _line(self, at: int, first: int, shown: list[Column]) -> list[Segment]:
        line = self._lines[at]
        selected = at == self._at[0]
        if line.row is None:
            style = Style(bold=True, underline=True, reverse=selected)
            return [Segment(line.heading, style)]
        row = line.row
        values = self._values(row)
        label = f"{row.label:>5} {row.name}"[: _NAME - 1]
        total = number(sum(values.values()))
        text = f"{label:<{_NAME}}{total:>{_LABEL - _NAME - 1}} "
        segments = [Segment(text, Style(bold=selected, reverse=selected))]
        for place, column in enumerate(shown, start=first):
            value = sum(values.get(cpu.number, 0) for cpu in column.cpus)
            here = any(cpu.number in row.cpus for cpu in column.cpus)
            cursor = selected and place == self._at[1]
            segments += _cell(value, column, here=here, cursor=cursor)
        return segments


def _lines(snapshot: Snapshot) -> list[_Line]:
    """A heading for each group of several, and the rows."""
    found: list[_Line] = []
    for group, members in groupby(snapshot.interrupts, key=lambda row: row.group):
        rows = [_Line(row=row) for row in members]
        if len(rows) > 1:  # a device with one channel needs no heading
            found.append(_Line(heading=snapshot.groups.get(group, group)))
        found += rows
    return found


def _cell(value: float, column: Column, *, here: bool, cursor: bool) -> list[Segment]:
    """A number on its heat; `>` marks the CPU that the interrupt comes to."""
    if not column.online:
        return [Segment(f"{'off':>{CELL - 1}} ", Style(dim=True, reverse=cursor))]
    level = heat(value)
    text = number(value)
    mark = ">" if here else " "
    colour = _HEAT[level]
    style = Style(
        bgcolor=colour or None,
        color="black" if level in (3, 4, 5) else "white" if level else None,
        bold=here,
        reverse=cursor,
        underline=cursor,
    )
    return [Segment(f"{mark}{text:>{CELL - 2}}", style), Segment(" ")]
