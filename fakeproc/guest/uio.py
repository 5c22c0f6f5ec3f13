"""Devices left to user space: `drivers/uio/uio.c`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.guest.base.device import Device, Kobject
from fakeproc.guest.base.ida import Ida

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.base.device import Class
    from fakeproc.timeline import Sleeper

__all__ = ["UIO_MAJOR", "Uio", "UioClassDevice", "UioMap", "UioMemory"]

UIO_MAJOR = 246  # the first that is free on a usual kernel (`alloc_chrdev_region`)


@dataclass(frozen=True, slots=True)
class UioMemory:
    """`struct uio_mem`: memory that a program may map; address and size in bytes."""

    name: str
    address: int
    size: int


class UioMap(Kobject):
    """`struct uio_map`: maps/map<n>."""

    def __init__(self, number: int, kset: Kobject, memory: UioMemory) -> None:
        super().__init__(f"map{number}", kset)
        self.memory = memory


class UioClassDevice(Device):
    """`struct uio_device`: uio<number>."""

    def __init__(self, number: int, parent: Device, class_: Class, name: str, version: str) -> None:
        super().__init__(f"uio{number}", parent, class_=class_)
        self.number = number
        self.info_name = name
        self.version = version
        self.maps = Kobject("maps", self)

    def type_variables(self) -> dict[str, str]:
        """`dev_uevent`, of a device with a number."""
        return {"MAJOR": str(UIO_MAJOR), "MINOR": str(self.number), "DEVNAME": self.name}


class Uio:
    """Numbers the devices and shows them."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._minors = Ida()
        self._class = devices.class_of("uio")

    def register(
        self, parent: Device, name: str, version: str, memories: Sequence[UioMemory]
    ) -> UioClassDevice:
        """`uio_register_device`: the lowest number that is free, and a map for each memory."""
        device = UioClassDevice(self._minors.alloc(), parent, self._class, name, version)
        self._devices.add(device)
        if memories:
            device.maps.link()
        for number, memory in enumerate(memories):
            UioMap(number, device.maps, memory).link()
        return device

    def unregister(self, device: UioClassDevice) -> Sleeper[None]:
        """`uio_unregister_device`."""
        yield from self._devices.remove(device)
        self._minors.free(device.number)
