"""Disks: `block/genhd.c`, and how `drivers/scsi/sd.c` names and numbers its own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from fakeproc.guest.base.device import Device
from fakeproc.guest.base.ida import Ida

if TYPE_CHECKING:
    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.base.device import Class
    from fakeproc.timeline import Sleeper

__all__ = ["SECTOR", "Block", "Gendisk"]

SECTOR = 512  # bytes, in which a disk says how large it is

# include/uapi/linux/major.h: SCSI_DISK0_MAJOR, SCSI_DISK1_MAJOR, SCSI_DISK8_MAJOR.
_MAJORS = (8, *range(65, 72), *range(128, 136))
_MINORS = 16  # of each disk: itself and its partitions
_LETTERS = 26


class Gendisk(Device):
    """`struct gendisk`, whose `part0` is the device; `size` in bytes."""

    type_name = "disk"

    def __init__(self, index: int, size: int, sequence: int, parent: Device, class_: Class) -> None:
        super().__init__(_name(index), parent, class_=class_)
        self.index = index
        self.size = size
        self.sequence = sequence  # diskseq: no other disk has had it

    @property
    def devt(self) -> tuple[int, int]:
        """Its numbers, major and minor (`sd_major`)."""
        return _MAJORS[self.index // 16 % 16], self.index % 16 * _MINORS | self.index & 0xFFF00

    def uevent_variables(self) -> dict[str, str]:
        """`dev_uevent` of a device with numbers, and `block_uevent`."""
        major, minor = self.devt
        numbers = {"MAJOR": str(major), "MINOR": str(minor), "DEVNAME": self.name}
        return numbers | super().uevent_variables() | {"DISKSEQ": str(self.sequence)}


def _name(index: int) -> str:
    """`sd_format_disk_name`: sda to sdz, then sdaa."""
    name = ""
    while index >= 0:
        name = chr(ord("a") + index % _LETTERS) + name
        index = index // _LETTERS - 1
    return f"sd{name}"


class Block:
    """Numbers the disks and shows them."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._indexes = Ida()  # sd_index_ida
        self._sequences = itertools.count(1)
        self._class = devices.class_of("block")

    def add_disk(self, parent: Device, size: int) -> Gendisk:
        """`device_add_disk`: the disk has the lowest name that is free."""
        index, sequence = self._indexes.alloc(), next(self._sequences)
        disk = Gendisk(index, size, sequence, parent, self._class)
        self._devices.add(disk)
        return disk

    def del_gendisk(self, disk: Gendisk) -> Sleeper[None]:
        """`del_gendisk`, after which another can have the name."""
        yield from self._devices.remove(disk)
        self._indexes.free(disk.index)
