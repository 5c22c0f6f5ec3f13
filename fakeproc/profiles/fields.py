"""What the tables of a profile have in common: strictness, and the types of their values."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from fakeproc.defaults import MAX_CPUS
from fakeproc.profiles.cpu_sets import Cpu, one_or_more, shown_in_order

__all__ = [
    "MAX_UPTIME_S",
    "AddressBits",
    "Counts",
    "FileName",
    "Khz",
    "KhzOfEach",
    "Rate",
    "Register",
    "Table",
    "TrafficKind",
    "Word",
]

MAX_UPTIME_S = 1_000_000_000  # some thirty years


def _by_cpu(value: Any) -> Any:
    """Counts as a list, one a CPU from CPU 0 on, or as a table of CPU = count."""
    return dict(enumerate(value)) if isinstance(value, list) else value


Count = Annotated[int, Field(ge=0, lt=1 << 32)]
Counts = Annotated[dict[Cpu, Count], BeforeValidator(_by_cpu)]
Rate = Annotated[float, Field(ge=0, le=1e9)]
Register = Annotated[int, Field(ge=0, lt=1 << 32)]  # a number of 32 bits
AddressBits = Annotated[int, Field(ge=1, le=64)]
Khz = Annotated[int, Field(gt=0, lt=1 << 32)]
# One for all CPUs of a group, or one for each in the order of the CPUs.
KhzOfEach = Annotated[
    tuple[Khz, ...],
    Field(min_length=1, max_length=MAX_CPUS),
    BeforeValidator(one_or_more),
    PlainSerializer(shown_in_order, when_used="json"),
]
# What is printed in a row: one line, nothing that a terminal obeys.
Word = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]  # in sysfs
TrafficKind = Literal["steady", "poisson"]


class Table(BaseModel):
    """A table that refuses keys it does not know, and stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
