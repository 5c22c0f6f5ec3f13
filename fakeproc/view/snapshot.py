"""What is looked at, at one moment: CPUs, interrupts, what the kernel and programs did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Cpu", "Interrupt", "Snapshot"]


@dataclass(frozen=True)
class Cpu:
    """A CPU that is present: its number, where it is, and whether it is online."""

    number: int
    node: int = 0
    package: int = 0
    online: bool = True


@dataclass(frozen=True)
class Interrupt:
    """A row: an interrupt, or one of the architecture's own counters.

    `counts` are by CPU, zeros left out.  `relid` and `device` (an instance GUID)
    are a VMBus channel's; `cpus` those that it may interrupt, none where it is
    not known; `irq` the number by which it can be moved.
    """

    label: str
    name: str
    group: str
    counts: Mapping[int, int]
    irq: int | None = None
    cpus: tuple[int, ...] = ()
    relid: int | None = None
    device: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """All of it at `time_s`, seconds of the clock of what is looked at."""

    title: str
    time_s: float
    cpus: tuple[Cpu, ...]
    interrupts: tuple[Interrupt, ...]
    log: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    clock: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)  # what a group is called
