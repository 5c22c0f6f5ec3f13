"""What differs between x86-64 and arm64: who counts what, and what hotplug says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from fakeproc.guest.irq.apic import ApicChip, SimpleChip, has_vectors, nr_irqs_at_boot
from fakeproc.guest.irq.gic import GicChip
from fakeproc.guest.irq.pic import LEGACY_IRQS
from fakeproc.guest.irq.vector import VectorDomain, vectors_of_a_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fakeproc.guest.accounting import Accounting
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.irq.core import IrqCore, IrqDesc
    from fakeproc.guest.irq.one_cpu import OneCpuChip
    from fakeproc.guest.log import KernelLog
    from fakeproc.personality import Version
    from fakeproc.profiles.schema import Profile

__all__ = ["X86", "Architecture", "Arm64", "architecture", "counts_in_total"]

# arch_irq_stat_cpu: what counts into `intr` of /proc/stat on x86 before v7.2;
# TLB, DFR, PIN, NPI, PIW and MIS do not.
_IN_INTR_TOTAL = frozenset({
    "NMI", "LOC", "SPU", "PMI", "IWI", "RTR", "RES", "CAL",
    "TRM", "THR", "HYP", "HRE", "HVS", "MCE", "MCP",
})  # fmt: skip


def counts_in_total(profile: Profile, version: Version) -> Callable[[str], bool]:
    """Which of the architecture's rows count in `intr`, beside the Linux interrupts.

    ERR counts too, once for the whole machine.
    """
    if profile.architecture == "arm64":
        return lambda _row: False
    if version.counts_tlb_in_intr:
        return lambda row: row != "ERR"
    return _IN_INTR_TOTAL.__contains__


class Architecture(ABC):
    """The architecture's part of the kernel.

    `ipi_rows` names rows of /proc/interrupts that no Linux interrupt counts on;
    `boot_cpu_unplugs` says whether cpu0 has an `online`.
    """

    ipi_rows: dict[str, str]  # what calls a function elsewhere, and what wakes
    boot_cpu_unplugs: bool
    has_hotplug_smt: bool  # CONFIG_HOTPLUG_SMT
    has_machinecheck: bool  # a device for each CPU, which comes and goes
    _irqs: IrqCore
    _message_irq: IrqDesc | None = None

    def __init__(self) -> None:
        self._chips: dict[str, OneCpuChip] = {}

    def chip(self, name: str) -> OneCpuChip:
        """The chip of that name: it steers interrupts that are not the VMBus's."""
        if name not in self._chips:
            self._chips[name] = self._make_chip(name)
        return self._chips[name]

    @abstractmethod
    def _make_chip(self, name: str) -> OneCpuChip:
        """A chip of that name."""

    def check_cpu_can_go(self, cpu: int, log: KernelLog) -> None:  # noqa: B027 - arm64's GIC can
        """`__cpu_disable`; raises OSError where the interrupts of the CPU have nowhere to go."""

    @abstractmethod
    def nr_irqs(self) -> int:
        """How many interrupts there can be when it boots."""

    @abstractmethod
    def irq_floor(self, hwirq: int, nr_irqs: int) -> int:
        """The lowest number that an interrupt of that hwirq may get."""

    def start(self, irqs: IrqCore) -> None:
        """Request the interrupts that are the architecture's own."""
        self._irqs = irqs

    def described(self, desc: IrqDesc) -> None:  # noqa: B027 - x86's own are no Linux interrupts
        """See whether an interrupt that the profile describes is one of the architecture's own."""

    def use_message_irq(self, desc: IrqDesc) -> None:
        """Count control messages here, and nothing on the top-level interrupt, which is hidden."""
        self._message_irq = desc

    def count_vmbus(self, cpu: int, number: int) -> None:
        """Count interrupts of the VMBus as a whole."""
        if self._message_irq is None:
            self._count_top(cpu, number)
        else:
            self._irqs.count(self._message_irq, cpu, number)

    @abstractmethod
    def _count_top(self, cpu: int, number: int) -> None:
        """Count on the architecture's interrupt of the VMBus."""

    vmbus_row: str  # where that counts

    def restore(self, row: str, counts: dict[int, int]) -> None:
        """Let a row of the architecture's own have counted so much already."""
        if row == self.vmbus_row and self._message_irq is not None:
            self._irqs.restore(self._message_irq, counts)
        else:
            self._restore(row, counts)

    @abstractmethod
    def _restore(self, row: str, counts: dict[int, int]) -> None:
        """Let a row have counted so much already."""

    def counted(self) -> dict[str, Mapping[int, int]]:
        """What `restore` takes: the counts of each row by CPU, up to now."""
        found = self._counted()
        if self._message_irq is not None:
            found[self.vmbus_row] = self._message_irq.counts
        return found

    @abstractmethod
    def _counted(self) -> dict[str, Mapping[int, int]]:
        """Those that `_restore` takes."""

    def restore_vmbus(self, counts: dict[int, int]) -> None:
        """Let the VMBus have counted so much already, beside the HYP of a profile's [arch]."""
        for cpu, number in counts.items():
            self.count_vmbus(cpu, number)

    @abstractmethod
    def count_timer(self, cpu: int, number: int) -> None:
        """Count timer interrupts."""

    @abstractmethod
    def timer_count(self, cpu: int) -> int:
        """How many timer interrupts a CPU has had."""

    @abstractmethod
    def offline_line(self, cpu: int) -> str:
        """What the log says when a CPU is gone."""

    @abstractmethod
    def online_line(self, cpu: int, node: int) -> str:
        """What the log says when a CPU comes."""


class X86(Architecture):
    """`arch/x86`: everything of Hyper-V's arrives on vectors of its own."""

    ipi_rows = {"function": "CAL", "wake": "RES"}  # noqa: RUF012
    vmbus_row = "HYP"
    has_hotplug_smt = True
    has_machinecheck = True

    def __init__(
        self, accounting: Accounting, profile: Profile, version: Version, cpus: Cpus
    ) -> None:
        super().__init__()
        self._accounting = accounting
        self._cpus = cpus
        self.boot_cpu_unplugs = profile.boot_parameters.cpu0_hotplug and version.cpu0_hotplug
        # An old host sends a timer's expiry as a message, which counts on HYP.
        self.timer_row = "HVS" if profile.stimer_direct else "HYP"
        if not profile.hyperv:
            self.timer_row = "LOC"  # the local APIC's own timer
        self._pic = profile.pic  # Generation 1 has one, and its 16 interrupts
        self._gsi_top = profile.io_apic_inputs
        size = vectors_of_a_cpu(pic=profile.pic, cleanup_vector=version.has_cleanup_vector)
        self.vectors = VectorDomain(cpus, size)

    def _make_chip(self, name: str) -> OneCpuChip:
        """Most come by a vector of the local APIC."""
        if has_vectors(name):
            return ApicChip(name, self.vectors, self._cpus)
        return SimpleChip(name)

    def check_cpu_can_go(self, cpu: int, log: KernelLog) -> None:
        """`native_cpu_disable`; raises OSError ENOSPC."""
        self.vectors.check_cpu_can_go(cpu, log)

    def nr_irqs(self) -> int:
        """`arch_probe_nr_irqs`."""
        legacy = LEGACY_IRQS if self._pic else 0
        return nr_irqs_at_boot(self._cpus.nr_cpu_ids, legacy, self._gsi_top)

    def irq_floor(self, hwirq: int, nr_irqs: int) -> int:
        """`arch_dynirq_lower_bound`: above the IO-APIC's inputs."""
        del hwirq, nr_irqs
        return self._gsi_top

    def _count_top(self, cpu: int, number: int) -> None:
        """`sysvec_hyperv_callback`."""
        self._accounting.count_arch(self.vmbus_row, cpu, number)

    def _restore(self, row: str, counts: dict[int, int]) -> None:
        """All of them are `irq_cpustat_t`."""
        self._accounting.restore_arch(row, counts)

    def _counted(self) -> dict[str, Mapping[int, int]]:
        """All of them."""
        return dict(self._accounting.arch)

    def count_timer(self, cpu: int, number: int) -> None:
        """`sysvec_hyperv_stimer0`."""
        if self.timer_row == self.vmbus_row:
            self.count_vmbus(cpu, number)
        else:
            self._accounting.count_arch(self.timer_row, cpu, number)

    def timer_count(self, cpu: int) -> int:
        """HVS of that CPU, or what counts its messages."""
        if self.timer_row == self.vmbus_row and self._message_irq is not None:
            return self._message_irq.counts.get(cpu, 0)
        return self._accounting.arch_count(self.timer_row, cpu)

    def offline_line(self, cpu: int) -> str:
        """`arch/x86/kernel/smpboot.c`."""
        return f"smpboot: CPU {cpu} is now offline"

    def online_line(self, cpu: int, node: int) -> str:
        """`arch/x86/kernel/smpboot.c: announce_cpu`."""
        apicid = self._cpus.place_of(cpu).apicid
        return f"smpboot: Booting Node {node} Processor {cpu} APIC 0x{apicid:x}"


class Arm64(Architecture):
    """`arch/arm64`: the VMBus and the timer are per-CPU interrupts of the GIC."""

    ipi_rows = {"function": "IPI1", "wake": "IPI0"}  # noqa: RUF012
    vmbus_row = "Hyper-V VMbus"  # its action
    boot_cpu_unplugs = True
    has_hotplug_smt = False
    has_machinecheck = False

    NR_IRQS = 64  # with sparse IRQs; it grows
    IPIS = 8  # numbers 1 to 8 belong to the IPIs
    TIMER, VMBUS = 11, 12  # their IRQs
    _timer: IrqDesc
    _vmbus: IrqDesc | None = None

    def __init__(self, accounting: Accounting, profile: Profile, cpus: Cpus) -> None:
        super().__init__()
        self._accounting = accounting
        self._cpus = cpus
        self._profile = profile
        self._gic = profile.gic

    def _make_chip(self, name: str) -> OneCpuChip:
        """The GIC, or the ITS behind it."""
        return GicChip(name)

    def nr_irqs(self) -> int:
        """NR_IRQS, whatever there is."""
        return self.NR_IRQS

    def irq_floor(self, hwirq: int, nr_irqs: int) -> int:
        """`irq_domain_alloc_descs`: near the hwirq, so that one tends to be the other."""
        return max(1, hwirq % nr_irqs)

    def start(self, irqs: IrqCore) -> None:
        """The IPIs, the timer and the VMBus, but for what the profile describes itself."""
        super().start(irqs)
        chip = self.chip("GICv3")
        listed = {irq.irq: irq for irq in self._profile.irqs if not irq.of_device}
        for number in range(self.IPIS):
            if number + 1 not in listed:
                desc = irqs.create(chip, number, number + 1)
                desc.settable, desc.in_proc = False, True
        timer, vmbus = self._gic.timer, self._gic.vmbus
        if not any("arch_timer" in irq.actions for irq in listed.values()):
            self._timer = self._per_cpu(irqs, chip, (self.TIMER, timer), "level", "arch_timer")
        if self._profile.hyperv:
            self._vmbus = self._per_cpu(irqs, chip, (self.VMBUS, vmbus), "edge", self.vmbus_row)

    def described(self, desc: IrqDesc) -> None:
        """Take an interrupt of the profile for the timer's, if it is."""
        if "arch_timer" in desc.actions:
            self._timer = desc
            desc.due = lambda _desc: self._accounting.due()

    def _per_cpu(
        self, irqs: IrqCore, chip: OneCpuChip, numbers: tuple[int, int], trigger: str, name: str
    ) -> IrqDesc:
        desc = irqs.create(chip, numbers[1], numbers[0])
        desc.trigger, desc.settable = trigger, False
        desc.due = lambda _desc: self._accounting.due()
        desc.actions.append(name)
        desc.in_proc = True
        return desc

    def use_message_irq(self, desc: IrqDesc) -> None:
        """The top-level interrupt gets IRQ_HIDDEN."""
        super().use_message_irq(desc)
        if self._vmbus is not None:
            self._vmbus.hidden = True

    def _count_top(self, cpu: int, number: int) -> None:
        """`vmbus_percpu_isr`; patch 6 counts only those that found a message."""
        if self._vmbus is not None:
            self._irqs.count(self._vmbus, cpu, number)

    def _restore(self, row: str, counts: dict[int, int]) -> None:
        """The IPIs, or one of the interrupts by its action."""
        for desc in (self._timer, self._vmbus):
            if desc is not None and row in desc.actions:
                self._irqs.restore(desc, counts)
                return
        self._accounting.restore_arch(row, counts)

    def _counted(self) -> dict[str, Mapping[int, int]]:
        """The IPIs, the timer and the VMBus."""
        own = {desc.actions[0]: desc.counts for desc in (self._timer, self._vmbus) if desc}
        return {**self._accounting.arch, **own}

    def count_timer(self, cpu: int, number: int) -> None:
        """`arch_timer_handler_virt`."""
        self._irqs.count(self._timer, cpu, number)

    def timer_count(self, cpu: int) -> int:
        """The arch_timer row of that CPU."""
        return self._timer.counts.get(cpu, 0)

    def offline_line(self, cpu: int) -> str:
        """`drivers/firmware/psci/psci.c`."""
        return f"psci: CPU{cpu} killed (polled 0 ms)"

    def online_line(self, cpu: int, node: int) -> str:
        """`arch/arm64/kernel/smp.c: secondary_start_kernel`."""
        del node
        midr = self._cpus.model_of(cpu).midr
        return f"CPU{cpu}: Booted secondary processor 0x{cpu:010x} [0x{midr:08x}]"


def architecture(
    profile: Profile, version: Version, accounting: Accounting, cpus: Cpus
) -> Architecture:
    """The architecture of a profile, as a kernel version knows it."""
    if profile.architecture == "arm64":
        return Arm64(accounting, profile, cpus)
    return X86(accounting, profile, version, cpus)
