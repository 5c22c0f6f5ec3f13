"""The 16 interrupts that a PC has had from the beginning: `arch/x86/kernel/i8259.c`.

Where there is a PIC, the kernel has all of them from the boot on, whoever uses
them, and each has a directory in /proc/irq.  The IO-APIC has taken them over,
but for number 2, by which the second PIC hangs on the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.guest.irq.core import IrqCore
    from fakeproc.guest.irq.one_cpu import OneCpuChip

__all__ = ["LEGACY_IRQS", "legacy_irqs"]

LEGACY_IRQS = 16
CASCADE = 2
TIMER_INPUT = 2  # of the IO-APIC: where IRQ 0, the timer, is wired to
PCI = frozenset({5, 9, 10, 11})  # level-triggered, as the firmware routes PCI's


def legacy_irqs(irqs: IrqCore, chip_of: Callable[[str], OneCpuChip]) -> None:
    """`init_ISA_irqs`, `setup_IO_APIC_irqs`: those that are not described otherwise."""
    cascade, chip = chip_of("XT-PIC"), chip_of("IO-APIC")
    for number in range(LEGACY_IRQS):
        known = irqs.descs.get(number)
        if known is not None:
            known.in_proc = True
            continue
        if number == CASCADE:
            desc = irqs.create(cascade, None, number)
            desc.trigger, desc.settable = "level", False
            cascade.start(desc, 0)
        else:
            desc = irqs.create(chip, number or TIMER_INPUT, number)
            is_level = number in PCI
            desc.trigger = "level" if is_level else "edge"
            desc.flow_name = "fasteoi" if is_level else "edge"
            chip.start(desc, 1)
        desc.in_proc = True
