"""CPUs that come and go: `kernel/cpu.c`, `drivers/base/cpu.c`, `kernel/irq/cpuhotplug.c`."""

from __future__ import annotations

import contextlib
from errno import EBUSY
from typing import TYPE_CHECKING, Protocol

from fakeproc.guest.cpus import cpus_in

if TYPE_CHECKING:
    from fakeproc.guest.architecture import Architecture
    from fakeproc.guest.base.uevents import Uevents
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.offline import Offline
    from fakeproc.guest.irq.core import IrqCore, IrqDesc
    from fakeproc.guest.log import KernelLog
    from fakeproc.timeline import Sleeper, Timeline

__all__ = ["CPUHP_OFFLINE", "CPUHP_ONLINE", "Hotplug", "TimerPort"]

CPUHP_OFFLINE = 0
CPUHP_ONLINE = 236  # the last state, as x86 kernels 6.1 to 7.2 number them


class TimerPort(Protocol):
    """A CPU's synthetic timer, which the host runs."""

    def start_timer(self, vp: int) -> None:
        """Let the host's timer interrupt a virtual processor."""

    def stop_timer(self, vp: int) -> None:
        """Let it be quiet."""


class Hotplug:
    """Takes CPUs offline and back."""

    def __init__(
        self,
        timeline: Timeline,
        cpus: Cpus,
        irqs: IrqCore,
        architecture: Architecture,
        vmbus: Offline,
        timers: TimerPort,
        uevents: Uevents,
        log: KernelLog,
    ) -> None:
        self._timeline = timeline
        self._cpus = cpus
        self._irqs = irqs
        self._architecture = architecture
        self._vmbus = vmbus
        self._timers = timers
        self._uevents = uevents
        self._log = log
        # `dev->offline`: what cpuN/online shows.  A CPU that hotplug/target has
        # taken down still reads 1 there.
        self._device_offline = cpus.present & ~cpus.online
        self._target = {
            cpu: CPUHP_ONLINE if cpus.is_online(cpu) else CPUHP_OFFLINE
            for cpu in cpus_in(cpus.present)
        }

    # What sysfs shows

    def device_online(self, cpu: int) -> bool:
        """`online_show`."""
        return not self._device_offline >> cpu & 1

    def target(self, cpu: int) -> int:
        """The state that was asked for last."""
        return self._target[cpu]

    def state(self, cpu: int) -> int:
        """The state that the CPU is in."""
        return CPUHP_ONLINE if self._cpus.is_online(cpu) else CPUHP_OFFLINE

    # What sysfs asks for

    def set_online(self, cpu: int, online: bool) -> None:
        """`online_store`: the state that it has already is a success.

        Raises OSError EBUSY: see `_down`.
        """
        if self.device_online(cpu) == online:
            return
        self._move(cpu, online)
        if online:
            self._device_offline &= ~(1 << cpu)
        else:
            self._device_offline |= 1 << cpu
        self._uevent("online" if online else "offline", "cpu", f"cpu{cpu}")

    def set_target(self, cpu: int, target: int) -> None:
        """`target_store`, once the number is known to be one of the two states.

        Raises OSError EBUSY: see `_down`.
        """
        self._move(cpu, target == CPUHP_ONLINE)

    def _move(self, cpu: int, online: bool) -> None:
        before = self._target[cpu]
        self._target[cpu] = CPUHP_ONLINE if online else CPUHP_OFFLINE
        try:
            self._timeline.finish(self._up(cpu) if online else self._down(cpu))
        except OSError:
            self._target[cpu] = before
            raise

    def _down(self, cpu: int) -> Sleeper[None]:
        """`_cpu_down`.

        Raises OSError EBUSY for the last CPU, for the last one that does the
        scheduler's housekeeping, and where `Offline.cleanup` refuses; the CPU is
        then as it was.
        """
        cpus = self._cpus
        if not cpus.is_online(cpu):
            return
        others = cpus.online & ~(1 << cpu)
        if not others:
            raise OSError(EBUSY, f"CPU {cpu} is the last one online")
        if not others & cpus.housekeeping_domain:
            raise OSError(EBUSY, f"CPU {cpu} is the last one that is not isolated")
        self._machinecheck("remove", cpu)
        try:
            yield from self._vmbus.cleanup(cpu)
        except OSError:
            self._machinecheck("add", cpu)
            raise
        self._timers.stop_timer(cpu)
        cpus.online = others
        for desc in list(self._irqs.descs.values()):
            if desc.actions and desc.effective >> cpu & 1:
                self._migrate(desc)
            elif desc.pending is not None and not desc.pending & others:
                desc.pending = None  # irq_fixup_move_pending: the move has nowhere to go
        self._log.say(self._architecture.offline_line(cpu))

    def _up(self, cpu: int) -> Sleeper[None]:
        """`_cpu_up`; nothing refuses."""
        cpus = self._cpus
        if cpus.is_online(cpu):
            return
        self._log.say(self._architecture.online_line(cpu, cpus.node_of(cpu)))
        cpus.online |= 1 << cpu
        self._vmbus.init(cpu)
        self._timers.start_timer(cpu)
        for desc in self._irqs.descs.values():
            if desc.managed and desc.affinity >> cpu & 1:
                self._restore(desc)
        self._machinecheck("add", cpu)
        yield from ()

    def _migrate(self, desc: IrqDesc) -> None:
        """`migrate_one_irq`: within its affinity, or else to any CPU, and stay so."""
        online = self._cpus.online
        affinity = desc.affinity
        if desc.pending is not None:
            affinity = desc.pending if desc.pending & online else affinity
            desc.pending = None
        if not affinity & online:
            if desc.managed:
                desc.shut_down = True  # until a CPU of its mask returns
                return
            affinity = online
        with contextlib.suppress(OSError):  # IRQ%u: set affinity failed: it stays where it was
            self._irqs.program(desc, affinity)

    def _restore(self, desc: IrqDesc) -> None:
        """`irq_restore_affinity_of_irq`: only managed interrupts come back."""
        desc.shut_down = False
        self._irqs.program(desc, desc.affinity)

    def _machinecheck(self, action: str, cpu: int) -> None:
        if self._architecture.has_machinecheck:
            self._uevent(action, "machinecheck", f"machinecheck{cpu}")

    def _uevent(self, action: str, subsystem: str, name: str) -> None:
        more = {}
        if subsystem == "cpu":
            more = {"DRIVER": "processor", "MODALIAS": self._cpus.modalias}
        self._uevents.emit(action, f"/devices/system/{subsystem}/{name}", subsystem, **more)
