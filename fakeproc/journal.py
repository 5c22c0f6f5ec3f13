r"""The journal: every write to proc/, sys/ and host/, with its moment and its result.

A machine is its profile, its seed and its journal.  The machine is deterministic
and reading changes nothing, so the writes and their moments are all that made it
what it is.  `host/journal` shows the journal as text, and that text is the file
that `fakeproc save` writes and `fakeproc replay` reads:

    # fakeproc journal 1
    # {"boot_time":1717390800,"clock":"manual","profile":{...}}
    33761.200000000  0  412  sh  write  /proc/irq/39/smp_affinity  3  08\n
    # now 33761.250000000

The fields are separated by tabs: machine time in seconds, how many writes were
under way (an entry above 0 fell into the middle of the one before it), process,
its name, operation, path, the number that write(2) returned or the name of the
errno, and the data, escaped as in a Python string.

The operations are `write`; `open` of a file to write to, where that was refused; and
`read`, which `host/at` makes, or a process whose read is counted by a fault of `host/fault`
(its data is the size and the offset).  Entries of the process 0, `at`, were made by `host/at`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias, get_args

from fakeproc.access_record import escaped, unescaped
from fakeproc.defaults import ClockKind
from fakeproc.errno_names import errno_name, errno_of
from fakeproc.history import History
from fakeproc.timeline import SECOND

__all__ = [
    "AT",
    "Entry",
    "Header",
    "Journal",
    "JournalError",
    "JournalOperation",
    "Saved",
    "in_seconds",
    "is_journal",
    "nanoseconds",
]

JournalOperation: TypeAlias = Literal["write", "read", "open"]

TITLE = "# fakeproc journal 1"
_NOW = "# now "
_LATE = "# the first entries are missing: "

CAPACITY = 100_000  # entries
MOST_BYTES = 16 << 20  # of their paths and data together
AT = (0, "at")  # the process that stands for host/at


class JournalError(ValueError):
    """A text that is no journal, or one that cannot be played; the message says why."""


class Header(NamedTuple):
    """What a machine was made of, besides its journal.

    `boot_time` is in seconds since 1970, `clock` is the one it was started with,
    `profile` is the profile as `Profile.model_dump_json` gives it.
    """

    boot_time: int
    clock: ClockKind
    profile: dict[str, object]


@dataclass(slots=True)
class Entry:
    """One request: see the fields in the text above.

    `result` is None and `error` is "" as long as the request is under way.
    """

    instant: int  # ns of machine time when it began
    depth: int
    pid: int
    command: str
    operation: JournalOperation
    path: str
    data: bytes
    result: int | None = None
    error: str = ""

    @property
    def outcome(self) -> str:
        """The number of bytes, the name of the errno, or `…` while it is under way."""
        if self.error:
            return self.error
        return "…" if self.result is None else str(self.result)

    @property
    def is_planned(self) -> bool:
        """Whether `host/at` made it."""
        return (self.pid, self.command) == AT

    def __str__(self) -> str:
        return "\t".join(
            (
                in_seconds(self.instant),
                str(self.depth),
                str(self.pid),
                escaped(self.command.encode(errors="surrogateescape")),
                self.operation,
                escaped(self.path.encode(errors="surrogateescape")),
                self.outcome,
                escaped(self.data),
            )
        )

    @classmethod
    def parse(cls, line: str) -> Entry:
        """What `str` printed.  Raises ValueError."""
        moment, depth, pid, command, operation, path, outcome, data = line.split("\t")
        for known in get_args(JournalOperation):
            if operation == known:
                break
        else:
            raise ValueError(f"{operation!r} is no operation")
        return cls(
            nanoseconds(moment),
            int(depth),
            int(pid),
            unescaped(command).decode(errors="surrogateescape"),
            known,
            unescaped(path).decode(errors="surrogateescape"),
            unescaped(data),
            int(outcome) if outcome.isdigit() else None,
            "" if outcome.isdigit() or outcome == "…" else _errno(outcome),
        )


def _errno(name: str) -> str:
    """An errno as we write it today, whichever of its names was written."""
    number = errno_of(name)
    return name if number is None else errno_name(number)


def in_seconds(instant: int) -> str:
    """Nanoseconds as decimal seconds, exactly."""
    seconds, rest = divmod(instant, SECOND)
    return f"{seconds}.{rest:09d}"


def nanoseconds(seconds: str) -> int:
    """Decimal seconds as nanoseconds, exactly.  Raises ValueError."""
    whole, _, fraction = seconds.partition(".")
    if not (whole.isdigit() and (fraction or "0").isdigit() and len(fraction) <= 9):
        raise ValueError(f"{seconds!r} is not a time in seconds")
    return int(whole) * SECOND + int(fraction.ljust(9, "0"))


@dataclass(eq=False)
class Journal:
    """The entries since the machine booted, as far as they are kept.

    `missing` is why the journal does not begin at the boot, or "".  The oldest
    entries go when there are more than `CAPACITY`, or their texts are longer than
    `MOST_BYTES`.
    """

    on: bool = True
    missing: str = ""
    entries: History[Entry] = field(
        default_factory=lambda: History(
            CAPACITY, MOST_BYTES, lambda entry: len(entry.path) + len(entry.data)
        )
    )
    _under_way: int = 0

    @contextmanager
    def entry(
        self,
        instant: int,
        process: tuple[int, str],
        operation: JournalOperation,
        path: str,
        data: bytes,
    ) -> Iterator[Entry]:
        """Keep a request from its beginning on; an OSError that it raises is its outcome.

        The body sets `result`.  `process` is a pid and a name.
        """
        # One copy of a path, however often it is written to.
        kept = Entry(instant, self._under_way, *process, operation, sys.intern(path), data)
        if self.on:
            self._append(kept)
        self._under_way += 1
        try:
            yield kept
        except OSError as error:
            kept.error = errno_name(error.errno)
            raise
        finally:
            self._under_way -= 1
            if kept.data is not data:
                self.entries.has_changed(kept)

    def _append(self, entry: Entry) -> None:
        self.entries.append(entry)
        if self.entries.lost:
            self.missing = f"only the last {len(self.entries)} are kept"

    def switch(self, on: bool) -> None:
        """Begin or stop keeping entries."""
        if self.on and not on:
            self.missing = "it was switched off for a time"
        self.on = on

    def clear(self) -> None:
        """Forget all entries."""
        if self.entries:
            self.missing = "it was cleared"
        self.entries.clear()


class Saved(NamedTuple):
    """A machine as its journal has it: made of what, what was done, and until when (ns)."""

    header: Header
    journal: Journal
    now: int

    def __str__(self) -> str:
        header = json.dumps(self.header._asdict(), separators=(",", ":"), ensure_ascii=False)
        missing = f"{_LATE}{self.journal.missing}\n" if self.journal.missing else ""
        entries = "".join(f"{entry}\n" for entry in self.journal.entries)
        return f"{TITLE}\n# {header}\n{missing}{entries}{_NOW}{in_seconds(self.now)}\n"

    @classmethod
    def parse(cls, text: str, origin: str = "journal") -> Saved:
        """What `str` printed.  Raises JournalError, which names `origin` and the line."""
        if not is_journal(text):
            raise JournalError(f"{origin}, line 1: not a journal (it begins with {TITLE!r})")
        lines = text.split("\n")
        try:
            header = Header(**json.loads(lines[1].removeprefix("# ")))
        except (IndexError, TypeError, ValueError, RecursionError) as error:
            raise JournalError(f"{origin}, line 2: not the header of a journal") from error
        journal, now = Journal(), None
        for number, line in enumerate(lines[2:], start=3):
            try:
                if line.startswith(_NOW):
                    now = nanoseconds(line.removeprefix(_NOW))
                elif line.startswith(_LATE):
                    journal.missing = line.removeprefix(_LATE)
                elif line:
                    journal.entries.append(Entry.parse(line))
            except ValueError as error:
                raise JournalError(f"{origin}, line {number}: not an entry: {error}") from error
        if now is None:
            raise JournalError(f"{origin}: cut short (its last line, {_NOW.strip()!r}, is missing)")
        return cls(header, journal, now)


def is_journal(text: str) -> bool:
    """Whether a text claims to be a journal."""
    return text.startswith(f"{TITLE}\n")
