"""The words of a command of the console.

Each function raises ValueError, whose sentence says what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from fakeproc.host.devices import MAX_RELID
from fakeproc.machine import Machine

if TYPE_CHECKING:
    from fakeproc.host.devices import HostChannel

__all__ = [
    "Action",
    "Command",
    "at_most",
    "channel_with",
    "count_of",
    "decimal",
    "guid_of",
    "irq_number",
    "is_relid",
    "one_of",
    "quoted",
    "shortened",
    "spelt",
    "whole",
]

Action: TypeAlias = Callable[[], object]
Command: TypeAlias = Callable[[Machine, list[str]], Action]

MAX_COUNT = 1 << 32
LONGEST_NUMBER = 20  # digits
LONGEST_QUOTE = 60  # characters


def shortened(text: str) -> str:
    """As much of what was written as a sentence can carry."""
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def quoted(word: str) -> str:
    """What was written, shortened, as it stands in a sentence."""
    return repr(shortened(word))


def whole(word: str, what: str, low: int, high: int) -> int:
    """A whole number of those bounds; `what` names it."""
    short = len(word) <= LONGEST_NUMBER
    if not (short and word.isascii() and word.isdigit()) or not low <= int(word) <= high:
        raise ValueError(f"{what} is a whole number from {low} to {high}, not {quoted(word)}")
    return int(word)


def decimal(word: str, what: str, most: float) -> float:
    """A number from 0 to `most`; `what` names it."""
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise ValueError(f"{what} is a number from 0 to {most:g}, not {quoted(word)}")
    return number


def one_of(word: str, words: tuple[str, ...]) -> str:
    """A word of a fixed list."""
    if word not in words:
        raise ValueError(f"{quoted(word)} is none of: {', '.join(words)}")
    return word


def irq_number(word: str) -> int:
    """A Linux interrupt: `47` or `irq47`."""
    return whole(word.removeprefix("irq"), "an IRQ", 0, 1 << 20)


def channel_with(machine: Machine, word: str) -> HostChannel:
    """The host's channel of a relid: `7`, or `2:7` where the second connection has its own."""
    connection, colon, number = word.rpartition(":")
    connections = machine.host.connections
    on = whole(connection, "a connection", 1, len(connections)) if colon else 1
    relid = whole(number, "a relid", 1, MAX_RELID)
    channel = connections[on - 1].relids.taken.get(relid)
    if channel is None:
        raise ValueError(f"no channel has relid {word}")
    return channel


def is_relid(word: str) -> bool:
    """Whether a word is meant to be a relid."""
    return word.replace(":", "", 1).isdigit()


def spelt(machine: Machine, relid: int, connection: int) -> str:
    """A relid as `channel_with` reads it."""
    own = machine.profile.vmbus.relids != "global" and connection > 0
    return f"{connection + 1}:{relid}" if own else str(relid)


def count_of(words: list[str]) -> int:
    """How often: the only word, or once."""
    return whole(words[0], "a count", 1, MAX_COUNT) if words else 1


def at_most(words: list[str], number: int) -> None:
    """Nothing more than so many words."""
    if len(words) > number:
        raise ValueError(f"there is a word too many: {quoted(words[number])}")


def guid_of(word: str) -> UUID:
    """A GUID."""
    try:
        return UUID(word)
    except ValueError:
        raise ValueError(f"{quoted(word)} is no GUID") from None
