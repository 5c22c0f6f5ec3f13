"""Drivers that open one channel and need nothing more: the services, input and display."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.hv.channel import Channel, Driver, VmbusDevice
from fakeproc.pages import PAGE_SIZE
from fakeproc.timeline import MILLISECOND

if TYPE_CHECKING:
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.timeline import Sleeper

__all__ = ["KIB", "NEGOTIATION", "SimpleDriver", "ring_size"]

KIB = 1024
NEGOTIATION = 5 * MILLISECOND  # a driver and its device agree on what they can do


def ring_size(payload: int) -> int:
    """`VMBUS_RING_SIZE`: a header page and `payload` bytes, in whole pages."""
    return -(-(PAGE_SIZE + payload) // PAGE_SIZE) * PAGE_SIZE


class SimpleDriver(Driver):
    """A driver that opens the primary channel; `ring_bytes` each direction, header included."""

    def __init__(
        self, ops: ChannelOps, name: str, classes: tuple[str, ...], ring_bytes: int
    ) -> None:
        super().__init__(name, classes, ring_bytes)
        self._ops = ops

    def probe(self, device: VmbusDevice) -> Sleeper[None]:
        """Open the primary channel.  Raises OSError when that fails."""
        yield from self._ops.open(device.primary, self.ring_size)

    def subchannel_offered(self, channel: Channel) -> Sleeper[None]:
        """Do nothing: the driver never requested one."""
        del channel
        yield from ()

    def remove(self, device: VmbusDevice) -> Sleeper[None]:
        """Close every channel, the primary last."""
        yield from self._ops.disconnect(device)

    def suspend(self, device: VmbusDevice) -> Sleeper[None]:
        """Close every channel, and forget nothing else."""
        yield from self._ops.disconnect(device)

    def resume(self, device: VmbusDevice) -> Sleeper[None]:
        """Open the channels again; raises OSError."""
        yield from self._ops.open(device.primary, self.ring_size)
