"""What drivers do with channels: open, close, request sub-channels (`drivers/hv/channel.c`)."""

from __future__ import annotations

import itertools
from errno import EAGAIN, EDQUOT, EINVAL, ENODEV
from typing import TYPE_CHECKING

from fakeproc.guest.hv.channel import Channel, ChannelState, VmbusDevice
from fakeproc.guest.hv.ring import Ring
from fakeproc.guest.log import KERN_ERR
from fakeproc.pages import PAGE_SIZE
from fakeproc.protocol.messages import (
    Adapter,
    AdapterQuery,
    BusRelations,
    BusRelationsQuery,
    CloseChannel,
    GpadlCreated,
    GpadlHeader,
    GpadlTeardown,
    GpadlTorndown,
    LunsQuery,
    OpenChannel,
    OpenChannelResult,
    SubchannelRequest,
    TlConnectRequest,
)
from fakeproc.series import Patch
from fakeproc.timeline import MILLISECOND, Completion, Sleeper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from fakeproc.guest.hv.channel_table import ChannelTable
    from fakeproc.guest.hv.connection import Connection
    from fakeproc.guest.irq.core import IrqCore, IrqDesc
    from fakeproc.guest.log import KernelLog
    from fakeproc.series import Series

__all__ = ["ChannelOps"]


class ChannelOps:
    """Opens and closes channels; `series` says whether their IRQs are requested, and freed."""

    def __init__(
        self,
        connections: Sequence[Connection],
        table: ChannelTable,
        irqs: IrqCore,
        log: KernelLog,
        series: Series,
    ) -> None:
        self._connections = connections
        self._table = table
        self._irqs = irqs
        self.log = log
        self._requests_irqs = Patch.REQUEST_IRQS in series.patches
        self._frees_irq_on_close = series.frees_on_close
        self._gpadl = itertools.count(0xE1E10)

    def open(self, channel: Channel, ring_size: int) -> Sleeper[None]:
        """`vmbus_open` with rings of `ring_size` bytes each way.

        Raises OSError: EINVAL when the channel is not in state OPEN, EBUSY
        when its IRQ is taken, ENODEV when the host has rescinded it, EDQUOT or
        EAGAIN when the host refuses the ring or the channel, or what posting a
        message gives.  The channel is then as it was.
        """
        self._check_rescinded(channel)
        if channel.state is not ChannelState.OPEN:
            raise OSError(EINVAL, f"channel {channel.relid} is in state {channel.state:d}")
        channel.state = ChannelState.OPENING
        channel.opening = Completion()
        try:
            channel.due(channel)  # the host may not have heard that it was closed
            channel.outbound, channel.inbound = Ring(ring_size), Ring(ring_size)
            yield from self._establish_gpadl(channel, ring_size)
            yield from self._open(channel)
        except BaseException:
            channel.state = ChannelState.OPEN
            channel.due(channel)
            channel.outbound = channel.inbound = None
            raise
        finally:
            channel.opening.complete(None)

    def _establish_gpadl(self, channel: Channel, ring_size: int) -> Sleeper[None]:
        """`vmbus_establish_gpadl`."""
        relid, channel.gpadl = channel.relid, next(self._gpadl)
        with channel.connection.awaiting(GpadlCreated, relid, relid) as created:
            channel.connection.post(GpadlHeader(relid, channel.gpadl, 2 * ring_size // PAGE_SIZE))
            answer = yield created
        if isinstance(answer, GpadlCreated) and answer.status:
            self.log.say(f"hv_vmbus: Failed to establish GPADL: err = {answer.status:#x}", KERN_ERR)
            raise OSError(EDQUOT, f"the host did not map the ring of channel {relid}")
        self._check_rescinded(channel)

    def _open(self, channel: Channel) -> Sleeper[None]:
        """The rest of `__vmbus_open`: the IRQ, then the host's consent."""
        relid = channel.relid
        if self._requests_irqs:
            desc = self._request_irq(channel)
            self._irqs.set_affinity_and_hint(desc, 1 << channel.target_cpu)
        try:
            with channel.connection.awaiting(OpenChannelResult, relid, relid) as opened:
                channel.connection.post(OpenChannel(relid, channel.gpadl, channel.target_cpu))
                answer = yield opened
            if isinstance(answer, OpenChannelResult) and answer.status:
                raise OSError(EAGAIN, f"the host did not open channel {relid}")
            self._check_rescinded(channel)
        except BaseException:
            # A rescind may have unmapped the channel's IRQ meanwhile.
            self._table.free_irq(channel)
            raise
        channel.state = ChannelState.OPENED

    @staticmethod
    def _check_rescinded(channel: Channel) -> None:
        if channel.rescinded:
            raise OSError(ENODEV, f"the host has rescinded channel {channel.relid}")

    def _request_irq(self, channel: Channel) -> IrqDesc:
        """Patch 9; raises OSError EINVAL where the relid could not be mapped to an IRQ."""
        desc = channel.desc
        try:
            if desc is None:
                raise OSError(EINVAL, f"channel {channel.relid} has no IRQ")
            self._irqs.request(desc, channel.irq_name, channel)
        except OSError as error:
            self.log.say(
                f"hv_vmbus: request_irq failed with -{error.errno} for relid {channel.relid}"
                f" irq {desc.irq if desc else 0}",
                KERN_ERR,
            )
            raise
        channel.irq_requested = True
        return desc

    def close(self, channel: Channel) -> Sleeper[None]:
        """`vmbus_close`: the mapping of the relid stays, the IRQ is freed where that is meant.

        It waits for an open that is under way.  Never fails; errors are logged.
        """
        if channel.opening is not None:
            yield channel.opening
        if channel.state is not ChannelState.OPENED:
            return
        channel.state = ChannelState.OPEN
        try:
            channel.connection.post(CloseChannel(channel.relid))
        except OSError as error:
            self._close_failed("close post msg", error)
        else:
            yield from self._teardown_gpadl(channel)
        channel.due(channel)  # the host may not have heard of it
        channel.outbound = channel.inbound = None
        if self._frees_irq_on_close:
            self._table.free_irq(channel)

    def _teardown_gpadl(self, channel: Channel) -> Sleeper[None]:
        """`vmbus_teardown_gpadl`: the host has forgotten the ring of a rescinded channel."""
        if channel.rescinded:
            return
        with channel.connection.awaiting(GpadlTorndown, channel.gpadl, channel.relid) as torn_down:
            try:
                channel.connection.post(GpadlTeardown(channel.relid, channel.gpadl))
            except OSError as error:
                self._close_failed("teardown gpadl", error)
                return
            yield torn_down

    def _close_failed(self, what: str, error: OSError) -> None:
        errno = -(error.errno or 0)
        self.log.say(f"hv_vmbus: Close failed: {what} return is {errno}", KERN_ERR)

    def disconnect(self, device: VmbusDevice) -> Sleeper[None]:
        """`vmbus_disconnect_ring`: close the sub-channels, then the primary channel.

        A sub-channel that was rescinded before goes at once; the others go as
        soon as the host, which sees the primary closed, rescinds them.
        """
        for channel in device.channels[1:]:
            yield from self.close(channel)
            if channel.rescinded and channel in device.channels:
                self._table.remove(channel)
        yield from self.close(device.primary)

    @staticmethod
    def subchannels_gone(device: VmbusDevice) -> Sleeper[None]:
        """Give the host a moment to rescind the sub-channels of a closed device."""
        for _ in range(10):
            if len(device.channels) == 1:
                return
            yield MILLISECOND

    def request_subchannels(self, device: VmbusDevice, count: int) -> None:
        """Request `count` sub-channels in the device's own protocol, or as many as it has."""
        count = min(count, device.offer.subchannels_available)
        if count > 0:
            connection = device.primary.connection
            connection.host.send_packet(
                SubchannelRequest(device.primary.relid, count), connection.number
            )

    def connect_socket(self, service: UUID, endpoint: UUID) -> None:
        """`vmbus_send_tl_connect_request`; raises what posting a message gives."""
        self._connections[0].post(TlConnectRequest(service, endpoint))

    @staticmethod
    def query(channel: Channel) -> BusRelations:
        """Ask a device about its PCI bus, in the ring of its channel."""
        connection = channel.connection
        return connection.host.query(BusRelationsQuery(channel.relid), connection.number)

    @staticmethod
    def query_luns(channel: Channel) -> tuple[int, ...]:
        """Ask a storage controller for its disks: the size of each in bytes."""
        connection = channel.connection
        return connection.host.query_luns(LunsQuery(channel.relid), connection.number)

    @staticmethod
    def query_adapter(channel: Channel) -> Adapter:
        """Ask a network adapter who it is; OSError ENODEV where the host has taken it back."""
        connection = channel.connection
        answer = connection.host.query_adapter(AdapterQuery(channel.relid), connection.number)
        if answer is None:
            raise OSError(ENODEV, f"the host has no adapter at relid {channel.relid}")
        return answer
