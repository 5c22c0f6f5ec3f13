"""/proc/irq: `kernel/irq/proc.c`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.files.kernels.versions import shown
from fakeproc.files.subjects import Irq, list_line, mask_line
from fakeproc.files.text.bitmap import parse_list, parse_mask
from fakeproc.files.tree import Attributes, ProcDirectory, numbered
from fakeproc.guest.irq.core import NO_NAME, IrqDesc
from fakeproc.guest.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["irq_directory"]


DEFAULT = Attributes[Kernel]()
IRQ = Attributes[Irq]()


@DEFAULT.show
def default_smp_affinity_show(kernel: Kernel) -> str:
    """The affinity of interrupts that are started from now on."""
    return mask_line(kernel, kernel.irqs.default_affinity)


@DEFAULT.store
def default_smp_affinity_store(kernel: Kernel, data: bytes) -> None:
    """`default_affinity_write`; errors of the parser, and EINVAL without an online CPU."""
    kernel.irqs.set_default_affinity(parse_mask(data, kernel.cpus.nr_cpu_ids))


def _write_affinity(irq: Irq, data: bytes, parse: Callable[[bytes, int], int]) -> None:
    """`write_irq_affinity`.

    Raises OSError: EIO (EPERM since 6.12), before anything is read, where user
    space may not set the affinity; what the parser raises; EINVAL without an
    online CPU; what the chip raises.
    """
    kernel, desc = irq
    if not _is_settable(irq):
        errno = kernel.personality.version.unsettable_affinity_errno
        raise OSError(errno, f"the affinity of IRQ {desc.irq} belongs to the kernel")
    kernel.irqs.set_affinity(desc, parse(data, kernel.cpus.nr_cpu_ids))


def _is_settable(irq: Irq) -> bool:
    """`irq_can_set_affinity_usr`."""
    return irq.desc.settable and not irq.desc.managed


def _affinity_mode(irq: Irq) -> int:
    """Who may write the affinity."""
    return 0o644 if _is_settable(irq) else shown(irq.kernel).unsettable_affinity_mode


@IRQ.show(mode=_affinity_mode)
def smp_affinity_show(irq: Irq) -> str:
    """The CPUs that user space, or the driver, allows."""
    return mask_line(irq.kernel, irq.desc.shown_affinity)


@IRQ.store
def smp_affinity_store(irq: Irq, data: bytes) -> None:
    """Allow the CPUs of a mask in hexadecimal."""
    _write_affinity(irq, data, parse_mask)


@IRQ.show
def affinity_hint_show(irq: Irq) -> str:
    """The CPUs that the driver advises; none where it does not."""
    return mask_line(irq.kernel, irq.desc.hint)


@IRQ.show(mode=_affinity_mode)
def smp_affinity_list_show(irq: Irq) -> str:
    """The same as `smp_affinity`, as a list."""
    return list_line(irq.desc.shown_affinity)


@IRQ.store
def smp_affinity_list_store(irq: Irq, data: bytes) -> None:
    """Allow the CPUs of a list."""
    _write_affinity(irq, data, parse_list)


@IRQ.show
def effective_affinity_show(irq: Irq) -> str:
    """The CPUs that the interrupt is really steered to."""
    return mask_line(irq.kernel, irq.desc.effective)


@IRQ.show
def effective_affinity_list_show(irq: Irq) -> str:
    """The same as a list."""
    return list_line(irq.desc.effective)


@IRQ.show
def node_show(irq: Irq) -> str:
    """The NUMA node of the descriptor; -1 for none."""
    return f"{irq.desc.node}\n"


@IRQ.show
def spurious_show(_irq: Irq) -> str:
    """Interrupts that nobody handled: none, as all handlers here handle theirs."""
    return "count 0\nunhandled 0\nlast_unhandled 0 ms\n"


def _one_irq(kernel: Kernel, desc: IrqDesc) -> ProcDirectory:
    """/proc/irq/<n>: its files, and an empty directory for each action."""
    actions = {name: ProcDirectory() for name in desc.actions if name not in {"", NO_NAME}}
    return ProcDirectory(
        (IRQ.on(Irq(kernel, desc), desc),),
        actions,
        owner=desc,
        nlink_counts_files=shown(kernel).nlink_counts_files,
    )


def irq_directory(kernel: Kernel) -> ProcDirectory:
    """/proc/irq, with a directory for every interrupt that was ever requested."""
    descs = kernel.irqs.descs

    def numbers() -> list[int]:
        return [desc.irq for desc in descs.values() if desc.in_proc]

    def make(number: int) -> ProcDirectory | None:
        desc = descs.get(number)
        return _one_irq(kernel, desc) if desc is not None and desc.in_proc else None

    return ProcDirectory(
        (DEFAULT.on(kernel),),
        listings=(numbered(numbers, make),),
        nlink_counts_files=shown(kernel).nlink_counts_files,
    )
