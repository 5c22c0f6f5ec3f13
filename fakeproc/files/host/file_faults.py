"""What the console says about faults of files: `read` and `write` in `host/fault`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fakeproc.errno_names import errno_of
from fakeproc.files.host.moments import at_command, path_of
from fakeproc.files.host.words import at_most, decimal, quoted, whole
from fakeproc.path_faults import PathFault
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from fakeproc.files.host.words import Action
    from fakeproc.machine import Machine

__all__ = ["file_fault"]

MOST_REQUESTS = 1 << 32
LONGEST_DELAY = 1e6  # seconds
MOST_BYTES = 1 << 30


def file_fault(machine: Machine, words: list[str]) -> Action:
    """`read|write PATTERN [N] ERRNO|late SECONDS|short BYTES|hang|with MOMENT PATH DATA`."""
    if len(words) < 3:
        raise ValueError(
            "expected read|write PATTERN [N], then ERRNO, late SECONDS, short BYTES, hang or "
            "with MOMENT PATH DATA"
        )
    operation, pattern, *what = words
    number = 1
    if what[0].isdigit() and len(what) > 1:
        number = whole(what[0], "which request", 1, MOST_REQUESTS)
        what = what[1:]
    fault = PathFault(
        "read" if operation == "read" else "write",
        _without_links(machine, path_of(pattern)),
        number,
        " ".join(what),
    )
    match what:
        case ["hang"]:
            fault.hangs = True
        case ["late", seconds]:
            fault.late = round(decimal(seconds, "a delay", LONGEST_DELAY) * SECOND)
        case ["short", count]:
            fault.short = whole(count, "a number of bytes", 1, MOST_BYTES)
        case ["with", *planned]:
            at_command(machine, planned)  # refused now, where it is wrong
            fault.begin = partial(_plan, machine, planned)
        case [name, *rest] if (number_of_error := errno_of(name)) is not None:
            at_most(rest, 0)
            fault.error = number_of_error
        case [name, *_]:
            raise ValueError(f"{quoted(name)} is none of: an errno, late, short, hang, with")
    return lambda: machine.path_faults.arm(fault)


def _plan(machine: Machine, words: list[str]) -> None:
    """Plan a request; its moment counts from now."""
    at_command(machine, words)()


def _without_links(machine: Machine, path: str) -> str:
    """A path as requests have it; a pattern, or what is not there, as it is."""
    if machine.files is None or set(path) & set("*?["):
        return path
    try:
        return "/" + "/".join(machine.files.resolve(path))
    except OSError:
        return path
