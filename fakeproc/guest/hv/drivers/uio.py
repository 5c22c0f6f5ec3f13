"""`drivers/uio/uio_hv_generic.c`: leaves a device to user space."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.guest.hv.device_types import DeviceType
from fakeproc.guest.hv.drivers.simple import KIB, SimpleDriver, ring_size
from fakeproc.guest.uio import UioMemory
from fakeproc.pages import PAGE_SIZE

if TYPE_CHECKING:
    from fakeproc.guest.hv.channel import VmbusDevice
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.guest.uio import Uio, UioClassDevice
    from fakeproc.timeline import Sleeper

__all__ = ["DEVICE_TYPES", "UioDevice", "UioHvGeneric"]

DEVICE_TYPES = (DeviceType(0xD, "fcopy", "fcopy"),)  # hv_utils takes it on older kernels


DRIVER_VERSION = "0.02.1"
RECV_BUFFER_SIZE = 31 << 20  # bytes: a network adapter's, which user space cannot make itself
SEND_BUFFER_SIZE = 16 << 20
# Where the memory lies: an address is of no use but to be shown.
FIRST_ADDRESS = 0xFFFF_8880_4000_0000


@dataclass(frozen=True, slots=True)
class UioDevice:
    """What the driver keeps of a device, whose rings user space may map."""

    shown: UioClassDevice


class UioHvGeneric(SimpleDriver):
    """Opens no channel: opening /dev/uio<n> does, and no such file is here."""

    suspends = False

    def __init__(self, ops: ChannelOps, uio: Uio, *, fcopy: bool) -> None:
        """`fcopy` says whether it takes the file copy service by itself."""
        super().__init__(ops, "uio_hv_generic", ("fcopy",) if fcopy else (), 512 * PAGE_SIZE)
        self._uio = uio
        self._gpadl = itertools.count(0xE2E10)  # of a buffer
        self._next_address = FIRST_ADDRESS

    def ring_size_of(self, device: VmbusDevice) -> int:
        """`hv_dev_ring_size`: what the class prefers, which only the file copy service does."""
        return ring_size(16 * KIB) if device.type.name == "fcopy" else self.ring_size

    def probe(self, device: VmbusDevice) -> Sleeper[None]:
        """`hv_uio_probe`: show the rings to user space, and a network adapter's buffers."""
        memories = [
            self._memory("txrx_rings", 2 * self.ring_size_of(device)),
            self._memory("int_page", PAGE_SIZE),
            self._memory("monitor_page", PAGE_SIZE),
        ]
        if device.type.name == "netvsc":
            memories.append(self._memory(f"recv:{next(self._gpadl)}", RECV_BUFFER_SIZE))
            memories.append(self._memory(f"send:{next(self._gpadl)}", SEND_BUFFER_SIZE))
        shown = self._uio.register(device, self.name, DRIVER_VERSION, memories)
        device.drvdata = UioDevice(shown)
        yield from ()

    def _memory(self, name: str, size: int) -> UioMemory:
        address, self._next_address = self._next_address, self._next_address + size
        return UioMemory(name, address, size)

    def remove(self, device: VmbusDevice) -> Sleeper[None]:
        """`hv_uio_remove`: hide them again."""
        if isinstance(device.drvdata, UioDevice):
            yield from self._uio.unregister(device.drvdata.shown)
        device.drvdata = None
