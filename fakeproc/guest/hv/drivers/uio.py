"""`drivers/uio/uio_hv_generic.c`: leaves a device to user space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.guest.hv.device_types import DeviceType
from fakeproc.guest.hv.drivers.simple import KIB, SimpleDriver, ring_size
from fakeproc.guest.hv.ring import PAGE_SIZE

if TYPE_CHECKING:
    from fakeproc.guest.hv.channel import VmbusDevice
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.timeline import Sleeper

__all__ = ["DEVICE_TYPES", "UioDevice", "UioHvGeneric"]

DEVICE_TYPES = (DeviceType(0xD, "fcopy", "fcopy"),)  # hv_utils takes it on older kernels


@dataclass(frozen=True, slots=True)
class UioDevice:
    """What the driver keeps of a device, whose rings user space may map."""


class UioHvGeneric(SimpleDriver):
    """Opens no channel: opening /dev/uio<n> does, and no such file is here."""

    suspends = False

    def __init__(self, ops: ChannelOps, *, fcopy: bool) -> None:
        """`fcopy` says whether it takes the file copy service by itself."""
        super().__init__(ops, "uio_hv_generic", ("fcopy",) if fcopy else (), 512 * PAGE_SIZE)

    def ring_size_of(self, device: VmbusDevice) -> int:
        """`hv_dev_ring_size`: what the class prefers, which only the file copy service does."""
        return ring_size(16 * KIB) if device.type.name == "fcopy" else self.ring_size

    def probe(self, device: VmbusDevice) -> Sleeper[None]:
        """Show the rings to user space."""
        device.drvdata = UioDevice()
        yield from ()

    def remove(self, device: VmbusDevice) -> Sleeper[None]:
        """Hide them again."""
        device.drvdata = None
        yield from ()
