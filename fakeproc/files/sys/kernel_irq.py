"""/sys/kernel/irq: `kernel/irq/irqdesc.c`, every descriptor from its allocation on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.files.subjects import Irq
from fakeproc.files.tree import Attributes, Directory, numbered

if TYPE_CHECKING:
    from fakeproc.guest.kernel import Kernel

__all__ = ["kernel_irq_directory"]

IRQ = Attributes[Irq]()


@IRQ.show
def wakeup_show(_irq: Irq) -> str:
    """Whether it wakes a sleeping machine."""
    return "disabled\n"


@IRQ.show
def hwirq_show(irq: Irq) -> str:
    """Its number in its domain: a channel's relid; nothing at all without a domain."""
    return "" if irq.desc.hwirq is None else f"{irq.desc.hwirq}\n"


@IRQ.show
def actions_show(irq: Irq) -> str:
    """The names of its actions; nothing at all without one."""
    return ",".join(irq.desc.actions) + "\n" if irq.desc.actions else ""


@IRQ.show
def type_show(irq: Irq) -> str:
    """What triggers it."""
    return f"{irq.desc.trigger}\n"


@IRQ.show
def chip_name_show(irq: Irq) -> str:
    """The name of its chip."""
    return f"{irq.desc.chip.name}\n"


@IRQ.show
def name_show(irq: Irq) -> str:
    """The name of its flow handler; nothing at all without one."""
    return f"{irq.desc.flow_name}\n" if irq.desc.flow_name else ""


@IRQ.show
def per_cpu_count_show(irq: Irq) -> str:
    """Its counts on all possible CPUs."""
    cells = ["0"] * irq.kernel.cpus.nr_cpu_ids
    for cpu, count in irq.desc.counts.items():
        cells[cpu] = str(count)
    return ",".join(cells) + "\n"


def kernel_irq_directory(kernel: Kernel) -> Directory:
    """/sys/kernel/irq."""
    descs = kernel.irqs.descs

    def make(number: int) -> Directory | None:
        desc = descs.get(number)
        return None if desc is None else Directory((IRQ.on(Irq(kernel, desc), desc),), owner=desc)

    return Directory(listings=(numbered(lambda: descs, make),))
