"""What the console says about moments: `host/at` and `host/journal`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fakeproc.access_record import escaped, unescaped
from fakeproc.agenda import MOST_DATA, Planned
from fakeproc.files.host.words import quoted
from fakeproc.journal import Header, Saved, in_seconds, nanoseconds
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.machine import Machine

__all__ = ["agenda_text", "at_command", "journal_command", "moment_of", "path_of", "saved"]

NEWLINE = b"\n"
MAX_MOMENT = 1_000_000_000 * SECOND  # 31 years of machine time
TREES = ("proc", "sys", "host")


def agenda_text(machine: Machine) -> str:
    """A line for each request that waits or was made, by number.

    `NUMBER MOMENT PATH DATA` or `NUMBER MOMENT read PATH` for one that waits,
    `done NUMBER OUTCOME MOMENT PATH` for one that was made; the outcome is the
    number of bytes or the name of the errno.
    """
    made = [
        f"done {planned.number} {entry.outcome} {in_seconds(entry.instant)} {entry.path}\n"
        for planned, entry in machine.agenda.done
    ]
    waiting = [
        f"{planned.number} {in_seconds(planned.instant)} {_what(planned)}\n"
        for planned in machine.agenda.waiting.values()
    ]
    return "".join(made + waiting)


def _what(planned: Planned) -> str:
    if planned.operation == "read":
        return f"read {planned.path}"
    return f"{planned.path} {escaped(planned.data.removesuffix(NEWLINE))}"


def at_command(machine: Machine, words: list[str]) -> Callable[[], object]:
    r"""`[at] MOMENT PATH DATA…`, `[at] MOMENT read PATH`, `cancel NUMBER` or `clear`.

    A moment is in seconds of machine time, or with a `+` in seconds from now.
    The data is written as `printf '%b\n' DATA` would write it: `\n` and `\x20`
    stand for what they stand for in C, and a newline follows.
    """
    match words:
        case ["clear"]:
            return machine.agenda.clear
        case ["cancel", number]:
            return _cancel(machine, number)
        case ["at", *rest]:
            words = rest
    if len(words) < 3:
        raise ValueError("expected MOMENT PATH DATA, MOMENT read PATH, cancel NUMBER or clear")
    instant = moment_of(machine, words[0])
    if not machine.agenda.room:
        raise ValueError("too many requests wait already")
    if words[1] == "read":
        if len(words) > 3:
            raise ValueError(f"unexpected argument {quoted(words[3])}")
        path = path_of(words[2])
        _check_length(path, b"")
        return partial(machine.agenda.plan, instant, "read", path, b"")
    path, data = path_of(words[1]), _data(" ".join(words[2:])) + NEWLINE
    _check_length(path, data)
    return partial(machine.agenda.plan, instant, "write", path, data)


def _check_length(path: str, data: bytes) -> None:
    if len(path) + len(data) > MOST_DATA:
        raise ValueError(f"the path and the data of a request are at most {MOST_DATA} bytes")


def _data(word: str) -> bytes:
    if "\\" not in word:
        return word.encode(errors="surrogateescape")
    try:
        return unescaped(word)
    except ValueError:
        raise ValueError(f"{quoted(word)} has an escape that C does not know") from None


def _cancel(machine: Machine, word: str) -> Callable[[], object]:
    waiting = machine.agenda.waiting
    if not (word.isascii() and word.isdigit() and len(word) < 10 and int(word) in waiting):
        raise ValueError(f"no request {quoted(word)} waits")
    number = int(word)
    return lambda: machine.agenda.cancel(number)


def moment_of(machine: Machine, word: str) -> int:
    """Nanoseconds of machine time: `33761.2`, or `+0.005` from now on.  Raises ValueError."""
    try:
        moment = nanoseconds(word.removeprefix("+"))
    except ValueError:
        why = f"a moment is in seconds, like 33761.2 or +0.005, not {quoted(word)}"
        raise ValueError(why) from None
    if moment > MAX_MOMENT:
        raise ValueError(f"a moment is at most {MAX_MOMENT // SECOND} seconds")
    return machine.timeline.now + moment if word.startswith("+") else moment


def path_of(word: str) -> str:
    """A path below proc/, sys/ or host/, from the root.  Raises ValueError."""
    path = f"/{word.lstrip('/')}"
    if path.split("/")[1] not in TREES or path.count("/") < 2:
        trees = ", ".join(f"{tree}/" for tree in TREES)
        raise ValueError(f"a path begins with {trees}: {quoted(word)}")
    return path


def journal_command(machine: Machine, words: list[str]) -> Callable[[], object]:
    """`on`, `off` or `clear`."""
    journal = machine.journal
    match words:
        case ["on" | "off" as state]:
            return lambda: journal.switch(state == "on")
        case ["clear"]:
            return journal.clear
    raise ValueError("expected on, off or clear")


def saved(machine: Machine) -> Saved:
    """The machine as its journal has it."""
    header = Header(
        machine.kernel.boot_time,
        machine.started_with,
        machine.profile.model_dump(mode="json", by_alias=True, exclude_none=True),
    )
    return Saved(header, machine.journal, machine.timeline.now)
