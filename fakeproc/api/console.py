"""The console of a guest's host as methods, for mounted and unmounted guests alike."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fakeproc.access_record import AccessRecord
from fakeproc.api.accesses import Accesses, Path
from fakeproc.api.errors import FakeprocError, RefusedError
from fakeproc.api.state import State

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["Console", "Uevent"]

_UEVENT = re.compile(r"KERNEL\[(?P<time>[\d.]+)\] (?P<action>\S+) +(?P<devpath>\S+) \((?P<of>.*)\)")


@dataclass(frozen=True)
class Uevent:
    """An event that the guest's kernel sent to udev."""

    time_s: float
    action: str
    devpath: str
    subsystem: str
    properties: dict[str, str]


class Console(ABC):
    """The host's side of a guest.

    What the host refuses is a RefusedError that says why.  With a manual clock
    things happen when time passes: after offering a device, advance the clock
    before looking for it.
    """

    _records = False

    @abstractmethod
    def _tell(self, file: str, command: str) -> None:
        """Write a command into a file of host/.  Raises RefusedError."""

    @abstractmethod
    def _ask(self, file: str) -> str:
        """Read a file of host/."""

    @abstractmethod
    def _resolve(self, path: Path) -> str:
        """A path of the guest, or of the mount, with all links followed."""

    @abstractmethod
    def _walk(self) -> Iterator[str]:
        """Every file of proc/ and sys/, links not followed."""

    def interrupt(self, relid: int | Literal["message"], count: int = 1) -> None:
        """The host signals a channel so many times, all at once."""
        self._tell("interrupt", f"{relid} {count}")

    def advance(self, seconds: float) -> None:
        """Move the guest's time on by so many seconds, at once."""
        self._tell("clock", f"advance {_number('seconds', seconds):.9f}")

    def traffic(
        self, source: int | str, rate: float, kind: Literal["steady", "poisson"] = "steady"
    ) -> None:
        """So many interrupts a second, from now on, by a source.

        It is a relid, a class of devices ("netvsc"), "all", "timer" or another
        interrupt ("irq47").  A rate of 0 ends it.
        """
        self._tell("traffic", f"{source} {float(_number('rate', rate))!r} {kind}")

    def offer(
        self,
        device_class: str,
        *,
        guid: UUID | str | None = None,
        relid: int | None = None,
        subchannels: int | None = None,
        pci: Literal["nic", "nvme"] | None = None,
    ) -> None:
        """The host offers a new device."""
        options = {"guid": guid, "relid": relid, "subchannels": subchannels, "pci": pci}
        given = [f"{key}={value}" for key, value in options.items() if value is not None]
        self._tell("offer", " ".join([device_class, *given]))

    def rescind(self, device: UUID | str | int) -> None:
        """The host takes a device away (by its GUID), or one channel (by its relid)."""
        self._tell("rescind", str(device))

    def fault(self, fault: str, number: int | None = None) -> None:
        """Something is to go wrong: `fault("modifychannel drop", 2)`; "clear" ends it.

        The number is how often, and for "pending" the channel.
        """
        self._tell("fault", fault if number is None else f"{fault} {number}")

    def state(self) -> State:
        """Guest and host as they are now."""
        return State.parse(self._ask("state.json"))

    def log(self) -> str:
        """The log of the guest's kernel, as dmesg prints it; refused writes are explained in it."""
        return self._ask("log")

    def uevents(self) -> list[Uevent]:
        """The events that the guest's kernel has sent to udev since it booted."""
        events = []
        for text in filter(None, self._ask("uevents").split("\n\n")):
            head, *lines = text.splitlines()
            found = _UEVENT.fullmatch(head)
            if found is None:
                raise FakeprocError(f"a mistake in fakeproc: this is no uevent: {head!r}")
            properties = dict(line.split("=", 1) for line in lines)
            events.append(
                Uevent(
                    float(found["time"]),
                    found["action"],
                    found["devpath"],
                    found["of"],
                    properties,
                )
            )
        return events

    def record(self, on: bool = True) -> None:
        """Begin a new record of accesses, or stop recording."""
        if on:
            self._tell("accesses", "clear")
        self._tell("accesses", "on" if on else "off")
        self._records = self._records or on

    def accesses(self) -> Accesses:
        """Every access since `record()`.  Raises FakeprocError if it was never called."""
        record = AccessRecord.parse(self._ask("accesses"))
        if not self._records and not record.accesses:
            raise FakeprocError(
                "no accesses are recorded: call record() before what is to be watched"
            )
        return Accesses(record.accesses, self._resolve, record.lost)

    def untouched(self, path: Path = "/", *commands: str) -> list[str]:
        """The files that no command (or none of these) has opened since `record()`.

        Looks through the whole tree, during which nothing is recorded.
        """
        accesses = self.accesses().by(*commands)
        top = self._resolve(path).rstrip("/")
        self._tell("accesses", "off")
        try:
            files = [file for file in self._walk() if file == top or file.startswith(f"{top}/")]
        finally:
            self._tell("accesses", "on")
        return accesses.untouched(files)


def _number(name: str, value: object) -> float:
    """A number that a method was given.  Raises RefusedError, for digits in a text as well."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise RefusedError(f"{name} is a number, not {value!r}")
