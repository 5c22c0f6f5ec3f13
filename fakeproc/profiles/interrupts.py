"""Interrupts in a profile that are no channel's, and the architecture's own rows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from fakeproc.defaults import MAX_CPUS
from fakeproc.profiles.cpu_sets import CpuSet
from fakeproc.profiles.errors import ContradictionError
from fakeproc.profiles.fields import Counts, Rate, Table, TrafficKind, Word

__all__ = ["ARCH_ROWS", "MAX_IRQ", "ArchitectureRow", "Gic", "OtherIrq"]

# The largest number of a Linux interrupt: /proc/stat has a number for each up to the last.
MAX_IRQ = 65_535

# Labels of the rows of /proc/interrupts that are no Linux interrupts.
ARCH_ROWS = {
    "x86_64": frozenset({
        "NMI", "LOC", "SPU", "PMI", "IWI", "RTR", "RES", "CAL", "TLB", "TRM", "THR", "DFR",
        "MCE", "MCP", "HYP", "HRE", "HVS", "ERR", "MIS", "PIN", "NPI", "PIW", "VPMI",
    }),
    "arm64": frozenset(
        {f"IPI{number}" for number in range(8)} | {"Err", "arch_timer", "Hyper-V VMbus"}
    ),
}  # fmt: skip


def _one_cpu_or_set(value: Any) -> Any:
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value


def _shown(value: frozenset[int] | None) -> int | str | None:
    """One CPU as its number, others as a text."""
    if value is None:
        return None
    return next(iter(value)) if len(value) == 1 else ",".join(map(str, sorted(value)))


Target = Annotated[CpuSet, BeforeValidator(_one_cpu_or_set), PlainSerializer(_shown)]


class Gic(Table):
    """arm64: interrupts of which each CPU has its own, as the firmware's tables number them."""

    timer: int = Field(default=20, ge=16, lt=32)  # of the virtual timer
    vmbus: int = Field(default=18, ge=16, lt=32)  # of the VMBus


class OtherIrq(Table):
    """An interrupt that is not a VMBus channel's; `irq` is its Linux number."""

    irq: int = Field(ge=0, le=MAX_IRQ)  # its number in Linux
    chip: Word = "IO-APIC"  # who delivers it
    hwirq: int | None = Field(default=None, ge=0, lt=1 << 64)  # its number there; default: none
    trigger: Literal["edge", "level"] = "edge"  # what raises it
    flow: Word | None = None  # the flow name after the hwirq: edge, fasteoi
    actions: tuple[Word, ...] = ()  # the names in its row; without one it has no row
    affinity: CpuSet | None = None  # default: all CPUs
    # The CPU, or the CPUs, that it comes to; default: the lowest that is online, or none per_cpu.
    effective: Target | None = None
    hint: CpuSet = frozenset()  # affinity_hint: the CPUs that its driver advises
    per_cpu: bool = False  # whether each CPU has its own, which nobody can move
    # Whether /proc/irq/<n> is there; default: where somebody has requested the interrupt.
    directory: bool | None = None
    # Whether a channel or a PCI function makes it, which is known by chip and hwirq: then this
    # says which number it gets, and where it goes once the guest has booted.
    of_device: bool = False
    settable: bool = True  # whether user space may move it
    managed: bool = False  # affinity owned by the kernel
    node: int = Field(default=-1, ge=-1, lt=MAX_CPUS)  # the NUMA node of its device; -1 for none
    counts: Counts = Field(
        default={}
    )  # interrupts so far: a list from CPU 0 on, or a table CPU = count
    rate: Rate = 0.0  # interrupts a second, once the quiet time is over
    traffic: TrafficKind = "steady"  # how they are spread over time

    @model_validator(mode="after")
    def _check(self) -> OtherIrq:
        if self.per_cpu and self.managed:
            raise ContradictionError(("managed",), "each CPU has its own (per_cpu)")
        if self.of_device and self.hwirq is None:
            raise ContradictionError(("of_device",), "it is known by its hwirq")
        if self.rate and self.effective is not None and not self.effective and not self.per_cpu:
            raise ContradictionError(("rate",), "it comes to no CPU (effective)")
        return self


class ArchitectureRow(Table):
    """A row of /proc/interrupts that is no Linux interrupt."""

    # What stands before the colon; its counts are in [arch].
    label: str = Field(pattern=r"^[!-9;-~]([ -9;-~]{0,30}[!-9;-~])?$")
    text: Word | None = None  # what stands behind the counts; without it the row is one number
    hidden_at_zero: bool = False  # whether it comes with its first event
