"""CPUs that come and go: `kernel/cpu.c`, `drivers/base/cpu.c`.

Each part of the kernel that cares names a state of its own (`setup_state`).
A CPU that comes runs the states' startups in the order in which they were
registered, a CPU that goes their teardowns in the opposite order; where one
refuses, those that have run are undone.
"""

from __future__ import annotations

from errno import EBUSY, EPERM
from typing import TYPE_CHECKING, NamedTuple

from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.log import KERN_ERR
from fakeproc.locking import Mutex
from fakeproc.timeline import MILLISECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.guest.architecture import Architecture
    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.base.cpu import CpuDevice
    from fakeproc.guest.base.device import Bus
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.log import KernelLog
    from fakeproc.timeline import Sleeper

__all__ = ["CPUHP_OFFLINE", "CPUHP_ONLINE", "Hotplug"]

CPUHP_OFFLINE = 0
LOCK_POLL = 5 * MILLISECOND  # lock_device_hotplug_sysfs() sleeps, and has the write begin anew
CPUHP_ONLINE = 236  # the last state, as x86 kernels 6.1 to 7.2 number them


class _State(NamedTuple):
    """`struct cpuhp_step`."""

    startup: Callable[[int], None] | None
    teardown: Callable[[int], Sleeper[None]] | None


class Hotplug:
    """Takes CPUs offline and back."""

    def __init__(
        self,
        cpus: Cpus,
        devices: Devices,
        bus: Bus[CpuDevice],
        architecture: Architecture,
        log: KernelLog,
        settle: Callable[[int], None],
        cpu_gone: Callable[[int], None],
        *,
        boot_cpu_has_target: bool,
        freezes_downwards: bool,
    ) -> None:
        self._frozen = 0  # `frozen_cpus`: gone while the guest hibernates
        self._freezes_downwards = freezes_downwards
        self._cpus = cpus
        self._devices = devices
        self._bus = bus
        self._architecture = architecture
        self._log = log
        self.may_boot: Callable[[int], bool] = lambda _cpu: True  # `cpu_bootable`
        # `device_hotplug_lock`, under which `cpu_add_remove_lock` is always taken: one CPU
        # comes or goes at a time, and a second write waits for the first.
        self._device_hotplug_lock = Mutex()
        self._settle = settle  # what has come to the CPU finds it as it was
        self._cpu_gone = cpu_gone  # the end of `__cpu_disable`
        self._starting: list[_State] = []  # up to CPUHP_AP_ONLINE: with interrupts off
        self._online: list[_State] = []
        # `dev->offline`: what cpuN/online shows.  A CPU that hotplug/target has
        # taken down still reads 1 there.
        self._device_offline = cpus.present & ~cpus.online
        self._target = {
            cpu: CPUHP_ONLINE if cpus.is_online(cpu) else CPUHP_OFFLINE
            for cpu in cpus_in(cpus.present)
        }
        if not boot_cpu_has_target:
            self._target[0] = CPUHP_OFFLINE

    def setup_state(
        self,
        name: str,
        startup: Callable[[int], None] | None = None,
        teardown: Callable[[int], Sleeper[None]] | None = None,
    ) -> None:
        """`cpuhp_setup_state_nocalls`.

        `teardown` may raise OSError, which keeps the CPU online, unless the
        state is one of those called `…:starting`.
        """
        states = self._starting if name.endswith(":starting") else self._online
        states.append(_State(startup, teardown))

    def present(self, cpu: int) -> None:
        """A CPU is plugged in: its device is offline, and nobody has asked for more."""
        self._device_offline |= 1 << cpu
        self._target[cpu] = CPUHP_OFFLINE

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

    def lock(self) -> Sleeper[Mutex]:
        """`lock_device_hotplug_sysfs`; the result releases it as a context manager."""
        while (held := self._device_hotplug_lock.try_acquire()) is None:
            yield LOCK_POLL
        return held

    def set_online(self, cpu: int, online: bool) -> Sleeper[None]:
        """`online_store`: the state that it has already is a success.

        Raises OSError EBUSY: see `_down`; EPERM: see `_up`.
        """
        with (yield from self.lock()):
            if self.device_online(cpu) != online:
                yield from self.move_device(cpu, online=online)

    def move_device(self, cpu: int, *, online: bool) -> Sleeper[None]:
        """Bring a CPU and its device up or down, whatever the device says (`cpu_device_up`).

        To be called with the lock held.  Raises OSError as `set_online`.
        """
        yield from self._move(cpu, online)
        if online:
            self._device_offline &= ~(1 << cpu)
        else:
            self._device_offline |= 1 << cpu
        self._devices.uevent(self._bus.devices[f"cpu{cpu}"], "online" if online else "offline")

    def set_target(self, cpu: int, target: int) -> Sleeper[None]:
        """`target_store`, once the number is known to be one of the two states.

        Raises OSError EBUSY: see `_down`; EPERM: see `_up`.
        """
        with (yield from self.lock()):
            yield from self._move(cpu, target == CPUHP_ONLINE)

    def _move(self, cpu: int, online: bool) -> Sleeper[None]:
        before = self._target[cpu]
        self._target[cpu] = CPUHP_ONLINE if online else CPUHP_OFFLINE
        try:
            with (yield from self._cpus.hotplug_lock.write()):
                yield from self._up(cpu) if online else self._down(cpu)
        except BaseException:
            self._target[cpu] = before
            raise

    def freeze_secondary_cpus(self) -> Sleeper[None]:
        """Take all CPUs but the first down, for a hibernation; their devices are not told.

        Raises OSError: see `_down`; those that have gone are back then.
        """
        self._log.say("Disabling non-boot CPUs ...")
        online = list(cpus_in(self._cpus.online))[1:]
        try:
            for cpu in reversed(online) if self._freezes_downwards else online:
                with (yield from self._cpus.hotplug_lock.write()):
                    yield from self._down(cpu)
                self._frozen |= 1 << cpu
        except OSError as error:
            self._log.say("Non-boot CPUs are not disabled", KERN_ERR)
            yield from self.thaw_secondary_cpus()
            raise error from None

    def thaw_secondary_cpus(self) -> Sleeper[None]:
        """Bring those up again that `freeze_secondary_cpus` has taken down."""
        self._log.say("Enabling non-boot CPUs ...")
        frozen, self._frozen = self._frozen, 0
        for cpu in cpus_in(frozen):
            with (yield from self._cpus.hotplug_lock.write()):
                yield from self._up(cpu)
            self._log.say(f"CPU{cpu} is up")

    def _down(self, cpu: int) -> Sleeper[None]:
        """`_cpu_down`.

        Raises OSError EBUSY for the last CPU and for the last one that does
        the scheduler's housekeeping, else what a state's teardown raises; the
        CPU is then as it was.
        """
        cpus = self._cpus
        if not cpus.is_online(cpu):
            return
        others = cpus.online & ~(1 << cpu)
        if not others:
            raise OSError(EBUSY, f"CPU {cpu} is the last one online")
        if not others & cpus.housekeeping_domain:
            raise OSError(EBUSY, f"CPU {cpu} is the last one that is not isolated")
        yield from self._tear_down(self._online, cpu)
        yield from self._tear_down(self._starting, cpu)
        self._settle(cpu)
        cpus.online = others
        self._cpu_gone(cpu)
        self._log.say(self._architecture.offline_line(cpu))

    def _tear_down(self, states: list[_State], cpu: int) -> Sleeper[None]:
        """`cpuhp_down_callbacks`, and `cpuhp_reset_state` where one refuses."""
        for place in reversed(range(len(states))):
            teardown = states[place].teardown
            try:
                if teardown is not None:
                    yield from teardown(cpu)
            except BaseException:
                self._start_up(states[place + 1 :], cpu)
                raise

    @staticmethod
    def _start_up(states: list[_State], cpu: int) -> None:
        """`cpuhp_up_callbacks`; nothing refuses."""
        for state in states:
            if state.startup is not None:
                state.startup(cpu)

    def _up(self, cpu: int) -> Sleeper[None]:
        """`cpu_up`; raises OSError EPERM for a second thread while those are off."""
        cpus = self._cpus
        if cpus.is_online(cpu):
            return
        if not self.may_boot(cpu):
            raise OSError(EPERM, f"CPU {cpu} is a second thread, and smt/control has those off")
        self._log.say(self._architecture.online_line(cpu, cpus.node_of(cpu)))
        self._settle(cpu)
        cpus.online |= 1 << cpu
        self._start_up(self._starting, cpu)
        self._start_up(self._online, cpu)
        yield from ()
