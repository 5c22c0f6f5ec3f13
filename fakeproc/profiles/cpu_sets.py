"""Sets of CPUs and other numbers, as a profile may write them: "0-3,8-11", or a list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from fakeproc.cpu_lists import as_list, numbers_of
from fakeproc.defaults import MAX_CPUS

__all__ = [
    "Cpu",
    "CpuCount",
    "CpuSet",
    "NodeCount",
    "NodeNumber",
    "NodeSet",
    "Numbers",
    "one_or_more",
    "shown_in_order",
]

MAX_NODES = 1024  # NODES_SHIFT is 10 at most


def _from_text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return numbers_of(value)
    except ValueError as error:
        raise ValueError(f"{value[:60]!r} {error}") from None


def _count_or_set(least: int, most: int) -> BeforeValidator:
    """A whole number counts from 0 on; a text or a list names the numbers, all below `most`."""

    def check(value: Any) -> Any:
        wanted = "neither an integer nor a set such as 0-3,8-11"
        if isinstance(value, int) and not isinstance(value, bool):
            if not least <= value <= most:
                raise ValueError(f"must be from {least} to {most}")
            return value
        try:
            numbers = numbers_of(value) if isinstance(value, str) else list(value)
        except (TypeError, ValueError):
            raise ValueError(f"{str(value)[:60]!r} is {wanted}") from None
        if not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
            raise ValueError(f"is {wanted}")
        if not numbers or not 0 <= min(numbers) <= max(numbers) < most:
            raise ValueError(f"must name at least one number, and only such from 0 to {most - 1}")
        return frozenset(numbers)

    return BeforeValidator(check)


def one_or_more(value: Any) -> Any:
    """One number, for all of them, or several in their order."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    return _from_text(value)


def _shown(value: int | Iterable[int] | None) -> int | str | None:
    """A count as it is, a set as text."""
    return value if value is None or isinstance(value, int) else as_list(sorted(value))


def shown_in_order(value: Iterable[int] | None) -> int | str | list[int] | None:
    """One number as it is, several as a text in their order."""
    if value is None:
        return None
    numbers = list(value)
    if len(numbers) == 1:
        return numbers[0]
    return numbers if any(number < 0 for number in numbers) else as_list(numbers)


_SHORT = PlainSerializer(_shown, when_used="json")

Cpu = Annotated[int, Field(ge=0, lt=MAX_CPUS)]
CpuSet = Annotated[frozenset[Cpu], BeforeValidator(_from_text), _SHORT]
# So many, or these.
CpuCount = Annotated[int | frozenset[Cpu], _count_or_set(1, MAX_CPUS), _SHORT]
NodeNumber = Annotated[int, Field(ge=0, lt=MAX_NODES)]
NodeSet = Annotated[frozenset[NodeNumber], BeforeValidator(_from_text), _SHORT]
NodeCount = Annotated[int | frozenset[NodeNumber], _count_or_set(0, MAX_NODES), _SHORT]
# One for all CPUs of a group, or one for each in the order of the CPUs.
Numbers = Annotated[
    tuple[Annotated[int, Field(ge=-1, lt=1 << 31)], ...],
    Field(min_length=1, max_length=MAX_CPUS),
    BeforeValidator(one_or_more),
    PlainSerializer(shown_in_order, when_used="json"),
]
