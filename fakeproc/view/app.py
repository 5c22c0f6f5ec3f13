"""The view as a program for the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Footer, RichLog, Static

from fakeproc.view import actions
from fakeproc.view.actions import Action, CannotError
from fakeproc.view.heat_map import HeatMap, number
from fakeproc.view.snapshot import Snapshot
from fakeproc.view.sources import Source

__all__ = ["Top"]

_SHARE = 20  # reading takes at most one part in so many of the time


class Top(App[None]):
    """Interrupts over CPUs, the kernel's log, and who wrote what; with keys to act on a guest."""

    TITLE = "fakeproc top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #title { height: 1; background: $panel; text-style: bold; }
    #said { height: auto; max-height: 3; color: $text-muted; }
    #below { height: 30%; max-height: 12; }
    #below RichLog {
        width: 1fr;
        overflow-x: hidden;
        scrollbar-size: 1 1;
        border-top: solid $primary;
        border-title-align: left;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("m", "move", "Move here"),
        Binding("o", "switch", "CPU on/off"),
        Binding("s", "storm", "Storm"),
        Binding("a", "offer", "Add a NIC"),
        Binding("r", "rescind", "Rescind"),
        Binding("l", "lose", "Lose ack"),
        Binding("t", "step", "Step 1 s"),
        Binding("c", "counts", "Counts"),
        Binding("b", "busiest", "Busiest"),
        Binding("plus,equals_sign", "zoom(-1)", "Zoom", key_display="+"),
        Binding("minus", "zoom(1)", "Zoom", key_display="-"),
        Binding("0", "zoom(0)", "Fit", show=False),
        Binding("p", "pause", "Pause"),
    ]

    def __init__(self, source: Source, interval_s: float = 1.0) -> None:
        super().__init__()
        self._source = source
        self._interval_s = interval_s
        self._snapshot: Snapshot | None = None
        self._storms: set[int] = set()
        self._paused = False
        self._log_seen: tuple[str, ...] = ()
        self._writes_seen: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """A title, the map, the log and the writes, what a key has done, the keys."""
        yield Static(id="title", markup=False)
        yield HeatMap()
        if self._source.writable:
            with Horizontal(id="below"):
                yield RichLog(id="log", wrap=False, max_lines=500)
                yield RichLog(id="writes", wrap=False, max_lines=500)
        yield Static(id="said", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Look for the first time, and from then on at every interval."""
        if self._source.writable:
            self.query_one("#log", RichLog).border_title = "the guest's log"
            self.query_one("#writes", RichLog).border_title = "who wrote what"
        self.query_one(HeatMap).focus()
        self.look()
        self.set_timer(self._interval_s, self._look_again)

    def _look_again(self) -> None:
        if not self.query(HeatMap):  # the view is ending
            return
        began = time.monotonic()
        if not self._paused:
            self.look()
        # A machine of 2,048 CPUs takes long to read, and is looked at less often.
        spent = time.monotonic() - began
        self.set_timer(max(self._interval_s, spent * _SHARE), self._look_again)

    def look(self) -> None:
        """Read the source and draw it."""
        try:
            snapshot = self._source.snapshot()
        except (OSError, ValueError) as error:
            self._say(f"cannot be read: {error}")
            return
        self._snapshot = snapshot
        heat_map = self.query_one(HeatMap)
        heat_map.show(snapshot)
        total = sum(heat_map.totals.values())
        online = sum(cpu.online for cpu in snapshot.cpus)
        self.query_one("#title", Static).update(
            f" {snapshot.title}   {online} of {len(snapshot.cpus)} CPUs   "
            f"{number(total) or '0'}/s   {snapshot.clock}"
        )
        if self._source.writable:
            self._log_seen = self._append("#log", snapshot.log, self._log_seen)
            self._writes_seen = self._append("#writes", snapshot.writes, self._writes_seen)

    def _append(self, name: str, lines: tuple[str, ...], seen: tuple[str, ...]) -> tuple[str, ...]:
        """Add to a log the lines that are new at its end."""
        new = lines
        if seen and seen[-1] in lines:
            last = len(lines) - 1 - lines[::-1].index(seen[-1])
            new = lines[last + 1 :]
        view = self.query_one(name, RichLog)
        for line in new:
            view.write(line)
        return lines

    def _say(self, text: str) -> None:
        self.query_one("#said", Static).update(text)

    # -- Keys ----------------------------------------------------------------------------

    def check_action(self, action: str, _parameters: tuple[object, ...]) -> bool | None:
        """Offer what changes something only where something can be changed."""
        acts = {"move", "switch", "storm", "offer", "rescind", "lose", "step"}
        return self._source.writable or action not in acts

    def _act(self, choose: Callable[[], Action]) -> bool:
        """Make the write of a key, show it as a shell's command, and look again."""
        try:
            action = choose()
        except CannotError as error:
            self._say(str(error))
            return False
        try:
            actions.perform(self._source.files, action)
        except (CannotError, OSError) as error:
            self._say(f"$ {action.command}   refused: {error}")
            return False
        self.look()
        self._say(f"$ {action.command}")
        return True

    @property
    def _map(self) -> HeatMap:
        return self.query_one(HeatMap)

    def action_move(self) -> None:
        """Move the selected interrupt to the selected CPU."""
        self._act(lambda: actions.move(self._map.row, self._map.cpu))

    def on_heat_map_moved(self) -> None:
        """Do the same for a click."""
        if self._source.writable:
            self.action_move()

    def action_switch(self) -> None:
        """Take the selected CPU offline, or bring it back."""
        self._act(lambda: actions.switch(self._map.cpu))

    def action_storm(self) -> None:
        """Begin a storm on the selected channel, or end it."""
        row = self._map.row
        relid = row.relid if row else None
        on = relid not in self._storms
        if self._act(lambda: actions.storm(row, on=on)) and relid is not None:
            self._storms ^= {relid}

    def action_offer(self) -> None:
        """Add a network card."""
        self._act(actions.offer)

    def action_rescind(self) -> None:
        """Take the device of the selected channel away."""
        self._act(lambda: actions.rescind(self._map.row))

    def action_lose(self) -> None:
        """Lose the next acknowledgement."""
        self._act(lambda: actions.lose(self._map.row))

    def action_step(self) -> None:
        """Move a manual clock on by a second."""
        clock = self._snapshot.clock if self._snapshot else ""
        self._act(lambda: actions.step(clock, 1))

    def action_counts(self) -> None:
        """Change between rates and counts."""
        self._map.shows = "count" if self._map.shows == "rate" else "rate"
        self.look()

    def action_busiest(self) -> None:
        """Change between the busiest rows first and rows by device."""
        self._map.by_rate = not self._map.by_rate
        self.look()

    def action_zoom(self, change: int) -> None:
        """Show fewer CPUs in a column, or more."""
        self._map.zoom(change)

    def action_pause(self) -> None:
        """Stop looking, or go on."""
        self._paused = not self._paused
        self._say("paused" if self._paused else "")
