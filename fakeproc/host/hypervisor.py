"""The emulated Hyper-V: what it offers, and which processor it interrupts.

The host answers the guest's control messages, each after a latency of its
own, and keeps its own idea of where a channel's interrupts go.  Between a
guest's ModifyChannel and the moment the host acts on it the two differ, and
interrupts still land on the old processor: that is the race the series is
about, and it happens here because the message takes its time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fakeproc.messages import (
    AllOffersDelivered,
    CloseChannel,
    GpadlCreated,
    GpadlHeader,
    GpadlTeardown,
    GpadlTorndown,
    GuestMessage,
    GuestPort,
    HostMessage,
    HvStatus,
    InitiateContact,
    ModifyChannel,
    ModifyChannelResponse,
    Monitor,
    OfferChannel,
    OpenChannel,
    OpenChannelResult,
    RelidReleased,
    RequestOffers,
    RescindChannelOffer,
    SubchannelRequest,
    VersionResponse,
)
from fakeproc.timeline import MICROSECOND, Timeline

if TYPE_CHECKING:
    from uuid import UUID

    from fakeproc.profiles.schema import Device, Subchannel, VMBus

__all__ = ["Host", "HostChannel", "HostDevice", "Latency"]

MESSAGE_VP = 0  # VMBUS_CONNECT_CPU: every control message goes there
ACKNOWLEDGING = (5, 3)  # the first protocol that answers ModifyChannel


@dataclass(slots=True)
class Latency:
    """How long the host takes, in nanoseconds."""

    message: int = 50 * MICROSECOND  # to answer anything but
    ack: int = 300 * MICROSECOND  # a ModifyChannel: to act on it and to say so


@dataclass(slots=True, eq=False)
class HostChannel:
    """The host's end of a channel."""

    relid: int
    device: HostDevice
    index: int
    monitor: Monitor | None = None
    open: bool = False
    target_vp: int = 0


@dataclass(slots=True, eq=False)
class HostDevice:
    """A device as the host has it: a primary channel, and more when asked."""

    class_id: UUID
    instance: UUID
    subchannel_delay: int
    channels: list[HostChannel] = field(default_factory=list)


class Host:
    """One partition's side of the hypervisor (`HostPort`)."""

    def __init__(self, timeline: Timeline, vmbus: VMBus) -> None:
        self.latency = Latency()
        self._timeline = timeline
        self._version = vmbus.version
        self._guest: GuestPort | None = None
        self.channels: dict[int, HostChannel] = {}  # offered, and not released since
        self.devices = [self._device(device) for device in vmbus.devices]

    def connect(self, guest: GuestPort) -> None:
        """Know the guest that interrupts go to."""
        self._guest = guest

    def _device(self, wanted: Device) -> HostDevice:
        device = HostDevice(
            wanted.class_id, wanted.instance, wanted.subchannel_delay_us * MICROSECOND
        )
        device.channels = [
            self._channel(device, index, channel) for index, channel in enumerate(wanted.channels)
        ]
        return device

    def _channel(self, device: HostDevice, index: int, wanted: Device | Subchannel) -> HostChannel:
        slot = wanted.monitor
        monitor = Monitor(slot.id, slot.connection_id, slot.latency) if slot else None
        return HostChannel(wanted.relid, device, index, monitor)

    # What the guest asks for

    def post_message(self, message: GuestMessage) -> HvStatus:
        """HvPostMessage: take a control message; the answer comes as an interrupt."""
        match message:
            case InitiateContact(version):
                self._answer(VersionResponse(version <= self._version))
            case RequestOffers():
                for device in self.devices:
                    self._answer(self._offer(device.channels[0]))
                self._answer(AllOffersDelivered())
            case GpadlHeader(relid, gpadl):
                self._answer(GpadlCreated(relid, gpadl))
            case GpadlTeardown(_, gpadl):
                self._answer(GpadlTorndown(gpadl))
            case OpenChannel(relid, _, target_vp):
                channel = self.channels[relid]
                channel.open, channel.target_vp = True, target_vp
                self._answer(OpenChannelResult(relid))
            case CloseChannel(relid):
                self._close(self.channels[relid])
            case ModifyChannel(relid, target_vp):
                self._timeline.after(self.latency.ack, lambda: self._retarget(relid, target_vp))
            case RelidReleased(relid):
                self.channels.pop(relid, None)
        return HvStatus.SUCCESS

    def send_packet(self, packet: SubchannelRequest) -> None:
        """Read a packet from the ring of an open channel."""
        device = self.channels[packet.relid].device
        for channel in device.channels[1 : 1 + packet.count]:
            self._answer(self._offer(channel), device.subchannel_delay)

    def _close(self, channel: HostChannel) -> None:
        """Close a channel; without its primary a sub-channel has no use, and goes."""
        channel.open = False
        if channel.index == 0:
            for other in channel.device.channels[1:]:
                if other.relid in self.channels:
                    self._answer(RescindChannelOffer(other.relid))

    def _retarget(self, relid: int, target_vp: int) -> None:
        channel = self.channels.get(relid)
        if channel is not None:
            channel.target_vp = target_vp
        if self._version >= ACKNOWLEDGING:
            self._interrupt(MESSAGE_VP, {}, ModifyChannelResponse(relid))

    def _offer(self, channel: HostChannel) -> OfferChannel:
        device = channel.device
        self.channels[channel.relid] = channel
        return OfferChannel(
            channel.relid,
            device.class_id,
            device.instance,
            channel.index,
            channel.monitor,
            len(device.channels) - 1,
        )

    def _answer(self, message: HostMessage, delay: int = 0) -> None:
        self._timeline.after(
            self.latency.message + delay, lambda: self._interrupt(MESSAGE_VP, {}, message)
        )

    # What the host does to the guest

    def signal(self, relid: int, count: int = 1) -> None:
        """Set a channel's event flag `count` times and interrupt its processor."""
        self._interrupt(self.channels[relid].target_vp, {relid: count})

    def _interrupt(
        self, vp: int, relids: dict[int, int], message: HostMessage | None = None
    ) -> None:
        if self._guest is None:
            raise RuntimeError("the host has no guest to interrupt")
        self._guest.interrupt(vp, relids, message)
