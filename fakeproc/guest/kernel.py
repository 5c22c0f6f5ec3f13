"""The emulated Linux kernel: its parts, wired together and booted (`GuestPort`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.accounting import Accounting
from fakeproc.guest.architecture import architecture, counts_in_total
from fakeproc.guest.base.cacheinfo import CacheInfo
from fakeproc.guest.base.core import Devices
from fakeproc.guest.base.cpu import cpu_dev_init, node_dev_init, processor_driver
from fakeproc.guest.base.cpu_hotplug import Hotplug
from fakeproc.guest.base.cpu_plug import CpuPlug
from fakeproc.guest.base.cpufreq import CpuFreq
from fakeproc.guest.base.pmu import hybrid_pmu_init
from fakeproc.guest.base.smt import SmtControl
from fakeproc.guest.base.uevents import Uevents
from fakeproc.guest.block import Block
from fakeproc.guest.cpu_time import Load
from fakeproc.guest.cpus import Cpus, cpu_mask, cpus_in
from fakeproc.guest.described_irqs import request_described, restore_described
from fakeproc.guest.dmi import dmi_id_init
from fakeproc.guest.hv.interrupt_path import extra_cost
from fakeproc.guest.hv.vmbus import Vmbus
from fakeproc.guest.irq.core import IrqCore
from fakeproc.guest.irq.cpu_migration import CpuMigration
from fakeproc.guest.log import KERN_ERR, KERN_NOTICE, KernelLog
from fakeproc.guest.machinecheck import Machinecheck
from fakeproc.guest.net import Net
from fakeproc.guest.numa import Numa
from fakeproc.guest.pci.functions import Pci, PciBus
from fakeproc.guest.scsi import Scsi
from fakeproc.guest.uio import Uio
from fakeproc.series import ALL_PATCHES, SERIES

if TYPE_CHECKING:
    from fakeproc.guest.irq.core import IrqDesc
    from fakeproc.profiles.schema import Profile
    from fakeproc.protocol.messages import HostMessage, HostPort
    from fakeproc.timeline import Sleeper, Timeline

__all__ = ["Kernel"]


class Kernel:
    """One guest.  `profile` is what the machine is made of."""

    def __init__(
        self, timeline: Timeline, profile: Profile, host: HostPort, boot_time: int
    ) -> None:
        self.profile = profile
        self.boot_time = boot_time  # seconds since 1970
        self.personality = profile.kernel.personality
        # Whether the top-level interrupt counts what came for channels, too.
        self.counts_on_top = self.personality.series.top_counts_channels(
            arm64=profile.architecture == "arm64"
        )
        self.timeline = timeline
        self.log = KernelLog(timeline)
        timeline.on_hung = self._hung_task
        self.uevents = Uevents(timeline)
        self.devices = Devices(self.uevents)
        boot = profile.boot_parameters
        self.cpus = Cpus(profile)
        self.numa = Numa(profile)
        self.irqs = IrqCore(self.cpus, self.log)
        if boot.irqaffinity is not None:  # `irq_affinity_setup`; the CPU that boots is always in
            self.irqs.default_affinity = cpu_mask(boot.irqaffinity | {0})
        self.accounting = Accounting(
            self.irqs,
            self.cpus,
            counts_in_total(profile, self.personality.version),
            lambda: timeline.now,
            host.settle,
        )
        self.irqs.due, self.irqs.gone = self._due, self._gone
        self.irqs.steered, self.irqs.waiting = self._steered, self._waiting
        self.architecture = architecture(
            profile, self.personality.version, self.accounting, self.cpus
        )
        self.irqs.nr_irqs = profile.nr_irqs or self.architecture.nr_irqs()
        self.net = Net(self.devices, self.uevents)
        self.pci = Pci(
            self.devices,
            PciBus(
                self.cpus,
                self.irqs,
                self.architecture,
                self.personality.version.pci_msi_chip,
                self.net,
            ),
            self.cpus,
        )
        self.vmbus = Vmbus(
            timeline,
            self.cpus,
            self.irqs,
            self.pci,
            self.accounting,
            self.log,
            host,
            self.personality,
            self.architecture,
            self.uevents,
            self.devices,
            Scsi(self.devices, Block(self.devices)),
            self.net,
            Uio(self.devices),
            self.devices.directory(profile.vmbus.parent) if profile.hyperv else self.devices.root,
            profile.vmbus,
        )
        if profile.hyperv:
            self.devices.add_bus(self.vmbus.bus)
        self._host = host
        self._irq_rates: dict[int, float] = {}  # of the traffic on other interrupts
        self.cpu_bus = cpu_dev_init(self.devices, self.cpus)
        self.nodes = node_dev_init(self.devices, self.cpus)
        timeline.finish(processor_driver(self.devices, self.cpu_bus))
        self.dmi = dmi_id_init(self.devices, profile)
        migration = CpuMigration(
            self.irqs, self.cpus, self.log, retries=self.personality.version.retries_migration
        )
        self.hotplug = Hotplug(
            self.cpus,
            self.devices,
            self.cpu_bus,
            self.architecture,
            self.log,
            host.settle_cpu,
            migration.cpu_gone,
            boot_cpu_has_target=self.personality.version.boot_cpu_has_target,
            freezes_downwards=self.personality.version.freezes_downwards,
        )
        self.vmbus.suspend.freeze_cpus = self.hotplug.freeze_secondary_cpus
        self.vmbus.suspend.thaw_cpus = self.hotplug.thaw_secondary_cpus
        self.vmbus.offline.is_disconnected = lambda: self.vmbus.suspend.is_disconnected
        self.cpufreq = CpuFreq(self.cpus)
        hybrid_pmu_init(self.devices, self.cpus)
        self.cpu_plug = CpuPlug(self.cpus, self.devices, self.cpu_bus, self.hotplug, self.log)
        self.smt = SmtControl(
            self.hotplug,
            self.cpus,
            implemented=self.architecture.has_hotplug_smt,
            takes_number=self.personality.version.smt_takes_number,
        )
        self._set_up_hotplug_states(migration)

    def _set_up_hotplug_states(self, migration: CpuMigration) -> None:
        """What each part of the kernel does when a CPU comes or goes, in this order."""
        hotplug, vmbus = self.hotplug, self.vmbus.offline
        hotplug.setup_state("sched:starting", self.accounting.cpu_online, self._stop_accounting)
        hotplug.setup_state(
            "clockevents/hyperv/stimer:starting", self._host.start_timer, self._stop_timer
        )
        hotplug.setup_state("cpu:teardown", teardown=self._check_cpu_can_go)
        hotplug.setup_state("irq/affinity:online", migration.cpu_online)
        caches = CacheInfo(self.devices, self.cpu_bus, self.cpus)
        hotplug.setup_state("base/cacheinfo:online", caches.online, caches.offline)
        # The recordings have machinecheckN go before the VMBus refuses, and come back then.
        if self.profile.hyperv:
            hotplug.setup_state("hyperv/vmbus:online", vmbus.init, vmbus.cleanup)
        if self.architecture.has_machinecheck:
            checks = Machinecheck(self.devices, self.cpus)
            hotplug.setup_state("x86/mce:online", checks.online, checks.offline)

    def _check_cpu_can_go(self, cpu: int) -> Sleeper[None]:
        """The beginning of `take_cpu_down`; raises OSError."""
        self.architecture.check_cpu_can_go(cpu, self.log)
        yield from ()

    def _stop_accounting(self, cpu: int) -> Sleeper[None]:
        """`sched_cpu_dying`: from now on the CPU has no tick, and is charged for nothing."""
        self.accounting.cpu_offline(cpu)
        yield from ()

    def _stop_timer(self, cpu: int) -> Sleeper[None]:
        """`hv_stimer_cleanup`."""
        self._host.stop_timer(cpu)
        yield from ()

    def boot(self) -> None:
        """Come up as far as a user sees it: other interrupts, then the VMBus."""
        boot = self.profile.boot_parameters
        self.log.say(f"Linux version {self.version}", KERN_NOTICE)
        self.log.say(f"Command line: {self.profile.command_line}")
        for parameter in boot.not_emulated:
            self.log.say(f"fakeproc: the parameter {parameter} is not emulated")
        self._tell_of_the_series()
        if boot.nosmt and self.smt.state == boot.nosmt:  # `cpu_smt_disable`
            self.log.say(f"SMT: {'Force disabled' if boot.nosmt == 'forceoff' else 'disabled'}")
        if self.profile.hyperv and self.profile.architecture == "x86_64":
            self.log.say("Hypervisor detected: Microsoft Hyper-V")
        self.architecture.start(self.irqs)
        request_described(self.profile, self.irqs, self.architecture, self.cpus.online, self.log)
        for cpu in cpus_in(self.cpus.online):
            self.accounting.cpu_online(cpu)
            self._host.start_timer(cpu)
        self.uevents.audible = True
        if self.profile.hyperv:
            self.timeline.start(self.vmbus.connect())

    def _tell_of_the_series(self) -> None:
        """Say which patches are left out, where the series is applied in part."""
        left_out = sorted(ALL_PATCHES - self.personality.series.patches)
        if left_out and self.personality.series.applied:
            numbers = ", ".join(f"{patch:d}" for patch in left_out)
            self.log.say(f"fakeproc: the series is applied without patch {numbers}", KERN_NOTICE)

    def _hung_task(self) -> None:
        """`check_hung_task` of khungtaskd; the task is the one that user space's write runs in."""
        release = self.profile.kernel.uname_release
        self.log.say("INFO: task sh:1 blocked for more than 120 seconds.", KERN_ERR)
        self.log.say(f"      Not tainted {release} {self.profile.kernel.build}", KERN_ERR)
        self.log.say(
            '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.', KERN_ERR
        )

    @property
    def version(self) -> str:
        """`linux_banner` without its first two words."""
        kernel = self.profile.kernel
        return f"{kernel.uname_release} ({kernel.builder}) ({kernel.compiler}) {kernel.build}"

    def take_offline(self) -> Sleeper[None]:
        """Take CPUs offline as somebody has done since the boot; one that cannot go stays."""
        for cpu in sorted(self.profile.cpus.offlined):
            try:
                yield from self.hotplug.set_online(cpu, False)
            except OSError as error:
                self.log.say(f"fakeproc: CPU {cpu} stays online: {error.strerror}", KERN_NOTICE)

    def restore_counts(self) -> None:
        """Let the guest have run as long, and counted as much, as its profile says.

        Where the profile gives a counter no value, the one of the boot stays.
        """
        for device in self.profile.vmbus.devices:
            for wanted in device.channels:
                channel, _ = self.vmbus.table.find(wanted.relid, device.connection - 1)
                if channel is not None:
                    if channel.desc is not None:
                        self.irqs.restore(channel.desc, wanted.counts)
                    for cpu, number in wanted.counts.items():
                        self.vmbus.callback(channel, cpu, number)
        restore_described(self.profile, self.irqs, self.log)
        for row, counts in self.profile.arch.items():
            self.architecture.restore(row, counts)
        self.accounting.restore_ticks(
            {cpu: self.architecture.timer_count(cpu) for cpu in cpus_in(self.cpus.present)}
        )
        if self.counts_on_top:
            # What a profile says of the VMBus as a whole is meant with the series,
            # where the channels' interrupts count elsewhere.
            for device in self.profile.vmbus.devices:
                for wanted in device.channels:
                    self.architecture.restore_vmbus(wanted.counts)
        for cpu in cpus_in(self.cpus.online):
            self.accounting.restore_times(cpu)

    # GuestPort: what the host does to the guest

    def interrupt(
        self,
        vp: int,
        relids: dict[int, int],
        message: HostMessage | None = None,
        times: int = 1,
        connection: int = 0,
    ) -> None:
        """`vmbus_isr` on CPU `vp`: each counts on HYP, with patch 9 only control messages.

        On a CPU that is offline nobody looks: the event flags stay set until
        an interrupt finds the CPU online again.
        """
        if self.has_event_flags():
            self._host.settle()  # an interrupt that came before this one has found them
        hardirqs, softirqs = self._handle(vp, relids, message, times, connection)
        if hardirqs:
            channels = len(relids)
            extra = self._extra_ns(channels) if channels else 0
            self.accounting.charge(vp, hardirqs, softirqs, extra * hardirqs / max(1, channels))

    def traffic(self, vp: int, relid: int, count: int, connection: int = 0) -> None:
        """The same for what came since the channel was last looked at; its load has paid for it."""
        self._handle(vp, {relid: count}, None, 1, connection)

    def _handle(
        self,
        vp: int,
        relids: dict[int, int],
        message: HostMessage | None,
        times: int,
        connection: int,
    ) -> tuple[int, int]:
        """Handle interrupts, and return how many they were and how many softirqs they raised."""
        if not self.cpus.is_online(vp):
            self.vmbus.synic.set_flags(vp, set(relids), connection)
            return 0, 0
        left_behind = dict.fromkeys(self.vmbus.synic.take_flags(vp, connection), 1)
        found = {**left_behind, **relids}
        softirqs = self.vmbus.handle_events(vp, found, connection)
        hardirqs = sum(found.values())
        if self.counts_on_top:
            self.architecture.count_vmbus(vp, hardirqs)
        if message is not None:
            hardirqs += times
            self.architecture.count_vmbus(vp, times)
            self.vmbus.handle_message(message, connection)
        return hardirqs, softirqs

    def channel_load(self, vp: int, relid: int, rate: float, connection: int = 0) -> None:
        """A channel interrupts a CPU so often a second from now on; 0 ends it."""
        if rate:
            self.accounting.set_load(
                (connection, relid), vp, Load(rate, rate, rate * self._extra_ns(1))
            )
        else:
            self.accounting.end_load((connection, relid))

    def _extra_ns(self, channels: int) -> float:
        """How much longer a wake-up for so many channels takes with the series than without."""
        return extra_cost(
            self.personality.series,
            SERIES["absent"],
            channels,
            self.profile.cpus.khz,
            arm64=self.profile.architecture == "arm64",
        )

    def timer_load(self, vp: int, rate: float) -> None:
        """A timer expires so often a second from now on; 0 ends it."""
        self.accounting.set_load(f"timer {vp}", vp, self.accounting.timer_load(rate))

    def irq_load(self, irq: int, rate: float) -> None:
        """Another interrupt comes so often a second from now on; 0 ends it."""
        self._irq_rates[irq] = rate
        desc = self.irqs.descs.get(irq)
        if desc is not None:
            self._steered(desc)

    def _steered(self, desc: IrqDesc) -> None:
        """An interrupt comes to a CPU from now on, and what it costs with it."""
        rate = self._irq_rates.get(desc.irq)
        if rate is not None:
            self.accounting.set_load(f"irq {desc.irq}", desc.landing, Load(rate, 0))

    def timer(self, vp: int, count: int) -> None:
        """`hv_stimer0_isr`, in direct mode."""
        if self.cpus.is_online(vp):
            self.architecture.count_timer(vp, count)
            for kind, number in self.accounting.tick(vp, count).items():
                self.accounting.count_arch(self.architecture.ipi_rows[kind], vp, number)

    def has_event_flags(self) -> bool:
        """Whether event flags are set on some CPU that no interrupt has consumed."""
        return self.vmbus.synic.has_flags

    def raise_irq(self, irq: int, count: int) -> None:
        """An interrupt of the IO-APIC or an MSI: handled where the guest has steered it."""
        desc = self.irqs.descs.get(irq)
        if desc is not None:
            self.irqs.fire(desc, count)

    # What the interrupts ask of the host

    def _due(self, desc: IrqDesc) -> None:
        """Count what has come of an interrupt that is not the VMBus's."""
        self._host.settle_irq(desc.irq)

    def _waiting(self, desc: IrqDesc) -> None:
        """A move waits for the next interrupt."""
        self._host.expect_irq(desc.irq)

    def _gone(self, desc: IrqDesc) -> None:
        """An interrupt is freed: a device that raised it is gone."""
        self._host.forget_irq(desc.irq)
        self._irq_rates.pop(desc.irq, None)
        self.accounting.end_load(f"irq {desc.irq}")
