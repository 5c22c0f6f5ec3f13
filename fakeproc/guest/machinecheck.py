"""Machine checks, a device for each CPU that runs: `arch/x86/kernel/cpu/mce/core.c`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.base.device import Bus, Device
from fakeproc.guest.cpus import cpus_in

if TYPE_CHECKING:
    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.cpus import Cpus
    from fakeproc.timeline import Sleeper

__all__ = ["FLAGS", "SETTINGS", "Machinecheck", "MachinecheckDevice"]

# `mca_cfg` and `check_interval` (seconds; microseconds of monarch_timeout), when nothing is set.
SETTINGS = {
    "check_interval": 300,
    "cmci_disabled": 0,
    "dont_log_ce": 0,
    "ignore_ce": 0,
    "monarch_timeout": 0,
    "print_all": 0,
}
FLAGS = SETTINGS.keys() - {"check_interval", "monarch_timeout"}
INTEL_MONARCH_TIMEOUT = 1_000_000  # `apply_quirks_intel`


class MachinecheckDevice(Device):
    """`mce_device`: what a CPU does about machine checks; `settings` are those of all CPUs."""

    def __init__(self, cpu: int, bus: Bus[MachinecheckDevice], settings: dict[str, int]) -> None:
        super().__init__(f"machinecheck{cpu}", bus=bus)
        self.settings = settings


class Machinecheck:
    """`mce_subsys`: the devices come and go with their CPUs (`x86/mce:online`)."""

    def __init__(self, devices: Devices, cpus: Cpus) -> None:
        self._devices = devices
        self.bus: Bus[MachinecheckDevice] = Bus("machinecheck")
        self._settings = dict(SETTINGS)
        if cpus.profile.vendor == "GenuineIntel":
            self._settings["monarch_timeout"] = INTEL_MONARCH_TIMEOUT
        devices.subsystem(self.bus)
        for cpu in cpus_in(cpus.online):
            self.online(cpu)

    def online(self, cpu: int) -> None:
        """`mce_cpu_online`."""
        self._devices.add(MachinecheckDevice(cpu, self.bus, self._settings))

    def offline(self, cpu: int) -> Sleeper[None]:
        """`mce_cpu_pre_down`; nothing refuses."""
        yield from self._devices.remove(self.bus.devices[f"machinecheck{cpu}"])
