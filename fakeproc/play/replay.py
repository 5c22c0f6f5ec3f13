"""Playing a journal again: the same machine, made from its profile and what was done to it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from fakeproc.journal import JournalError, in_seconds
from fakeproc.machine import Machine
from fakeproc.profiles.schema import Profile
from fakeproc.timeline import Clock
from fakeproc.vfs.namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.defaults import SizesKind
    from fakeproc.journal import Entry, Saved
    from fakeproc.timeline import Sleeper

__all__ = ["Difference", "Look", "Played", "continued", "play_again", "play_on"]


class Difference(NamedTuple):
    """An entry that ended in another way than it had; `number` counts from 1."""

    number: int
    before: Entry | None  # None: there was no such request
    now: Entry | None  # None: it was not made again

    def __str__(self) -> str:
        entry = self.before or self.now
        assert entry is not None  # noqa: S101 - one of them is there
        was = self.before.outcome if self.before else "not there"
        now = self.now.outcome if self.now else "not made"
        data = entry.data.decode(errors="backslashreplace").rstrip("\n")
        return f"entry {self.number}, {entry.operation} {entry.path} {data!r}: {was}, now {now}"


class Played(NamedTuple):
    """A machine that has come to where its journal ended, and how that differs."""

    machine: Machine
    files: Namespace
    differences: list[Difference]


class Look(NamedTuple):
    """What is done with the files at a moment (ns), before what the journal has of that moment."""

    instant: int
    action: Callable[[Namespace], None]


# The descriptors of processes: they are of their day, and change nothing in the machine.
_PROGRAMS = "/host/programs"


def play_again(
    saved: Saved,
    profile: Profile | None = None,
    sizes: SizesKind = "length",
    look: Look | None = None,
) -> Played:
    """Play a journal on a new machine, as fast as it goes, to the moment it was taken at.

    `profile` is another profile than the journal's own.  Raises JournalError where the
    journal does not begin at the boot, its profile is not one of this version's, or the
    moment to look at is none that it has.
    """
    if saved.journal.missing:
        raise JournalError(f"the journal cannot be played: {saved.journal.missing}")
    machine = Machine(
        profile or _profile_of(saved),
        saved.header.clock,
        sizes,
        boot_time=saved.header.boot_time,
        source=Clock(manual=saved.header.clock == "manual", monotonic=lambda: 0),
    )
    machine.others_release = True  # as the journal has it
    files = Namespace(machine)
    if look is not None:
        if not machine.timeline.now <= look.instant <= saved.now:
            first, last = in_seconds(machine.timeline.now), in_seconds(saved.now)
            raise JournalError(f"the journal has the moments from {first} to {last}")
        machine.timeline.request_at(look.instant, lambda: look.action(files))
    return play_on(Played(machine, files, []), saved)


def play_on(played: Played, saved: Saved) -> Played:
    """Play what a later journal of the same machine has beyond what was played."""
    machine, files, _ = played
    entries = [entry for entry in saved.journal.entries if entry.path != _PROGRAMS]
    for entry in entries[len(machine.journal.entries) :]:
        if not entry.is_planned:  # host/at makes those
            # Each begins at its moment, whatever is under way then, as it did before.
            machine.timeline.clock.forward_to(entry.instant)
            machine.catch_up()
            _begin(machine, files, entry)
    machine.timeline.clock.forward_to(saved.now)
    machine.catch_up()
    return Played(machine, files, _compared(entries, [*machine.journal.entries]))


def continued(saved: Saved, sizes: SizesKind = "length") -> Machine:
    """The machine of a journal, which goes on where that ends.  Raises JournalError."""
    machine = play_again(saved, sizes=sizes).machine
    machine.timeline.clock.follow(time.monotonic_ns)
    return machine


def _begin(machine: Machine, files: Namespace, entry: Entry) -> None:
    number = len(machine.journal.entries)
    machine.timeline.call(_request(files, entry))
    if len(machine.journal.entries) > number:
        again = machine.journal.entries[number]
        again.pid, again.command = entry.pid, entry.command


def _request(files: Namespace, entry: Entry) -> Sleeper[None]:
    with suppress(OSError):  # the journal has it, to be compared
        if entry.operation == "open":
            files.open(entry.path, os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
        elif entry.operation == "read":
            yield from files.reading(entry.path, *map(int, entry.data.split()))
        else:
            yield from files.writing(entry.path, entry.data, kept=True)


def _compared(before: list[Entry], now: list[Entry]) -> list[Difference]:
    differences = []
    for at in range(max(len(before), len(now))):
        one = before[at] if at < len(before) else None
        other = now[at] if at < len(now) else None
        if one is None or other is None or _essence(one) != _essence(other):
            differences.append(Difference(at + 1, one, other))
    return differences


def _essence(entry: Entry) -> tuple[object, ...]:
    # How much of a text one read gets hangs on when the file was opened.
    reads = entry.operation == "read" and not entry.is_planned and not entry.error
    outcome = "read" if reads else entry.outcome
    return entry.instant, entry.operation, entry.path, outcome, entry.data


def _profile_of(saved: Saved) -> Profile:
    document: dict[str, Any] = dict(saved.header.profile)
    try:
        return Profile.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise JournalError(f"the journal's profile: {key}: {first['msg']}") from error
