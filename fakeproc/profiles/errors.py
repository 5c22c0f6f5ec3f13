"""What is wrong with a profile, in one sentence: the file, the line, the key and why."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeAlias

from fakeproc.profiles.positions import line_of
from fakeproc.shell_words import shown

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["ContradictionError", "Location", "ProfileError", "key_path", "why_invalid"]

Location: TypeAlias = tuple[str | int, ...]

_PLAIN_WORDS = {"extra_forbidden": "no such key", "missing": "must be given"}
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST = 300  # characters of a reason: it is as long as it takes, not as long as the input
_KEY_OF_A_TABLE = "[key]"  # pydantic's mark that the key is wrong, not its value


class ProfileError(ValueError):
    """A profile that cannot be used; the text says where and why."""


class ContradictionError(ValueError):
    """Keys that do not go together; `location` is the one to change, from the table that checks."""

    def __init__(self, location: Location, why: str) -> None:
        super().__init__(why)
        self.location = location


def why_invalid(
    error: ValidationError, text: str, origin: str, whole: str = "profile"
) -> ProfileError:
    """The first of pydantic's errors as a sentence.

    `text` is the profile's TOML, in which the line is looked up, `origin` what
    to call the file, and `whole` what to call all of it.
    """
    first = error.errors()[0]
    location = tuple(part for part in first["loc"] if part != _KEY_OF_A_TABLE)
    contradiction = first.get("ctx", {}).get("error")
    if isinstance(contradiction, ContradictionError):
        location += contradiction.location
    line = line_of(text, location)
    where = f"{shown(origin)}, line {line}" if line else shown(origin)
    return ProfileError(f"{where}: {key_path(location) or whole}: {_reason(first)}")


def _reason(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ")
    return shortened(_PLAIN_WORDS.get(error["type"], message))


def shortened(text: str) -> str:
    """A text that is as long as a reason may be."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def key_path(location: Location) -> str:
    """A location as TOML's users write it: vmbus.devices[13].subchannels[2].relid."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else json.dumps(part[:64])
            path += f".{key}" if path else key
    return path
