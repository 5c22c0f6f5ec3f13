"""SCSI hosts: `drivers/scsi/hosts.c`, `scsi_sysfs.c`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.base.device import Bus, Device
from fakeproc.guest.base.ida import Ida

if TYPE_CHECKING:
    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.base.device import DeviceDriver
    from fakeproc.timeline import Sleeper

__all__ = ["Scsi", "ScsiHost", "ScsiHostClassDevice"]


class ScsiHost(Device):
    """`shost->shost_gendev`: host<number>, on the bus of SCSI devices."""

    type_name = "scsi_host"

    def __init__(self, number: int, parent: Device, bus: Bus[Device]) -> None:
        super().__init__(f"host{number}", parent, bus=bus)
        self.number = number


class ScsiHostClassDevice(Device):
    """`shost->shost_dev`: the same host in the class scsi_host."""


class _ScsiBus(Bus[Device]):
    """`scsi_bus_type`."""

    def match(self, device: Device, driver: DeviceDriver) -> bool:
        """`scsi_bus_match`: drivers are for the devices below a host, never for a host."""
        del driver
        return not isinstance(device, ScsiHost)


class Scsi:
    """Numbers the hosts and shows them."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._numbers = Ida()  # host_index_ida
        self._class = devices.class_of("scsi_host")
        self.bus = _ScsiBus("scsi")
        devices.add_bus(self.bus)

    def alloc(self, parent: Device) -> ScsiHost:
        """`scsi_host_alloc`: a host below `parent`, with the lowest number that is free."""
        return ScsiHost(self._numbers.alloc(), parent, self.bus)

    def add(self, host: ScsiHost) -> None:
        """`scsi_add_host`: the host can be seen."""
        self._devices.add(host)
        self._devices.add(ScsiHostClassDevice(host.name, host, class_=self._class))

    def remove(self, host: ScsiHost) -> Sleeper[None]:
        """`scsi_remove_host`; nothing where it was never added."""
        seen = self._class.devices.get(host.name)
        if seen is not None and seen.parent is host:
            yield from self._devices.remove(seen)
            yield from self._devices.remove(host)

    def put(self, host: ScsiHost) -> None:
        """`scsi_host_put`: free the number."""
        self._numbers.free(host.number)
