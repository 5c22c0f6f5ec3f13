"""The console of a guest's host as methods, for mounted and unmounted guests alike."""

from __future__ import annotations

import math
import os
import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fakeproc.access_record import AccessRecord
from fakeproc.api import assertions
from fakeproc.api.accesses import Accesses
from fakeproc.api.errors import (
    FakeprocError,
    RefusedError,
    ScenarioError,
    ScenarioFailedError,
)
from fakeproc.api.export import export, form_of
from fakeproc.api.files import Files, Path
from fakeproc.api.measure import Measured
from fakeproc.api.state import State
from fakeproc.interrupts_table import Table

if TYPE_CHECKING:
    from uuid import UUID

    from fakeproc.play.target import Target
    from fakeproc.recordings.record import Root

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


_POLL_S = 0.02  # between two looks at a guest whose clock is real


class Console(Files):
    """The files of a guest, and the host's side of it.

    What the host refuses is a RefusedError that says why.  With a manual clock
    things happen when time passes: after offering a device, advance the clock
    before looking for it.
    """

    _records = False
    _begun: State | None = None  # what `assert_moved` and its like compare with

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

    def clock(self, kind: Literal["manual", "hold", "real"], rate: float = 1.0) -> None:
        """Have time pass only by `advance` ("manual"), or by itself, `rate` times as fast ("real").

        On a manual clock it also passes as soon as every program of a run sleeps; "hold"
        has programs sleep until `advance` wakes them.
        """
        if kind == "real":
            self._tell("clock", f"rate {float(_number('rate', rate))!r}")
        self._tell("clock", kind)

    def settle(self) -> None:
        """Move the guest's time on until nothing is outstanding: no move, no offer, no wait."""
        self._tell("clock", "advance idle")

    def wait_until(self, condition: Callable[[], bool], within: float = 60.0) -> None:
        """Have time pass until the condition is true.

        On a manual clock the time moves from one event of the guest to the next, so that
        this takes no time of yours; on a real one it is yours.  Raises TimeoutError where
        it is not true `within` so many seconds of the guest's time.
        """
        last = self._time() + _number("within", within)
        while not condition():
            if self._time() >= last:
                raise TimeoutError(f"not true within {within:g} s of the guest's time")
            if self._is_manual():
                self._advance_to_next(last)
            else:
                time.sleep(_POLL_S)

    def _advance_to_next(self, last: float) -> None:
        """Move a manual clock to the next event, but not beyond `last`."""
        before = self._time()
        try:
            self._tell("clock", "advance next")
        except RefusedError:  # no event waits
            self._tell("clock", f"advance {max(last - before, 0):.9f}")

    def _is_manual(self) -> bool:
        return not self._ask("clock").startswith("real")

    def _time(self) -> float:
        return float(self._ask("clock").split()[1])

    def measure(self, seconds: float) -> Measured:
        """Have so many seconds pass, and return the interrupts that came meanwhile.

        On a real clock this waits.
        """
        before = self.state()
        if self._is_manual():
            self.advance(seconds)
        else:
            time.sleep(_number("seconds", seconds))
        return Measured.between(before, self.state())

    def latency(self, seconds: float) -> None:
        """How long the host takes from now on to acknowledge a move."""
        self._tell("latency", f"ack {float(_number('seconds', seconds))!r}")

    def ethtool(self, adapter: UUID | str | int, combined: int) -> None:
        """Give a network adapter (its GUID, or a relid of it) so many channels."""
        self._tell("ethtool", f"{adapter} combined {combined}")

    def hibernate(self) -> None:
        """Hibernate and resume the guest, where its profile lets it."""
        self._tell("power", "hibernate")

    def set_online(self, cpu: int, online: bool = True) -> None:
        """Take a CPU online or offline.  Raises OSError with the errno by which the kernel refuses.

        A CPU that may not go (CPU 0 of x86) has no such file: ENOENT.
        """
        self.write(f"/sys/devices/system/cpu/cpu{cpu}/online", f"{online:d}\n")

    def offer(
        self,
        device_class: str,
        *,
        guid: UUID | str | None = None,
        relid: int | None = None,
        subchannels: int | None = None,
        pci: Literal["nic", "mana", "nvme"] | None = None,
        disks: Sequence[int] = (),
        count: int | None = None,
        connection: int | None = None,
        port: int | None = None,
        service: UUID | str | None = None,
        initiator: Literal["host", "guest"] | None = None,
    ) -> None:
        """The host offers new devices; "hv_sock" is a connection by socket.

        A storage controller has `disks`, of so many GiB each.  Of a connection
        one can say where it goes (a port or a service) and which side has made it.
        """
        options = {
            "guid": guid,
            "relid": relid,
            "subchannels": subchannels,
            "pci": pci,
            "disks": ",".join(map(str, disks)) or None,
            "count": count,
            "connection": connection,
            "port": port,
            "service": service,
            "initiator": initiator,
        }
        given = [f"{key}={value}" for key, value in options.items() if value is not None]
        self._tell("offer", " ".join([device_class, *given]))

    def rescind(self, device: UUID | str | int) -> None:
        """The host takes a device away (by its GUID), or one channel (by its relid).

        `rescind("hv_sock 3")` ends the three oldest connections by socket.
        """
        self._tell("rescind", str(device))

    def fault(self, fault: str, number: int | None = None) -> None:
        """Something is to go wrong: `fault("modifychannel drop", 2)`; "clear" ends it.

        The number is how often, and for "pending" the channel.
        """
        self._tell("fault", fault if number is None else f"{fault} {number}")

    @abstractmethod
    def _target(self) -> Target:
        """The guest's files, for a scenario."""

    def play(self, scenario: str | os.PathLike[str]) -> int:
        """Play a scenario, a file or one that comes with fakeproc; how many steps were made.

        Raises ScenarioFailedError where something is not as it expects, and
        ScenarioError where it makes no sense on this guest, or is none.
        """
        from fakeproc.play import load, names, player  # noqa: PLC0415 - takes time

        target = self._target()
        try:
            loaded = load.load(os.fspath(scenario))
            why = player.missing_needs(loaded, target)
            if why is not None:
                raise ScenarioError(f"{scenario} makes no sense here: {why}")
            return player.Player(loaded, target).play()
        except player.StepFailed as error:
            raise ScenarioFailedError(f"{scenario}: {error}") from error
        except (load.ScenarioError, names.PlayError) as error:
            raise ScenarioError(str(error)) from error

    @abstractmethod
    def _root(self) -> Root:
        """Where its files can be recorded."""

    def export(
        self,
        path: str | os.PathLike[str],
        form: Literal["archive", "directory", "profile"] | None = None,
    ) -> None:
        """Hand the guest on as it is now, as `fakeproc export` does.

        The name says the form where `form` does not.  Raises OSError, EEXIST where it is there.
        """
        export(self._root(), self._ask("now.toml"), path, form or form_of(path))

    def journal(self) -> str:
        """What was done to the guest since it booted, for `fakeproc replay`."""
        return self._ask("journal")

    def state(self) -> State:
        """Guest and host as they are now."""
        return State.parse(self._ask("state.json"))

    def interrupts(self) -> Table:
        """/proc/interrupts, read as any program reads it, in typed rows."""
        return Table.parse(self.read("/proc/interrupts"))

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
            self._begun = self.state()
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

    # -- Assertions --------------------------------------------------------------------

    def assert_moved(self, irq: int, to: int | None = None) -> None:
        """Fail unless an interrupt comes to another CPU than at `record()`, or to that one.

        Raises AssertionError, which shows who wrote what since then.
        """
        assertions.moved(self._since_record(), self.state(), irq, to, self.accesses())

    def assert_untouched(self, irqs: Iterable[int]) -> None:
        """Fail where the affinity of one of these was written to, or changed, since `record()`."""
        assertions.untouched(self._since_record(), self.state(), irqs, self.accesses())

    def assert_spread(self, irqs: Iterable[int], most: int = 1) -> None:
        """Fail where more than `most` of these interrupts come to one CPU."""
        self._since_record()
        assertions.spread(self.state(), irqs, most, self.accesses())

    def _since_record(self) -> State:
        if self._begun is None:
            raise FakeprocError("nothing is recorded: call record() before what is to be watched")
        return self._begun


def _number(name: str, value: object) -> float:
    """A number that a method was given.  Raises RefusedError, for digits in a text as well."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise RefusedError(f"{name} is a number, not {value!r}")
