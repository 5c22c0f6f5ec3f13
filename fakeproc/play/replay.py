"""Playing a journal again: the same machine, made from its profile and what was done to it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from fakeproc.journal import JournalError
from fakeproc.machine import Machine
from fakeproc.profiles.schema import Profile
from fakeproc.timeline import Clock
from fakeproc.vfs.namespace import Namespace

if TYPE_CHECKING:
    from fakeproc.journal import Entry, Saved
    from fakeproc.timeline import Sleeper

__all__ = ["Difference", "Played", "play_again"]


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


def play_again(
    saved: Saved,
    profile: Profile | None = None,
) -> Played:
    """Play a journal on a new machine, as fast as it goes, to the moment it was taken at.

    `profile` is another profile than the journal's own.  Raises JournalError where
    the journal does not begin at the boot, or its profile is not one of this version's.
    """
    if saved.journal.missing:
        raise JournalError(f"the journal cannot be played: {saved.journal.missing}")
    machine = Machine(
        profile or _profile_of(saved),
        saved.header.clock,
        boot_time=saved.header.boot_time,
        source=Clock(manual=saved.header.clock == "manual", monotonic=lambda: 0),
    )
    files = Namespace(machine)
    entries = [*saved.journal.entries]
    for entry in entries:
        if entry.is_planned:
            continue  # host/at makes it
        # Each begins at its moment, whatever is under way then, as it did before.
        machine.timeline.clock.forward_to(entry.instant)
        machine.catch_up()
        machine.timeline.call(_request(files, entry))
    machine.timeline.clock.forward_to(saved.now)
    machine.catch_up()
    return Played(machine, files, _compared(entries, [*machine.journal.entries]))


def _request(files: Namespace, entry: Entry) -> Sleeper[None]:
    with suppress(OSError):  # the journal has it, to be compared
        if entry.operation == "open":
            files.open(entry.path, os.O_WRONLY | os.O_TRUNC)
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
    return entry.instant, entry.operation, entry.path, entry.outcome, entry.data


def _profile_of(saved: Saved) -> Profile:
    document: dict[str, Any] = dict(saved.header.profile)
    try:
        return Profile.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise JournalError(f"the journal's profile: {key}: {first['msg']}") from error
