"""The schema of a scenario file: steps in time, and what is expected of them.

description = "A CPU goes and comes back under traffic"

[names]
nic = "netvsc"               # the first device of that class

[[steps]]
write = "host/traffic"
data = "{nic.relid} 2000"

[[steps]]
after = 1.0                  # seconds since the step before
every = 0.5
times = 4                    # this step is made four times
write = "sys/devices/system/cpu/cpu{last_cpu}/online"
data = "0"
errno = "EBUSY"              # the write has to be refused

[[steps]]
at = 5.0                     # seconds since the scenario began
read = "proc/irq/{nic.irq}/smp_affinity_list"
equals = "3"
"""

from __future__ import annotations

import re
from typing import Annotated, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fakeproc.defaults import MAX_CPUS, MAX_SEED, ClockKind
from fakeproc.errno_names import errno_name, errno_of

__all__ = ["MAX_STEPS", "Count", "Needs", "Scenario", "Step"]

MAX_STEPS = 100_000  # steps made, repetitions counted
MAX_SECONDS = 1e8

Seconds: TypeAlias = Annotated[float, Field(ge=0, le=MAX_SECONDS)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Count(_Table):
    """Which interrupts are counted: give one of `irq`, `relid` and `row`."""

    irq: str | None = Field(default=None, description="a Linux IRQ")
    relid: str | None = Field(default=None, description="a channel: what its callback handled")
    row: str | None = Field(
        default=None, description="a row of letters in /proc/interrupts, like HYP"
    )
    cpu: str | None = Field(default=None, description="on this CPU only (not with relid)")
    since: str | None = Field(default=None, description="since the step with this `mark`")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.irq, self.relid, self.row)) != 1:
            raise ValueError("give one of irq, relid and row")
        if self.relid is not None and self.cpu is not None:
            raise ValueError("a channel counts on no CPU of its own: give its irq")
        return self


class Step(_Table):
    """One step: a moment, one thing that is done, and what is expected of it."""

    at: Seconds | None = Field(default=None, description="seconds since the scenario began")
    after: Seconds | None = Field(
        default=None, description="seconds since the step before; default 0"
    )
    every: Seconds | None = Field(default=None, description="repeat the step after so many seconds")
    times: int = Field(
        default=1, ge=1, le=MAX_STEPS, description="how often the step is made in all"
    )

    write: str | None = Field(
        default=None, description="a file to write to: proc/…, sys/… or host/…"
    )
    data: str = Field(default="", max_length=4096, description="what is written, as echo writes it")
    read: str | None = Field(default=None, description="a file to read")
    count: Count | None = Field(default=None, description="interrupts to count")
    mark: str | None = Field(default=None, description="remember all counts under this name")
    steps: tuple[Step, ...] = Field(default=(), description="steps to make one after the other")

    errno: str | None = Field(
        default=None, description="the errno that the write or read ends with"
    )
    equals: str | None = Field(
        default=None, description="what the text is, without the last newline"
    )
    contains: str | None = Field(default=None, description="what is in the text")
    lacks: str | None = Field(default=None, description="what is not in the text")
    matches: str | None = Field(default=None, description="a regular expression found in the text")
    at_least: float | None = Field(default=None, description="the least number")
    at_most: float | None = Field(default=None, description="the largest number")

    @property
    def kind(self) -> str:
        """Which of the keys that do something the step has."""
        return next(key for key in _KINDS if getattr(self, key))

    @field_validator("errno")
    @classmethod
    def _known_errno(cls, name: str | None) -> str | None:
        if name is None:
            return None
        number = errno_of(name)
        if number is None:
            raise ValueError(f"{name!r} is no errno")
        return errno_name(number)

    @field_validator("matches")
    @classmethod
    def _is_pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern

    @field_validator("write", "read")
    @classmethod
    def _in_a_tree(cls, path: str | None) -> str | None:
        if path is not None and path.split("/")[0] not in {"proc", "sys", "host"}:
            raise ValueError("a path begins with proc/, sys/ or host/")
        return path

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        kinds = [key for key in _KINDS if getattr(self, key)]
        if len(kinds) != 1:
            raise ValueError(f"a step has one of {', '.join(_KINDS)}, not {len(kinds)} of them")
        if self.at is not None and self.after is not None:
            raise ValueError("give at or after, not both")
        if (self.times > 1) != (self.every is not None):
            raise ValueError("every and times go together")
        for key in _TEXT_EXPECTATIONS:
            if getattr(self, key) is not None and self.kind != "read":
                raise ValueError(f"{key} goes with read")
        for key in ("at_least", "at_most"):
            if getattr(self, key) is not None and self.kind not in {"read", "count"}:
                raise ValueError(f"{key} goes with read or count")
        if self.errno is not None and self.kind not in {"write", "read"}:
            raise ValueError("errno goes with write or read")
        return self


_KINDS = ("write", "read", "count", "mark", "steps")
_TEXT_EXPECTATIONS = ("equals", "contains", "lacks", "matches")


class Needs(_Table):
    """What a machine must have for the scenario to make sense."""

    classes: tuple[str, ...] = Field(default=(), description="classes of devices that it has")
    cpus: int = Field(default=1, ge=1, le=MAX_CPUS, description="at least so many CPUs online")
    idle_cpu: bool = Field(default=False, description="a CPU that no channel interrupts")
    free_relids: bool = Field(default=False, description="room for another device")
    subchannels: bool = Field(default=False, description="a network adapter with sub-channels")
    retargeting: bool = Field(default=False, description="a host that moves channels")
    series: bool | None = Field(default=None, description="whether the series is applied")
    hibernation: bool = Field(default=False, description="a host that lets it hibernate")


class Scenario(_Table):
    """A scenario."""

    description: str = Field(max_length=200, description="what happens, in one line")
    profile: str | None = Field(default=None, description="the machine, where none is chosen")
    kernel: str | None = Field(default=None, description="the kernel, where none is chosen")
    cpus: int | None = Field(
        default=None, ge=1, le=MAX_CPUS, description="the CPUs, where none are chosen"
    )
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED, description="the seed of all chance")
    clock: ClockKind = Field(default="manual", description="the clock of its own guest")
    needs: Needs = Field(default=Needs(), description="what the machine must have")
    names: dict[str, str] = Field(default={}, description="names of devices, by class")
    steps: tuple[Step, ...] = Field(min_length=1, description="what happens")
