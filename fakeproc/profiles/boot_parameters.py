"""What the kernel's command line says of CPUs and interrupts: read here, and nowhere else.

A parameter that the kernel knows, that would change what its files show, and
that is not emulated is named in the guest's log (`not_emulated`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from fakeproc.cpu_lists import as_list, numbers_of

__all__ = ["BootParameters", "boot_parameters", "isolcpus"]

# `housekeeping_isolcpus_setup`: the flags before the list; without any it is `domain`.
_FLAGS = frozenset({"domain", "managed_irq", "nohz"})
_LISTS = ("irqaffinity", "nohz_full")
_LIMITS = ("nr_cpus", "possible_cpus")
_COUNT = re.compile("[1-9][0-9]{0,4}")
# What the kernel knows that would change a file which is shown.
_NOT_EMULATED = frozenset({
    # CPUs and interrupts; with maxcpus=0 and nosmp x86 leaves the IO-APIC alone, too
    "maxcpus", "nosmp", "threadirqs", "noapic", "nolapic", "irqpoll", "irqfixup",
    "cpuidle.off", "cpufreq.off", "intel_pstate", "amd_pstate",
    # memory and nodes
    "mem", "memmap", "numa", "hugepages", "hugepagesz", "default_hugepagesz", "kernelcore",
    "movablecore",
    # vulnerabilities one by one
    "pti", "nopti", "nospectre_v1", "nospectre_v2", "spectre_v2", "spectre_bhi", "retbleed",
    "spec_store_bypass_disable", "nospec_store_bypass_disable", "l1tf", "mds", "tsx",
    "tsx_async_abort", "mmio_stale_data", "gather_data_sampling", "reg_file_data_sampling",
    "spec_rstack_overflow", "srbds",
})  # fmt: skip


@dataclass(frozen=True)
class BootParameters:
    """The parameters that are emulated, as sets of CPUs; None where they are not given."""

    irqaffinity: frozenset[int] | None = None  # of interrupts that nobody has moved
    nohz_full: frozenset[int] | None = None  # CPUs without a tick while one task runs
    isolated: dict[str, frozenset[int]] = field(default_factory=dict)  # `isolcpus=`, by flag
    maxcpus: int | None = None  # how many the boot brings up; the others may come later
    cpu0_hotplug: bool = False  # x86, on kernels that know it: CPU 0 may go
    nosmt: Literal["off", "forceoff"] | None = None  # x86: what smt/control is then
    mitigations_off: bool = False
    not_emulated: tuple[str, ...] = ()


def boot_parameters(cmdline: str, possible: int) -> BootParameters:
    """Read a command line of a guest whose CPUs are below `possible`.

    Raises ValueError, whose sentence names the parameter, for a list of CPUs
    that is none or that names a CPU which is not possible, and for a limit
    that this number is above.
    """
    found: dict[str, Any] = {}
    isolated: dict[str, frozenset[int]] = {}
    ignored = []
    for word in cmdline.split():
        if word == "--":  # what follows is for init
            break
        name, given, value = word.partition("=")
        if name in _LISTS and given:
            found[name] = _cpus(word, value, possible)
        elif name == "isolcpus" and given:
            flags, cpus = _isolation(value)
            isolated |= dict.fromkeys(flags, _cpus(word, cpus, possible))
        elif name == "maxcpus" and _COUNT.fullmatch(value):
            found[name] = int(value)
        elif name in _LIMITS and _COUNT.fullmatch(value):
            if int(value) < possible:
                raise ValueError(f"{word} allows fewer CPUs than the {possible} of cpus.possible")
        elif word in {"nosmt", "nosmt=force"}:
            found["nosmt"] = "forceoff" if given else "off"
        elif name == "mitigations" and value in {"off", "auto"}:
            found["mitigations_off"] = value == "off"
        elif word == "cpu0_hotplug":
            found["cpu0_hotplug"] = True
        elif name in _NOT_EMULATED or name in {*_LIMITS, "mitigations"}:
            ignored.append(word)
    found.setdefault("nohz_full", isolated.get("nohz"))
    return BootParameters(**found, isolated=isolated, not_emulated=tuple(ignored))


def isolcpus(cpus_by_flag: dict[str, frozenset[int]]) -> str:
    """The words that isolate these CPUs, each after a blank; none where there are none."""
    flags: dict[frozenset[int], list[str]] = {}
    for flag, cpus in cpus_by_flag.items():
        if cpus:
            flags.setdefault(cpus, []).append(flag)
    return "".join(
        f" isolcpus={','.join(names)},{as_list(sorted(cpus))}" for cpus, names in flags.items()
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
