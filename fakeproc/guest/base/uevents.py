"""What the kernel tells udev: `lib/kobject_uevent.c`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.timeline import Timeline

__all__ = ["CAPACITY", "Uevent", "Uevents"]

CAPACITY = 10_000  # events that are kept


@dataclass(frozen=True, slots=True)
class Uevent:
    """One event; `instant` in ns of machine time, `environment` in its order."""

    instant: int
    action: str
    devpath: str
    subsystem: str
    environment: tuple[tuple[str, str], ...]


class Uevents:
    """The events so far, the oldest fallen out.

    The record begins when `audible` is set: what the kernel sends before it
    looks for the VMBus (its CPUs, nodes and buses) nobody is there to hear.
    """

    def __init__(self, timeline: Timeline) -> None:
        self.events: deque[Uevent] = deque(maxlen=CAPACITY)
        self._timeline = timeline
        self.audible = False
        self._sequence = 0
        self.hearers: list[Callable[[Uevent], None]] = []  # each is called with every event

    def emit(self, action: str, devpath: str, subsystem: str, **more: str) -> None:
        """`kobject_uevent_env`: `devpath` begins with a slash, below /sys."""
        if not self.audible:
            return
        self._sequence += 1
        environment = (
            ("ACTION", action),
            ("DEVPATH", devpath),
            ("SUBSYSTEM", subsystem),
            *more.items(),
            ("SEQNUM", str(self._sequence)),
        )
        event = Uevent(self._timeline.now, action, devpath, subsystem, environment)
        self.events.append(event)
        for hear in self.hearers:
            hear(event)
