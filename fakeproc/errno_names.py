"""The names of error numbers, in the kernel's words: 95 is EOPNOTSUPP, to Python ENOTSUP."""

from __future__ import annotations

from errno import EDEADLK, EOPNOTSUPP, errorcode

__all__ = ["errno_name", "errno_of"]

_NAMES: dict[int, str] = {**errorcode, EDEADLK: "EDEADLK", EOPNOTSUPP: "EOPNOTSUPP"}
_NUMBERS = {name: number for names in (errorcode, _NAMES) for number, name in names.items()}


def errno_name(number: int | None) -> str:
    """The name of an error number; a number that has none as it is."""
    return _NAMES.get(number or 0, str(number))


def errno_of(name: str) -> int | None:
    """The number of a name, the kernel's or Python's; None where it is no errno."""
    return _NUMBERS.get(name)
