"""The commands of `host/fault`: what goes wrong, and how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fakeproc.files.host.file_faults import file_fault
from fakeproc.files.host.words import (
    Action,
    at_most,
    channel_with,
    count_of,
    irq_number,
    one_of,
    spelt,
)
from fakeproc.guest.irq.faults import AFFINITY_ERRNOS
from fakeproc.host.faults import Fault
from fakeproc.machine import Machine

__all__ = ["fault_command", "faults_text"]

Kind: TypeAlias = Callable[[Machine, list[str]], Action]

_FORMS = (
    *(f"{fault.value} [COUNT]" for fault in Fault),
    "stuck RELID",
    "pending RELID",
    "affinity ERRNO [irq<N>] [COUNT]",
    "irq enomem [COUNT]",
    "read|write PATTERN [N] …",
    "release",
    "clear",
)


def faults_text(machine: Machine) -> str:
    """The faults that wait, a line each, as they were written."""
    faults, irqs = machine.host.faults, machine.kernel.irqs
    lines = [f"{fault.value} {times}\n" for fault, times in faults.waiting.items() if times]
    stuck = machine.host.sources.held
    lines += [f"stuck {spelt(machine, it.relid, it.device.connection)}\n" for it in stuck]
    lines += [f"pending {spelt(machine, relid, on)}\n" for on, relid in faults.jammed]
    if irqs.create_faults:
        lines.append(f"irq enomem {irqs.create_faults}\n")
    return "".join(lines) + str(irqs.affinity_faults) + str(machine.path_faults)


def fault_command(machine: Machine, words: list[str]) -> Action:
    """One of `_FORMS`."""
    kind = _KINDS.get(words[0], _of_the_host)
    return kind(machine, words)


def _of_the_host(machine: Machine, words: list[str]) -> Action:
    for fault in Fault:
        name = fault.value.split()
        if words[: len(name)] == name:
            rest = words[len(name) :]
            at_most(rest, 1)
            times = count_of(rest)
            return lambda: machine.host.faults.arm(fault, times)
    raise ValueError(f"it is none of: {', '.join(_FORMS)}")


def _clear(machine: Machine, words: list[str]) -> Action:
    at_most(words, 1)

    def clear() -> None:
        machine.host.faults.clear()
        machine.host.sources.let_go()
        machine.path_faults.clear()
        machine.kernel.irqs.affinity_faults.clear()
        machine.kernel.irqs.create_faults = 0

    return clear


def _release(machine: Machine, words: list[str]) -> Action:
    at_most(words, 1)
    return machine.path_faults.release


def _stuck(machine: Machine, words: list[str]) -> Action:
    channel = channel_with(machine, _relid(words))
    return lambda: machine.host.sources.hold(channel)


def _pending(machine: Machine, words: list[str]) -> Action:
    channel = channel_with(machine, _relid(words))
    return lambda: machine.host.jam(channel)


def _relid(words: list[str]) -> str:
    at_most(words, 2)
    if len(words) < 2:
        raise ValueError(f"expected {words[0]} RELID")
    return words[1]


def _affinity(machine: Machine, words: list[str]) -> Action:
    if len(words) < 2:
        raise ValueError("expected affinity ERRNO [irq<N>] [COUNT]")
    errno = AFFINITY_ERRNOS[one_of(words[1], tuple(AFFINITY_ERRNOS))]
    rest, irq = words[2:], None
    if rest and rest[0].startswith("irq"):
        irq = irq_number(rest[0])
        if irq not in machine.kernel.irqs.descs:
            raise ValueError(f"the guest has no IRQ {irq}")
        rest = rest[1:]
    at_most(rest, 1)
    times = count_of(rest)
    return lambda: machine.kernel.irqs.affinity_faults.arm(errno, irq, times)


def _irq(machine: Machine, words: list[str]) -> Action:
    if words[1:2] != ["enomem"]:
        raise ValueError("expected irq enomem [COUNT]")
    at_most(words, 3)
    times = count_of(words[2:])

    def fail_allocations() -> None:
        machine.kernel.irqs.create_faults += times

    return fail_allocations


_KINDS: dict[str, Kind] = {
    "clear": _clear,
    "release": _release,
    "stuck": _stuck,
    "pending": _pending,
    "affinity": _affinity,
    "irq": _irq,
    "read": file_fault,
    "write": file_fault,
}
