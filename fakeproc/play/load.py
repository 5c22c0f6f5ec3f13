"""Loading a scenario: by the name of one that comes with fakeproc, or from a file."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from fakeproc.play.schema import Scenario
from fakeproc.profiles.errors import why_invalid

__all__ = ["ScenarioError", "load", "names"]


class ScenarioError(ValueError):
    """A scenario that cannot be used; the message names the file, the line and the key."""


def names() -> list[str]:
    """The scenarios that come with fakeproc."""
    files = resources.files("fakeproc.play").joinpath("scenarios").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load(name_or_path: str) -> Scenario:
    """A scenario by name, or from a file.  Raises ScenarioError."""
    if "/" not in name_or_path and not name_or_path.endswith(".toml"):
        if name_or_path not in names():
            raise ScenarioError(
                f"no scenario is called {name_or_path!r}; expected a file, or one of: "
                f"{', '.join(names())}"
            )
        file = resources.files("fakeproc.play").joinpath("scenarios", f"{name_or_path}.toml")
        return parse(file.read_text(), f"{name_or_path}.toml")
    try:
        text = Path(name_or_path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ScenarioError(f"{name_or_path}: {why}") from error
    return parse(text, name_or_path)


def parse(text: str, origin: str) -> Scenario:
    """A scenario from TOML; `origin` is what errors call the file.  Raises ScenarioError."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ScenarioError(f"{origin}: not TOML: {error}") from error
    try:
        return Scenario.model_validate(document)
    except ValidationError as error:
        raise ScenarioError(str(why_invalid(error, text, origin, "scenario"))) from error
