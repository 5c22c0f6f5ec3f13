"""`net/vmw_vsock/hyperv_transport.c`: a device for each connection by socket.

The sockets themselves are not here.  A program of the guest is taken to listen
on every port; a connection that the guest makes has to be one it has asked for.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from fakeproc.guest.hv.drivers.simple import KIB, SimpleDriver, ring_size
from fakeproc.protocol.classes import port_of_service
from fakeproc.protocol.messages import TlConnectRequest

if TYPE_CHECKING:
    from uuid import UUID

    from fakeproc.guest.hv.channel import VmbusDevice
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.timeline import Sleeper

__all__ = ["HvSock"]


class HvSock(SimpleDriver):
    """Takes every connection, whatever its class GUID, which is the service."""

    since = TlConnectRequest.since  # hvs_init: ENODEV below VERSION_WIN10

    def __init__(self, ops: ChannelOps) -> None:
        super().__init__(ops, "hv_sock", (), ring_size(24 * KIB))
        self._connecting: set[UUID] = set()  # local endpoints of sockets in TCP_SYN_SENT

    def matches(self, device: VmbusDevice) -> bool:
        """By the flag of the offer alone: no id and no override counts."""
        return device.offer.is_hvsock

    def connect(self, service: UUID, endpoint: UUID) -> None:
        """`hvs_connect`: request a connection; raises what posting the message gives."""
        self._ops.connect_socket(service, endpoint)
        self._connecting.add(endpoint)

    def probe(self, device: VmbusDevice) -> Sleeper[None]:
        """`hvs_probe`, which never fails, also where `hvs_open_connection` opens nothing.

        It opens nothing for a service that no port stands for, and for a
        connection of the guest that no socket waits for.
        """
        offer = device.offer
        if port_of_service(offer.class_id) is None:
            return
        if not (offer.from_host or offer.instance_id in self._connecting):
            return
        self._connecting.discard(offer.instance_id)
        with contextlib.suppress(OSError):  # as the kernel: the socket is told, the probe is not
            yield from self._ops.open(device.primary, self.ring_size)

    def resume(self, device: VmbusDevice) -> Sleeper[None]:
        """`hvs_resume` does nothing: the host has taken every connection back."""
        del device
        yield from ()
