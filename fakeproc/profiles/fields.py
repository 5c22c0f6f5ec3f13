"""What the tables of a profile have in common: strictness, and the types of their values."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from fakeproc.profiles.cpu_sets import Cpu

__all__ = ["MAX_UPTIME_S", "AddressBits", "Counts", "Rate", "Register", "Table", "TrafficKind"]

MAX_UPTIME_S = 1_000_000_000  # some thirty years


def _by_cpu(value: Any) -> Any:
    """Counts as a list, one a CPU from CPU 0 on, or as a table of CPU = count."""
    return dict(enumerate(value)) if isinstance(value, list) else value


Count = Annotated[int, Field(ge=0, lt=1 << 32)]
Counts = Annotated[dict[Cpu, Count], BeforeValidator(_by_cpu)]
Rate = Annotated[float, Field(ge=0, le=1e9)]
Register = Annotated[int, Field(ge=0, lt=1 << 32)]  # a number of 32 bits
AddressBits = Annotated[int, Field(ge=1, le=64)]
TrafficKind = Literal["steady", "poisson"]


class Table(BaseModel):
    """A table that refuses keys it does not know, and stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
