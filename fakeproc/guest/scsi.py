"""SCSI hosts and their disks: `drivers/scsi/hosts.c`, `scsi_scan.c`, `scsi_sysfs.c`, `sd.c`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.base.device import Bus, Device, DeviceDriver
from fakeproc.guest.base.ida import Ida

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.block import Block
    from fakeproc.timeline import Sleeper

__all__ = [
    "Scsi",
    "ScsiDevice",
    "ScsiDeviceClassDevice",
    "ScsiDiskClassDevice",
    "ScsiHost",
    "ScsiHostClassDevice",
    "ScsiTarget",
]


class ScsiHost(Device):
    """`shost->shost_gendev`: host<number>, on the bus of SCSI devices."""

    type_name = "scsi_host"

    def __init__(self, number: int, parent: Device, bus: Bus[Device]) -> None:
        super().__init__(f"host{number}", parent, bus=bus)
        self.number = number


class ScsiHostClassDevice(Device):
    """`shost->shost_dev`: the same host in the class scsi_host."""


class ScsiTarget(Device):
    """`struct scsi_target`: target<host>:<channel>:<id>, which all its units are below."""

    type_name = "scsi_target"

    def __init__(self, host: ScsiHost, bus: Bus[Device]) -> None:
        super().__init__(f"target{host.number}:0:0", host, bus=bus)


class ScsiDevice(Device):
    """`sdev->sdev_gendev`: a logical unit, here always a disk of `size` bytes."""

    type_name = "scsi_device"

    def __init__(self, target: ScsiTarget, lun: int, size: int, bus: Bus[Device]) -> None:
        super().__init__(f"{target.name.removeprefix('target')}:{lun}", target, bus=bus)
        self.size = size

    @property
    def modalias(self) -> str:
        """`scsi_bus_uevent`: of the type TYPE_DISK."""
        return "scsi:t-0x00"


class ScsiDeviceClassDevice(Device):
    """`sdev->sdev_dev`: the same unit in the class scsi_device."""


class ScsiDiskClassDevice(Device):
    """`sdkp->disk_dev`: what the driver sd keeps of a unit, in the class scsi_disk."""


class _ScsiBus(Bus[Device]):
    """`scsi_bus_type`, with the one driver that is there: sd."""

    def __init__(self, devices: Devices, block: Block) -> None:
        super().__init__("scsi")
        self._devices = devices
        self._block = block
        self._class = devices.class_of("scsi_disk")
        self.drivers["sd"] = DeviceDriver("sd", self)

    def match(self, device: Device, driver: DeviceDriver) -> bool:
        """`scsi_bus_match`: drivers are for logical units, never for a host or a target."""
        del driver
        return isinstance(device, ScsiDevice)

    def probe(self, driver: DeviceDriver, device: Device) -> Sleeper[None]:
        """`sd_probe`: the unit becomes a disk."""
        yield from super().probe(driver, device)
        assert isinstance(device, ScsiDevice)  # noqa: S101 - or it had not matched
        kept = ScsiDiskClassDevice(device.name, device, class_=self._class)
        self._devices.add(kept)
        device.drvdata = kept, self._block.add_disk(device, device.size)

    def remove(self, driver: DeviceDriver, device: Device) -> Sleeper[None]:
        """`sd_remove`."""
        yield from super().remove(driver, device)
        assert isinstance(device.drvdata, tuple)  # noqa: S101 - by `probe`
        kept, disk = device.drvdata
        yield from self._block.del_gendisk(disk)
        yield from self._devices.remove(kept)


class Scsi:
    """Numbers the hosts and shows them."""

    def __init__(self, devices: Devices, block: Block) -> None:
        self._devices = devices
        self._numbers = Ida()  # host_index_ida
        self._class = devices.class_of("scsi_host")
        self._unit_class = devices.class_of("scsi_device")
        self.bus = _ScsiBus(devices, block)
        devices.add_bus(self.bus)

    def alloc(self, parent: Device) -> ScsiHost:
        """`scsi_host_alloc`: a host below `parent`, with the lowest number that is free."""
        return ScsiHost(self._numbers.alloc(), parent, self.bus)

    def add(self, host: ScsiHost) -> None:
        """`scsi_add_host`: the host can be seen."""
        self._devices.add(host)
        self._devices.add(ScsiHostClassDevice(host.name, host, class_=self._class))

    def scan(self, host: ScsiHost, sizes: Sequence[int]) -> Sleeper[None]:
        """`scsi_scan_host`: the units that the host has, by their sizes in bytes, from 0 on."""
        if not sizes:
            return
        target = ScsiTarget(host, self.bus)
        self._devices.add(target)
        for lun, size in enumerate(sizes):
            unit = ScsiDevice(target, lun, size, self.bus)
            self._devices.add(unit)
            if self.bus.autoprobe:
                yield from self._devices.driver_core.attach(unit)
            self._devices.add(ScsiDeviceClassDevice(unit.name, unit, class_=self._unit_class))

    def remove(self, host: ScsiHost) -> Sleeper[None]:
        """`scsi_remove_host`, the units below it first; nothing where it was never added."""
        seen = self._class.devices.get(host.name)
        if seen is None or seen.parent is not host:
            return
        for unit in [each for each in self.bus.devices.values() if _is_below(each, host)]:
            yield from self._devices.remove(self._unit_class.devices[unit.name])
            yield from self._devices.remove(unit)
        for target in [each for each in self.bus.devices.values() if each.parent is host]:
            yield from self._devices.remove(target)
        yield from self._devices.remove(seen)
        yield from self._devices.remove(host)

    def put(self, host: ScsiHost) -> None:
        """`scsi_host_put`: free the number."""
        self._numbers.free(host.number)


def _is_below(device: Device, host: ScsiHost) -> bool:
    return isinstance(device, ScsiDevice) and getattr(device.parent, "parent", None) is host
