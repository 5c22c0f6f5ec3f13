"""`net/vmw_vsock/hyperv_transport.c`: a device for each connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.hv.drivers.simple import KIB, SimpleDriver, ring_size

if TYPE_CHECKING:
    from fakeproc.guest.hv.channel import VmbusDevice
    from fakeproc.guest.hv.channel_ops import ChannelOps

__all__ = ["HvSock"]


class HvSock(SimpleDriver):
    """Takes every connection, whatever its class GUID, which is its port."""

    def __init__(self, ops: ChannelOps) -> None:
        super().__init__(ops, "hv_sock", (), ring_size(24 * KIB))

    def matches(self, device: VmbusDevice) -> bool:
        """By the flag of the offer alone: no id and no override counts."""
        return device.offer.is_hvsock
