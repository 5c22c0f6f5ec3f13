"""What the kernel's command line says of CPUs and interrupts: read here, and nowhere else.

A parameter that the kernel knows, that would change what its files show, and
that is not emulated is named in the guest's log (`not_emulated`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fakeproc.cpu_lists import numbers_of

__all__ = ["BootParameters", "boot_parameters"]

# `housekeeping_isolcpus_setup`: the flags before the list; without any it is `domain`.
_FLAGS = frozenset({"domain", "managed_irq", "nohz"})
_LISTS = ("irqaffinity", "nohz_full")
_COUNT = re.compile("[1-9][0-9]{0,4}")
_NOT_EMULATED = (
    "mitigations", "nosmt", "nosmp", "nr_cpus", "possible_cpus", "threadirqs",
)  # fmt: skip


@dataclass(frozen=True)
class BootParameters:
    """The parameters that are emulated, as sets of CPUs; None where they are not given."""

    irqaffinity: frozenset[int] | None = None  # of interrupts that nobody has moved
    nohz_full: frozenset[int] | None = None  # CPUs without a tick while one task runs
    isolated: dict[str, frozenset[int]] = field(default_factory=dict)  # `isolcpus=`, by flag
    maxcpus: int | None = None  # how many the boot brings up; the others may come later
    cpu0_hotplug: bool = False  # x86, on kernels that know it: CPU 0 may go
    not_emulated: tuple[str, ...] = ()


def boot_parameters(cmdline: str, possible: int) -> BootParameters:
    """Read a command line of a guest with so many possible CPUs.

    Raises ValueError, whose sentence names the parameter, for a list of CPUs
    that is none or that names a CPU which is not possible.
    """
    lists: dict[str, frozenset[int]] = {}
    isolated: dict[str, frozenset[int]] = {}
    maxcpus, cpu0_hotplug = None, False
    ignored = []
    for word in cmdline.split():
        if word == "--":  # what follows is for init
            break
        name, given, value = word.partition("=")
        if name in _LISTS and given:
            lists[name] = _cpus(word, value, possible)
        elif name == "isolcpus" and given:
            flags, cpus = _isolation(value)
            isolated |= dict.fromkeys(flags, _cpus(word, cpus, possible))
        elif name == "maxcpus" and _COUNT.fullmatch(value):
            maxcpus = int(value)
        elif word == "cpu0_hotplug":
            cpu0_hotplug = True
        elif name in {*_NOT_EMULATED, "maxcpus"}:  # maxcpus=0 leaves the IO-APIC alone, too
            ignored.append(word)
    return BootParameters(
        lists.get("irqaffinity"),
        lists.get("nohz_full"),
        isolated,
        maxcpus,
        cpu0_hotplug,
        tuple(ignored),
    )


def _isolation(value: str) -> tuple[list[str], str]:
    """The flags of `isolcpus=`, and the list behind them."""
    words = value.split(",")
    flags = []
    while words and words[0] in _FLAGS:
        flags.append(words.pop(0))
    return flags or ["domain"], ",".join(words)


def _cpus(word: str, value: str, possible: int) -> frozenset[int]:
    """Numbers and ranges, divided by commas."""
    try:
        cpus = frozenset(numbers_of(value)) if value else None
    except ValueError as error:
        raise ValueError(f"{word} {error}") from None
    if cpus is None:
        raise ValueError(f"{word} is no list of CPUs such as 0-3,8")
    if max(cpus) >= possible:
        raise ValueError(f"{word} names CPU {max(cpus)}, but only {possible} are possible")
    return cpus
