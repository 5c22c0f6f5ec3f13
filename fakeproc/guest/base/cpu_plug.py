"""CPUs that are plugged in and out while the machine runs: `drivers/acpi/acpi_processor.c`.

The firmware tells of a processor, and the kernel makes it present; it stays
offline until somebody (udev's rules) writes into its `online`.
"""

from __future__ import annotations

from errno import EBUSY
from typing import TYPE_CHECKING

from fakeproc.guest.base.cpu import CpuDevice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.base.cpu_hotplug import Hotplug
    from fakeproc.guest.base.device import Bus
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.log import KernelLog
    from fakeproc.timeline import Sleeper

__all__ = ["CpuPlug"]


class CpuPlug:
    """Makes possible CPUs present, and the other way round."""

    def __init__(
        self, cpus: Cpus, devices: Devices, bus: Bus[CpuDevice], hotplug: Hotplug, log: KernelLog
    ) -> None:
        self._cpus = cpus
        self._devices = devices
        self._bus = bus
        self._hotplug = hotplug
        self._log = log

    def add(self, cpus: Sequence[int]) -> Sleeper[None]:
        """`acpi_processor_add`, of each; OSError EBUSY, and none of them, where one is there."""
        with (yield from self._hotplug.lock()):
            for cpu in cpus:
                if self._cpus.present >> cpu & 1:
                    raise OSError(EBUSY, f"CPU {cpu} is present already")
            for cpu in dict.fromkeys(cpus):
                self._cpus.present |= 1 << cpu
                self._hotplug.present(cpu)
                self._log.say(f"CPU{cpu} has been hot-added")
                yield from self._devices.register(CpuDevice(cpu, self._bus, self._cpus.modalias))

    def remove(self, cpus: Sequence[int]) -> Sleeper[None]:
        """`acpi_processor_remove`, on the firmware's request to eject them, one after the other.

        Raises OSError EBUSY, and removes none, where one is not there or has booted the guest.
        What keeps one online (see `Hotplug.set_online`) is raised when it is its turn.
        """
        with (yield from self._hotplug.lock()):
            for cpu in cpus:
                if not self._cpus.present >> cpu & 1:
                    raise OSError(EBUSY, f"CPU {cpu} is not present")
                if cpu == 0:
                    raise OSError(EBUSY, "CPU 0 has booted the guest, and stays")
            for cpu in dict.fromkeys(cpus):
                if self._cpus.is_online(cpu):
                    yield from self._hotplug.move_device(cpu, online=False)
                yield from self._devices.remove(self._bus.devices[f"cpu{cpu}"])
                self._cpus.present &= ~(1 << cpu)
