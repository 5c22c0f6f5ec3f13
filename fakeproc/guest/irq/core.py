"""The generic IRQ layer: descriptors, their actions, counts and affinity.

Mirrors `kernel/irq/irqdesc.c`, `manage.c`, `irqdomain.c` and what
`kernel/irq/proc.c` asks of them.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from errno import EBUSY, EINVAL, ENOMEM
from typing import TYPE_CHECKING

from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.irq.faults import AffinityFaults
from fakeproc.guest.log import KERN_ERR

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.log import KernelLog

__all__ = ["NO_NAME", "U32", "IrqChip", "IrqCore", "IrqDesc"]

NO_NAME = "(null)"  # an action whose name is NULL, as printf shows it; it has no directory
U32 = 0xFFFF_FFFF  # counters of interrupts are unsigned int, and wrap


class IrqChip(ABC):
    """`struct irq_chip`: how one kind of interrupt is steered."""

    name: str
    # IRQ_MOVE_PCNTXT: whether a move takes place at once; else it waits until
    # the interrupt fires next (`kernel/irq/migration.c`).
    moves_at_once = True

    @abstractmethod
    def set_affinity(self, desc: IrqDesc, mask: int) -> None:
        """Steer an interrupt to one CPU of `mask`, all of which are online.

        Raises OSError with what the kernel's chip returns.
        """

    @abstractmethod
    def effective_affinity(self, desc: IrqDesc) -> int:
        """The CPUs that the interrupt is really steered to."""

    def alloc(self, desc: IrqDesc) -> None:  # noqa: B027 - most chips keep nothing
        """`irq_domain_ops.alloc`: the descriptor is new, and nobody has requested it."""

    def free(self, desc: IrqDesc) -> None:  # noqa: B027
        """`irq_domain_ops.free`: the descriptor goes."""

    def activate(self, desc: IrqDesc) -> None:  # noqa: B027
        """`irq_domain_ops.activate`: take what it needs to come; raises OSError without that."""

    def deactivate(self, desc: IrqDesc) -> None:  # noqa: B027
        """`irq_domain_ops.deactivate`: give that back."""

    def acknowledge(self, desc: IrqDesc) -> None:  # noqa: B027
        """`irq_ack`: it has come to the CPU that it is steered to."""

    def force_complete_move(self, desc: IrqDesc) -> None:  # noqa: B027
        """`irq_force_complete_move`: do not wait for it to come; a CPU goes."""


def _nothing_due(_desc: IrqDesc) -> None:
    """Nobody raises the interrupt but one call at a time."""


@dataclass(slots=True, eq=False)
class IrqDesc:
    """`struct irq_desc`: one Linux interrupt."""

    irq: int
    chip: IrqChip
    hwirq: int | None  # None of a chip without a domain
    affinity: int
    flow_name: str | None = None  # what follows the hwirq in /proc/interrupts
    trigger: str = "edge"
    node: int = -1  # NUMA_NO_NODE
    settable: bool = True  # whether user space may set the affinity
    managed: bool = False  # IRQD_AFFINITY_MANAGED
    shut_down: bool = False  # IRQD_MANAGED_SHUTDOWN: all CPUs of its mask are offline
    affinity_set: bool = False  # IRQD_AFFINITY_SET: somebody chose, keep it on request
    pending: int | None = None  # a mask that waits for the next interrupt
    hint: int = 0
    actions: list[str] = field(default_factory=list)
    in_proc: bool = False  # whether /proc/irq/<n> exists: from the first request on
    per_cpu: bool = False  # IRQD_PER_CPU: each CPU has its own, and counts for itself
    hidden: bool = False  # IRQ_HIDDEN: no row in /proc/interrupts
    dev_id: object = None  # what its handler is called with
    chip_data: object = None  # what the chip steers by (`irq_data->chip_data`)
    due: Callable[[IrqDesc], None] = _nothing_due  # delivers what has come and is not counted
    counted: dict[int, int] = field(default_factory=dict)  # by CPU, as far as it is delivered
    counted_in_all: int = 0

    @property
    def counts(self) -> dict[int, int]:
        """How often it has come, up to now: by CPU; absent is 0."""
        self.due(self)
        return self.counted

    @property
    def total(self) -> int:
        """How often it has come on all CPUs, up to now."""
        self.due(self)
        return self.counted_in_all

    @property
    def effective(self) -> int:
        """The CPUs that the interrupt is steered to; CPU 0 while it is shut down."""
        return 1 if self.shut_down else self.chip.effective_affinity(self)

    @property
    def landing(self) -> int:
        """The CPU that the next interrupt comes to."""
        return (self.effective & -self.effective).bit_length() - 1

    @property
    def shown_affinity(self) -> int:
        """What smp_affinity shows: the pending mask where there is one."""
        return self.affinity if self.pending is None else self.pending


class IrqCore:
    """All interrupts of the guest.

    What time has brought is delivered before anybody reads a count, and before
    anything changes that an interrupt depends on: actions, affinity, existence.
    """

    def __init__(self, cpus: Cpus, log: KernelLog) -> None:
        self.due: Callable[[IrqDesc], None] = _nothing_due  # of the descriptors made next
        self.waiting: Callable[[IrqDesc], None] = lambda _desc: None  # called for a pending move
        self.gone: Callable[[IrqDesc], None] = lambda _desc: None  # called before one is freed
        self.steered: Callable[[IrqDesc], None] = lambda _desc: None  # called after each move
        self.descs: dict[int, IrqDesc] = {}
        self.default_affinity = cpus.possible
        self.affinity_faults = AffinityFaults()
        self.create_faults = 0  # how many of the next descriptors cannot be allocated
        self.nr_irqs = 0
        # By CPU, every interrupt ever counted, also of freed descriptors
        # (`kstat.irqs_sum`), as far as it is delivered.
        self.irqs_sum: Counter[int] = Counter()
        self.longest_chip_name = 8  # it is never less, and never shrinks
        self._free_from: dict[int, int] = {}  # by floor: below it nothing is free
        # Numbers that are kept for what devices map first, by chip and hwirq.
        self._reserved: dict[tuple[str, int | None], int] = {}
        self._kept: frozenset[int] = frozenset()  # all of these numbers
        self._cpus = cpus
        self._log = log

    # Life cycle

    def reserve(self, numbers: dict[tuple[str, int | None], int]) -> None:
        """Keep a number for the first interrupt of each chip (by name) and hwirq."""
        self._reserved = dict(numbers)
        self._kept = frozenset(numbers.values())

    def create(
        self,
        chip: IrqChip,
        hwirq: int | None,
        irq: int | None = None,
        floor: int = 0,
    ) -> IrqDesc:
        """Allocate a descriptor: `irq`, or the lowest number free from the floor on.

        Raises OSError ENOMEM where a fault for that waits and no number is given.
        """
        if irq is None:
            if self.create_faults:
                self.create_faults -= 1
                raise OSError(ENOMEM, "the fault 'irq enomem' was armed")
            irq = self._reserved.pop((chip.name, hwirq), None)
            if irq is None or irq in self.descs:
                irq = self._lowest_free(floor)
            self._kept -= {irq}
        desc = IrqDesc(irq, chip, hwirq, self.default_affinity, due=self.due)
        self.descs[irq] = desc
        chip.alloc(desc)
        self.longest_chip_name = max(self.longest_chip_name, len(chip.name))
        self.nr_irqs = max(self.nr_irqs, irq + 1)
        return desc

    def _lowest_free(self, floor: int) -> int:
        """The lowest number from the floor on that is neither taken nor kept."""
        irq = self._free_from.get(floor, floor)
        while irq in self.descs or irq in self._kept:
            irq += 1
        self._free_from[floor] = irq + 1
        return irq

    def free(self, desc: IrqDesc) -> None:
        """Give a descriptor back; its number is the next to be taken if it is lowest."""
        self.gone(desc)
        desc.chip.free(desc)
        del self.descs[desc.irq]
        for floor, free_from in self._free_from.items():
            if floor <= desc.irq < free_from:
                self._free_from[floor] = desc.irq

    def request(self, desc: IrqDesc, name: str, dev_id: object = None) -> None:
        """`request_irq` without IRQF_SHARED: install an action and start the interrupt.

        Raises OSError EBUSY when there is an action already, and what the chip raises
        that cannot activate it.
        """
        if desc.actions:
            flags = 0x200000
            self._log.say(
                f"genirq: Flags mismatch irq {desc.irq}. {flags:08x} ({name})"
                f" vs. {flags:08x} ({desc.actions[0]})",
                KERN_ERR,
            )
            raise OSError(EBUSY, f"IRQ {desc.irq} already has the action {desc.actions[0]}")
        desc.due(desc)
        desc.chip.activate(desc)
        desc.actions.append(name)
        desc.dev_id = dev_id
        desc.in_proc = True
        # irq_setup_affinity: what was set before, else the default.  An error
        # of the chip is not looked at; the driver sets what it wants next.
        wanted = (desc.affinity if desc.affinity_set else self.default_affinity) & self._cpus.online
        with contextlib.suppress(OSError):
            self.program(desc, wanted or self._cpus.online)

    def release(self, desc: IrqDesc) -> None:
        """`free_irq`: remove the actions; /proc/irq/<n> stays, the hint goes."""
        desc.due(desc)
        desc.actions.clear()
        desc.hint = 0
        desc.chip.deactivate(desc)

    def is_reserved(self, chip: str, hwirq: int) -> bool:
        """Whether a number is kept for an interrupt, so that its device has it for certain."""
        return (chip, hwirq) in self._reserved

    # Affinity

    def set_affinity(self, desc: IrqDesc, mask: int) -> None:
        """`irq_set_affinity`, requested by user space; the chip gets what is online of `mask`.

        Raises OSError EINVAL without an online CPU, or what the chip raises or
        a fault has been armed for; then nothing has changed.
        """
        self._check_online(mask)
        self.affinity_faults.consume(desc.irq)
        self._set_affinity(desc, mask)

    def _check_online(self, mask: int) -> None:
        if not mask & self._cpus.online:
            raise OSError(EINVAL, "no CPU of the mask is online")

    def _set_affinity(self, desc: IrqDesc, mask: int) -> None:
        """`irq_set_affinity_locked`: at once, or with the next interrupt; all of `mask` is kept."""
        self._check_online(mask)
        if desc.chip.moves_at_once and desc.pending is None:
            try:
                self.program(desc, mask)
            except OSError as error:
                if error.errno != EBUSY:
                    raise
                self._set_pending(desc, mask)  # irq_try_set_affinity
        else:
            self._set_pending(desc, mask)
        desc.affinity_set = True

    def _set_pending(self, desc: IrqDesc, mask: int) -> None:
        """`irq_set_affinity_pending`: the next interrupt carries it out."""
        desc.due(desc)
        desc.pending = mask
        self.waiting(desc)

    def set_affinity_and_hint(self, desc: IrqDesc, mask: int) -> None:
        """`irq_set_affinity_and_hint`: an error of the chip is not looked at."""
        desc.hint = mask
        with contextlib.suppress(OSError):
            self._set_affinity(desc, mask)

    def set_default_affinity(self, mask: int) -> None:
        """`default_affinity_write`; raises OSError EINVAL without an online CPU."""
        self._check_online(mask)
        self.default_affinity = mask

    def program(self, desc: IrqDesc, mask: int) -> None:
        """`irq_do_set_affinity`: give the chip what is online of `mask`, and keep all of it.

        Raises what the chip raises; then nothing has changed.
        """
        desc.due(desc)
        desc.chip.set_affinity(desc, mask & self._cpus.online)
        desc.affinity = mask
        self.steered(desc)

    # Counting

    def count(self, desc: IrqDesc, cpu: int, number: int = 1) -> None:
        """`kstat_incr_irqs_this_cpu`."""
        desc.counted[cpu] = (desc.counted.get(cpu, 0) + number) & U32
        desc.counted_in_all = (desc.counted_in_all + number) & U32
        self.irqs_sum[cpu] += number

    def fire(self, desc: IrqDesc, number: int = 1) -> None:
        """The hardware raises an interrupt `number` times, on the CPU it is steered to.

        The first may carry out a move that waited for it
        (`irq_move_masked_irq`), so that the others land elsewhere.  Where each CPU has
        its own, each gets as many.
        """
        if not desc.actions or desc.shut_down:
            return
        if desc.per_cpu:
            for cpu in cpus_in(self._cpus.online):
                self.count(desc, cpu, number)
            return
        if desc.pending is not None and number:
            desc.chip.acknowledge(desc)
            self.count(desc, desc.landing)
            number -= 1
            self._move_masked_irq(desc, desc.pending)
        if number:
            desc.chip.acknowledge(desc)
            self.count(desc, desc.landing, number)

    def _move_masked_irq(self, desc: IrqDesc, mask: int) -> None:
        """`irq_move_masked_irq`: a move that fails is forgotten, unless it was too early."""
        desc.pending = None
        if mask & self._cpus.online:
            try:
                self.program(desc, mask)
            except OSError as error:
                if error.errno == EBUSY:
                    desc.pending = mask

    def restore(self, desc: IrqDesc, counts: dict[int, int]) -> None:
        """Let an interrupt have counted so much already."""
        self.irqs_sum.subtract(desc.counted)
        self.irqs_sum.update(counts)
        desc.counted = {cpu: count for cpu, count in counts.items() if count}
        desc.counted_in_all = sum(counts.values()) & U32
