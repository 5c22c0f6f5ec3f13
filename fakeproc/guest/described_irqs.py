"""The interrupts that a profile describes: those of no device, and what others turn out to be.

The interrupts of channels and of PCI functions are their drivers' to make.  A profile that was
taken of a machine says which numbers they had there, and where they went.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.cpus import cpu_mask
from fakeproc.guest.irq.one_cpu import OneCpuChip
from fakeproc.guest.irq.pic import legacy_irqs

if TYPE_CHECKING:
    from fakeproc.guest.architecture import Architecture
    from fakeproc.guest.irq.core import IrqCore, IrqDesc
    from fakeproc.guest.log import KernelLog
    from fakeproc.profiles.schema import Profile

__all__ = ["request_described", "restore_described"]


def request_described(
    profile: Profile, irqs: IrqCore, architecture: Architecture, online: int, log: KernelLog
) -> None:
    """Request the interrupts of no device, the PIC's included, and keep the numbers of others."""
    irqs.reserve({(each.chip, each.hwirq): each.irq for each in profile.irqs if each.of_device})
    for wanted in profile.irqs:
        if wanted.of_device:
            continue
        chip = architecture.chip(wanted.chip)
        desc = irqs.create(chip, wanted.hwirq, wanted.irq)
        desc.flow_name, desc.trigger, desc.node = wanted.flow, wanted.trigger, wanted.node
        desc.settable = wanted.settable and not wanted.per_cpu
        desc.managed = wanted.managed
        desc.per_cpu, desc.hint = wanted.per_cpu, cpu_mask(wanted.hint)
        if wanted.effective is not None:
            chip.start(desc, cpu_mask(wanted.effective))
        elif not wanted.per_cpu:
            chip.start(desc, online & -online)
        else:
            chip.start(desc, 0)
        desc.actions.extend(wanted.actions)
        desc.in_proc = bool(desc.actions)
        architecture.described(desc)
        if wanted.affinity is not None:
            desc.affinity, desc.affinity_set = cpu_mask(wanted.affinity), True
        _activate(desc, log)
    if profile.pic:
        legacy_irqs(irqs, architecture.chip)
    for wanted in profile.irqs:
        if wanted.directory is not None and not wanted.of_device:
            irqs.descs[wanted.irq].in_proc = wanted.directory


def _activate(desc: IrqDesc, log: KernelLog) -> None:
    """The end of `request_irq`; who is refused lets it be."""
    if desc.actions and not desc.per_cpu:
        try:
            desc.chip.activate(desc)
        except OSError as error:
            log.say(f"fakeproc: IRQ {desc.irq} cannot be requested: {error.strerror}")
            desc.actions.clear()


def restore_described(profile: Profile, irqs: IrqCore, log: KernelLog) -> None:
    """Let them have counted what the profile says, and those of devices go where it says."""
    for wanted in profile.irqs:
        desc = irqs.descs.get(wanted.irq)
        if not wanted.of_device:
            irqs.restore(irqs.descs[wanted.irq], wanted.counts)
        elif desc is not None and (desc.chip.name, desc.hwirq) == (wanted.chip, wanted.hwirq):
            if wanted.counts:
                irqs.restore(desc, wanted.counts)
            if wanted.affinity is not None:
                desc.affinity, desc.affinity_set = cpu_mask(wanted.affinity), True
            if wanted.hint:
                desc.hint = cpu_mask(wanted.hint)
            if wanted.effective is not None and isinstance(desc.chip, OneCpuChip):
                _steer(desc, cpu_mask(wanted.effective), log)


def _steer(desc: IrqDesc, cpus: int, log: KernelLog) -> None:
    """Move an interrupt, which has come to its new CPU since; one that cannot move stays."""
    try:
        desc.chip.set_affinity(desc, cpus)
        desc.chip.acknowledge(desc)
    except OSError as error:
        log.say(f"fakeproc: IRQ {desc.irq} stays on CPU {desc.landing}: {error.strerror}")
