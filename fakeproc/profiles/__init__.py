"""Profiles: which machine this is, as TOML, built in or one's own.

`load` takes the name of a built-in profile or the path of a file.  What is
wrong with a profile is one `ProfileError`, whose text is one sentence that
names the file, the line and the key.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from pathlib import Path

import tomli_w
from pydantic import ValidationError

from fakeproc.profiles.schema import Profile

__all__ = ["Profile", "ProfileError", "description", "dump", "load", "names", "parse", "source"]

_PLAIN_WORDS = {"extra_forbidden": "there is no such key", "missing": "must be given"}


class ProfileError(ValueError):
    """A profile that cannot be used; the text says where and why."""


def names() -> list[str]:
    """The built-in profiles."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def source(name: str) -> str:
    """The TOML of a built-in profile; raises ProfileError when there is none."""
    if name not in names():
        raise ProfileError(f"no profile is called {name!r}; built in are: {', '.join(names())}")
    return resources.files(__name__).joinpath(f"{name}.toml").read_text()


@cache
def description(name: str) -> str:
    """What a built-in profile is, in one line."""
    return str(tomllib.loads(source(name))["description"])


def load(name_or_path: str) -> Profile:
    """A built-in profile by name, or one from a file (a path, or a name in .toml)."""
    if "/" not in name_or_path and not name_or_path.endswith(".toml"):
        return parse(source(name_or_path), f"{name_or_path}.toml", name_or_path)
    path = Path(name_or_path)
    try:
        text = path.read_text()
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: not a text file ({error.reason})") from error
    return parse(text, str(path), path.stem)


def dump(profile: Profile) -> str:
    """A profile as complete TOML, every default written out."""
    document = profile.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"name"})
    return tomli_w.dumps(document)


def parse(text: str, origin: str, name: str) -> Profile:
    """A profile from TOML; `origin` is what errors call the file."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{origin}: not TOML: {error}") from error
    if "name" in document:
        line = _line_of(text, ("name",))
        raise ProfileError(f"{origin}, line {line}: name: {_PLAIN_WORDS['extra_forbidden']}")
    try:
        return Profile.model_validate({**document, "name": name})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        line = _line_of(text, first["loc"])
        where = f"{origin}, line {line}" if line else origin
        message = _PLAIN_WORDS.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise ProfileError(f"{where}: {key or 'profile'}: {message}") from error


def _line_of(text: str, location: tuple[int | str, ...]) -> int | None:
    """The line that a key stands on, as near as one can tell from the text.

    tomllib keeps no positions.  The location is followed from header to
    header, counting those of `[[…]]`; the key itself is looked for down to the
    next header, and where it is missing the table's own line is the answer.
    """
    lines = [line.strip() for line in text.splitlines()]
    start, end, found, header = 0, len(lines), None, ""
    for at, part in enumerate(location):
        if isinstance(part, int):
            continue
        header = f"{header}.{part}" if header else part
        number = location[at + 1] if at + 1 < len(location) else None
        table = _table(lines, header, number if isinstance(number, int) else None)
        if table is not None:
            start, end = table
            found = start
            continue
        key = next(
            (n for n in range(start, end) if lines[n].split("=", 1)[0].strip() == part), None
        )
        if key is not None:
            start, found = key, key + 1
    return found


def _table(lines: list[str], header: str, number: int | None) -> tuple[int, int] | None:
    """The lines behind a table's header, the `number`-th of its name in a `[[…]]`."""
    brackets = f"[{header}]" if number is None else f"[[{header}]]"
    starts = [at for at, line in enumerate(lines) if line.startswith(brackets)]
    if len(starts) <= (number or 0):
        return None
    start = starts[number or 0] + 1
    end = next((at for at in range(start, len(lines)) if lines[at].startswith("[")), len(lines))
    return start, end
