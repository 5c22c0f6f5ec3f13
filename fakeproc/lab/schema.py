"""What the file of a laboratory may say: machines, kernels, traffic, tools, seeds.

description = "Does irqbalance help?"
machines = ["hyperv-gen2", "hyperv-2socket"]
kernels = ["rfc", "6.12"]
seeds = [1, 2, 3]
guest_time_s = 600

[[traffic]]
name = "a busy disk"
rates = { scsi = 2000, netvsc = 300 }

[[tools]]
name = "nothing"

[[tools]]
name = "irqbalance"
command = ["irqbalance", "--foreground"]

[[expect]]
measure = "lost"
at_most = 0
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fakeproc.defaults import MAX_CPUS, MAX_SEED
from fakeproc.lab.measures import MEASURES
from fakeproc.profiles.kernels import KERNELS

__all__ = ["Cell", "Expectation", "LabError", "Laboratory", "load", "names"]

MAX_CELLS = 100_000
MAX_SAMPLES = 10_000  # of one cell
_BUILT_IN = Path(__file__).with_name("laboratories")

Name = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^/\x00-\x1f]+$")]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Rate = Annotated[float, Field(ge=0, le=1e9)]


class LabError(ValueError):
    """The file cannot be used; the message is a sentence with the file and the key."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Machine(_Table):
    """A profile, with another number of CPUs if that is given."""

    profile: str = Field(description="a built-in profile, or a file")
    cpus: int | None = Field(default=None, ge=1, le=MAX_CPUS, description="how many CPUs")

    @property
    def name(self) -> str:
        """What the results call it."""
        stem = Path(self.profile).stem
        return stem if self.cpus is None else f"{stem} {self.cpus} CPUs"


class Traffic(_Table):
    """Interrupts a second, by source as in host/traffic."""

    name: Name = "as the profile has it"
    rates: dict[str, Rate] = Field(default={}, description="interrupts a second, by source")
    kind: Literal["steady", "poisson"] = Field(default="poisson", description="how they come")


class Tool(_Table):
    """What runs on the guest; without a command nothing does."""

    name: Name
    command: tuple[str, ...] = Field(default=(), description="the program and its options")


class Expectation(_Table):
    """What has to hold in every cell, or in those that are named."""

    measure: Literal[MEASURES] = Field(description="which measure")  # type: ignore[valid-type]
    at_least: float | None = Field(default=None, description="the least value")
    at_most: float | None = Field(default=None, description="the largest value")
    machine: str | None = Field(default=None, description="only on this machine")
    kernel: str | None = Field(default=None, description="only on this kernel")
    traffic: str | None = Field(default=None, description="only under this traffic")
    tool: str | None = Field(default=None, description="only with this tool")


class Cell(_Table):
    """One experiment: what it is made of is all that its result depends on."""

    machine: Machine
    kernel: str
    traffic: Traffic
    tool: Tool
    seed: int
    guest_time_s: float
    sample_s: float

    @property
    def name(self) -> str:
        """What it is called, and the file of its result."""
        parts = (self.machine.name, self.kernel, self.traffic.name, self.tool.name, str(self.seed))
        return " - ".join(re.sub(r"\s+", " ", part) for part in parts)


class Laboratory(_Table):
    """The whole table."""

    description: str = Field(min_length=1, max_length=1000)
    machines: tuple[Machine, ...] = Field(min_length=1)
    kernels: tuple[str, ...] = ("rfc",)
    traffic: tuple[Traffic, ...] = (Traffic(),)
    tools: tuple[Tool, ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = (1,)
    guest_time_s: float = Field(default=600, gt=0, le=1e7, description="how long each cell runs")
    sample_s: float = Field(default=10, gt=0, le=1e6, description="how often it is looked at")
    expect: tuple[Expectation, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _names_are_machines(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("machines"), list):
            machines = [{"profile": it} if isinstance(it, str) else it for it in data["machines"]]
            return data | {"machines": machines}
        return data

    @model_validator(mode="after")
    def _check(self) -> Self:
        unknown = [kernel for kernel in self.kernels if kernel not in KERNELS]
        if unknown:
            raise ValueError(f"kernels: {unknown[0]!r} is none of: {', '.join(KERNELS)}")
        for key in ("traffic", "tools", "machines"):
            named = [item.name for item in getattr(self, key)]
            twice = [name for name in named if named.count(name) > 1]
            if twice:
                raise ValueError(f"{key}: {twice[0]!r} is there twice")
        if self.guest_time_s / self.sample_s > MAX_SAMPLES:
            raise ValueError(f"sample_s: more than {MAX_SAMPLES} samples of a cell")
        number = len(self.machines) * len(self.kernels) * len(self.traffic)
        number *= len(self.tools) * len(self.seeds)
        if number > MAX_CELLS:
            raise ValueError(f"{number} cells, of which at most {MAX_CELLS} can be run")
        return self

    @property
    def cells(self) -> Iterator[Cell]:
        """Every combination, in the order of the file."""
        for machine, kernel, traffic, tool, seed in product(
            self.machines, self.kernels, self.traffic, self.tools, self.seeds
        ):
            yield Cell(
                machine=machine,
                kernel=kernel,
                traffic=traffic,
                tool=tool,
                seed=seed,
                guest_time_s=self.guest_time_s,
                sample_s=self.sample_s,
            )


def names() -> list[str]:
    """The laboratories that come with fakeproc."""
    return sorted(path.stem for path in _BUILT_IN.glob("*.toml"))


def load(name: str) -> Laboratory:
    """A laboratory by its name here, or from a file.  Raises LabError."""
    built_in = _BUILT_IN / f"{name}.toml"
    path = built_in if name in names() else Path(name)
    try:
        found = tomllib.loads(path.read_text())
        return Laboratory.model_validate(found)
    except FileNotFoundError as error:
        known = ", ".join(names())
        raise LabError(f"{name} is no file, and none of the laboratories: {known}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LabError(f"{path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        said = first["msg"].removeprefix("Value error, ")
        raise LabError(f"{path}: {key}: {said[0].lower()}{said[1:]}") from error
