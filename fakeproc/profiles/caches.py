"""The caches of a profile's processors, and who shares each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fakeproc.profiles.cpu_sets import CpuSet
from fakeproc.profiles.errors import ContradictionError
from fakeproc.profiles.fields import Table

__all__ = ["Cache", "SharedBy"]

SharedBy = Literal["cpu", "core", "cluster", "die", "package", "node", "all"]
Sharers = Annotated[SharedBy | tuple[CpuSet, ...], Field(union_mode="left_to_right")]


class Cache(Table):
    """One cache, of every core or of every package; a cpu<n>/cache/index<m> in this order.

    A size, number of ways or length of a line of 0 is one that the kernel does
    not know: the file is not there.
    """

    level: int = Field(ge=1, le=8)  # 1 is the nearest
    type: Literal["Data", "Instruction", "Unified"]  # what it holds
    size_kib: int = Field(ge=0, lt=1 << 32)  # KiB
    ways: int = Field(ge=0, lt=1 << 32)  # of associativity
    line_bytes: int = Field(default=64, ge=0, le=65_536)  # bytes
    # The CPUs that use one: those of a core, a package and so on, or a list of sets of CPUs.
    shared_by: Sharers = "core"
    cpus: CpuSet | None = None  # the CPUs that have such a cache; default: all
    # The sets of lines; default: what follows from size, ways and line.
    sets: int | None = Field(default=None, ge=0, lt=1 << 32)
    partition: int = Field(default=1, ge=0, lt=1 << 32)  # the lines behind one tag
    # Their numbers, in the order of their lowest CPUs; [] shows none; default: counted.
    ids: tuple[Annotated[int, Field(ge=0, lt=1 << 32)], ...] | None = None

    @property
    def number_of_sets(self) -> int:
        """What the kernel divides out; 0 where it cannot."""
        if self.sets is not None:
            return self.sets
        line = self.ways * self.line_bytes
        return self.size_kib * 1024 // line if line else 0

    @model_validator(mode="after")
    def _check(self) -> Cache:
        if isinstance(self.shared_by, str):
            return self
        seen: set[int] = set()
        for at, cpus in enumerate(self.shared_by):
            twice = seen & cpus
            if twice:
                raise ContradictionError(
                    ("shared_by", at), f"CPU {min(twice)} shares two caches of this level"
                )
            seen |= cpus
        if self.ids and len(self.ids) != len(self.shared_by):
            raise ContradictionError(
                ("ids",), f"{len(self.ids)} numbers for {len(self.shared_by)} caches"
            )
        return self
