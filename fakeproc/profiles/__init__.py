"""Profiles: which machine this is, as TOML, built in or from a file.

`load` takes the name of a built-in profile or the path of a file.  What is
wrong with a profile is one `ProfileError`, whose text is one sentence that
names the file, the line and the key.
"""

from __future__ import annotations

import os
import tomllib
from functools import cache
from importlib import resources
from pathlib import Path

import tomli_w
from pydantic import ValidationError

from fakeproc.profiles.errors import ProfileError, shortened, why_invalid
from fakeproc.profiles.positions import line_of
from fakeproc.profiles.schema import Profile
from fakeproc.recordings.findings import Findings
from fakeproc.recordings.machine import machine_of
from fakeproc.recordings.sources import is_recording, read_sources
from fakeproc.recordings.tree import EXPORTED, RecordingError
from fakeproc.shell_words import shown

__all__ = [
    "Profile",
    "ProfileError",
    "description",
    "dump",
    "imported",
    "load",
    "names",
    "parse",
    "source",
]

_LARGEST = 4 << 20  # characters of a profile; 2,047 channels listed one by one are a tenth of it


def names() -> list[str]:
    """The built-in profiles."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def source(name: str) -> str:
    """The TOML of a built-in profile; raises ProfileError for an unknown name."""
    if name not in names():
        raise ProfileError(f"no profile is called {name!r}; built in are: {', '.join(names())}")
    return resources.files(__name__).joinpath(f"{name}.toml").read_text()


@cache
def description(name: str) -> str:
    """What a built-in profile is, in one line."""
    return str(tomllib.loads(source(name))["description"])


def load(name_or_path: str) -> Profile:
    """A built-in profile by name, or one from a file (a path, or a name in .toml or .tar.*).

    A directory or an archive is a recorded machine: it is imported, and what was
    missing and assumed stays unsaid; `imported` says it.
    """
    is_name = "/" not in name_or_path and ".tar" not in name_or_path
    if is_name and not name_or_path.endswith(".toml"):
        return _built_in(name_or_path)
    path = Path(name_or_path)
    try:
        recorded = not name_or_path.endswith(".toml") and is_recording(path)
    except (OSError, ValueError):
        recorded = False  # what is wrong with it is said below
    if recorded:
        return imported([path])[0]
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise ProfileError(f"{shown(path)}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"{shown(path)}: not a text file ({error.reason})") from error
    except ValueError as error:  # a path with a NUL in it
        raise ProfileError(f"{shown(name_or_path)}: {error}") from error
    if len(text) > _LARGEST:
        raise ProfileError(f"{shown(path)}: larger than {_LARGEST >> 20} MiB")
    return _located(parse(text, str(path), path.stem), path)


def _located(profile: Profile, file: Path) -> Profile:
    """A profile with the recordings that it names, which are relative to its file."""
    if not profile.recorded:
        return profile
    recorded = tuple(str(file.absolute().parent / path) for path in profile.recorded)
    try:
        read_sources([Path(path) for path in recorded])
    except RecordingError as error:
        raise ProfileError(f"{shown(file)}: recorded: {error}") from error
    return profile.model_copy(update={"recorded": recorded})


def imported(paths: list[Path], beside: Path | None = None) -> tuple[Profile, str, Findings]:
    """A machine from recordings: the profile, its TOML, and what was found and assumed.

    `beside` is the directory where the TOML will be, from which it names the archives and
    directories.  An archive of `fakeproc export` brings its profile along.  Raises ProfileError,
    one sentence with the source and the member or line.
    """
    findings = Findings()
    name = paths[0].name.partition(".")[0] or "machine"
    try:
        recording = read_sources(paths)
        text = recording.text(EXPORTED)
        if text is not None:
            findings.found.append("the profile of a guest of fakeproc, as it was exported")
            profile = parse(text, f"{recording.origin}: {EXPORTED}", name)
            if profile.recorded:  # which the archive has itself
                document = {**tomllib.loads(text), "recorded": _named(paths, beside)}
                profile = profile.model_copy(update={"recorded": tuple(_named(paths))})
                text = tomli_w.dumps(document)
            return profile, text, findings
        words = f"imported from {', '.join(path.name for path in paths)}"
        document = machine_of(recording, words[:200], findings)
    except RecordingError as error:
        raise ProfileError(str(error)) from error
    named = _named(paths, beside)
    if named:
        document = {**document, "recorded": named}
    text = tomli_w.dumps(document)
    profile = parse(text, f"the machine of {recording.origin}", name)
    return profile.model_copy(update={"recorded": tuple(_named(paths))}), text, findings


def _named(paths: list[Path], beside: Path | None = None) -> list[str]:
    """The archives and directories among sources: absolute, or seen from a directory."""
    whole = [os.path.abspath(path) for path in paths if is_recording(path)]  # noqa: PTH100
    return [os.path.relpath(path, beside) for path in whole] if beside else whole


@cache  # nothing changes a profile: its models are frozen, and machines copy the counts
def _built_in(name: str) -> Profile:
    """A built-in profile; raises ProfileError for an unknown name."""
    return parse(source(name), f"{name}.toml", name)


def dump(profile: Profile, *, defaults: bool = True) -> str:
    """A profile as TOML, complete, every default written out; or without defaults."""
    document = profile.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        exclude_defaults=not defaults,
        exclude={"name"},
    )
    return tomli_w.dumps(document)


def parse(text: str, origin: str, name: str) -> Profile:
    """A profile from TOML; `origin` is what errors call the file."""
    try:
        document = tomllib.loads(text)
    except RecursionError as error:
        raise ProfileError(f"{shown(origin)}: not TOML: nested too deeply") from error
    except ValueError as error:  # not TOML, or a number of thousands of digits
        raise ProfileError(f"{shown(origin)}: not TOML: {shortened(str(error))}") from error
    if "name" in document:
        line = line_of(text, ("name",))
        raise ProfileError(f"{shown(origin)}, line {line}: name: no such key")
    try:
        return Profile.model_validate({**document, "name": name})
    except ValidationError as error:
        raise why_invalid(error, text, origin) from error
