"""The emulated Hyper-V: what it offers, and which processor it interrupts.

The host answers the guest's control messages, each after a latency of its
own, and keeps its own idea of where a channel's interrupts go.  Between a
guest's ModifyChannel and the moment the host acts on it the two differ, and
interrupts still land on the old processor: that is the race the series is
about, and it happens here because the message takes its time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fakeproc.host.adapters import give_addresses
from fakeproc.host.connections import HostConnection
from fakeproc.host.devices import (
    HostChannel,
    HostChannelState,
    HostDevice,
    Relids,
    device_of_profile,
    socket_device,
)
from fakeproc.host.faults import Fault, Faults
from fakeproc.host.plan import TrafficPlan
from fakeproc.host.sources import Sources
from fakeproc.protocol.messages import (
    CONFIDENTIAL_SINCE,
    Adapter,
    AdapterQuery,
    AllOffersDelivered,
    BusRelations,
    BusRelationsQuery,
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
    LunsQuery,
    ModifyChannel,
    ModifyChannelResponse,
    OpenChannel,
    OpenChannelResult,
    ProtocolVersion,
    RelidReleased,
    RequestOffers,
    RescindChannelOffer,
    SubchannelRequest,
    TlConnectRequest,
    TlConnectResult,
    Unload,
    UnloadResponse,
    VersionResponse,
)
from fakeproc.timeline import MICROSECOND, MILLISECOND, Timeline

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from fakeproc.profiles.schema import Profile

__all__ = ["Host", "Latency"]

MESSAGE_VP = 0  # VMBUS_CONNECT_CPU: every control message goes there
ADAPTER_SPEED = 10_000  # Mb/s: a virtual switch without a limit
REFUSED = 1  # a status that is not 0

_POST_FAULTS = {
    Fault.POST_EAGAIN: HvStatus.INVALID_CONNECTION_ID,
    Fault.POST_ENOBUFS: HvStatus.INSUFFICIENT_BUFFERS,
    Fault.POST_EINVAL: HvStatus.INVALID_PARAMETER,
}


@dataclass(slots=True)
class Latency:
    """How long the host takes, in nanoseconds."""

    message: int = 50 * MICROSECOND  # to answer anything but
    cleanup: int = 500 * MICROSECOND  # to see that closed sub-channels have no use
    give_up: int = 20 * MILLISECOND  # to wait for a guest to let a device go
    ack: int = 300 * MICROSECOND  # a ModifyChannel: to act on it and to say so


class Host:
    """One partition's side of the hypervisor (`HostPort`)."""

    def __init__(self, timeline: Timeline, profile: Profile) -> None:
        self.latency = Latency()
        self.faults = Faults()
        bus = profile.vmbus
        shared = Relids()
        self.connections = [
            HostConnection(number, shared if bus.relids == "global" else Relids())
            for number in range(bus.connections)
        ]
        self.devices = [
            device_of_profile(device, device.subchannel_delay_us * MICROSECOND)
            for device in profile.vmbus.devices
        ]
        give_addresses(self.devices)
        self.sources = Sources(timeline, self.channels, lambda: self.guest, profile.seed)
        self.plan = TrafficPlan(timeline, profile, self.sources, self.channels)
        self._timeline = timeline
        self._profile = profile
        self._guest: GuestPort | None = None

    def connect(self, guest: GuestPort) -> None:
        """Know the guest that interrupts go to."""
        self._guest = guest

    @property
    def guest(self) -> GuestPort:
        """The guest; RuntimeError before it is connected."""
        if self._guest is None:
            raise RuntimeError("the host has no guest to interrupt")
        return self._guest

    @property
    def relids(self) -> Relids:
        """The relids of the first connection, which are all where relids are global."""
        return self.connections[0].relids

    def channels(self) -> Collection[HostChannel]:
        """Every channel that has a relid, of all connections."""
        if len({id(connection.relids) for connection in self.connections}) == 1:
            return self.relids.taken.values()
        return [c for connection in self.connections for c in connection.relids.taken.values()]

    # What the guest asks for

    def post_message(self, message: GuestMessage, connection: int = 0) -> HvStatus:
        """HvPostMessage: take a control message; the answer comes as an interrupt."""
        for fault, status in _POST_FAULTS.items():
            if self.faults.consume(fault):
                return status
        on = self.connections[connection]
        if on.has(type(message)):
            self._receive(message, on)
        return HvStatus.SUCCESS

    def _receive(self, message: GuestMessage, on: HostConnection) -> None:
        """Act on a message of the protocol agreed on.

        What concerns a relid that the host has taken back, and that the guest
        still uses, is refused where the guest waits for an answer.
        """
        match message:
            case InitiateContact(version):
                self._contacted(version, on)
            case RequestOffers():
                for device in self.devices:
                    if device.connection == on.number:
                        self._offer(device.primary)
                self._answer(AllOffersDelivered(), on)
            case GpadlHeader(relid, gpadl):
                status = 0 if on.channel(relid) else REFUSED
                self._answer(GpadlCreated(relid, gpadl, status), on)
            case GpadlTeardown(_, gpadl):
                self._answer(GpadlTorndown(gpadl), on)
            case OpenChannel(relid, _, target_vp):
                self._open(relid, target_vp, on)
            case CloseChannel(relid):
                self._close(relid, on)
            case ModifyChannel(relid, target_vp):
                self._retarget_later(relid, target_vp, on)
            case RelidReleased(relid):
                self._release(relid, on)
            case Unload():
                self._unload(on)
            case TlConnectRequest(service, endpoint):
                self._connect_socket(service, endpoint, on)

    def send_packet(self, packet: SubchannelRequest, connection: int = 0) -> None:
        """Read a packet from the ring of a channel; nobody reads that of one that is not open."""
        on = self.connections[connection]
        primary = on.channel(packet.relid)
        if primary is None or not primary.open:
            return
        for channel in primary.device.channels[1 : 1 + packet.count]:
            if channel.state is HostChannelState.FREE and on.relids.left:
                self._offer(channel, primary.device.subchannel_delay)

    def query(self, packet: BusRelationsQuery, connection: int = 0) -> BusRelations:
        """Answer a packet of the ring: the function of a vpci device, while it is open."""
        channel = self.connections[connection].channel(packet.relid)
        if channel is None or not channel.open:
            return BusRelations(None)
        device = channel.device
        return BusRelations(
            None if device.pci_model == "none" else device.pci_model, device.address
        )

    def query_adapter(self, packet: AdapterQuery, connection: int = 0) -> Adapter | None:
        """Answer a packet of the ring: the address of a network adapter, while it is open."""
        channel = self.connections[connection].channel(packet.relid)
        if channel is None or not channel.open:
            return None
        return Adapter(channel.device.address, ADAPTER_SPEED)

    def query_luns(self, packet: LunsQuery, connection: int = 0) -> tuple[int, ...]:
        """Answer packets of the ring: the disks of a controller, while it is open."""
        channel = self.connections[connection].channel(packet.relid)
        return channel.device.disks if channel is not None and channel.open else ()

    def stuck_event_flags(self, vp: int, connection: int = 0) -> set[int]:
        """The event flags that no interrupt will consume: a fault."""
        return self.faults.stuck_on(vp, connection)

    def _contacted(self, version: ProtocolVersion, on: HostConnection) -> None:
        supported = version <= self._profile.vmbus.version
        if supported:
            on.version = version
            on.confidential = self._profile.vmbus.confidential and version >= CONFIDENTIAL_SINCE
        self._answer(VersionResponse(supported, supported and on.confidential), on)

    def _connect_socket(self, service: UUID, endpoint: UUID, on: HostConnection) -> None:
        """Accept a connection of the guest: on the host a program listens on every port."""
        if on.relids.left:
            self.add(socket_device(service, endpoint, None, from_host=False, connection=on.number))
        else:
            self._answer(TlConnectResult(REFUSED), on)

    def _open(self, relid: int, target_vp: int, on: HostConnection) -> None:
        channel = on.channel(relid)
        if channel is None or channel.leaving or self.faults.consume(Fault.OPEN_FAIL):
            self._answer(OpenChannelResult(relid, REFUSED), on)
            return
        self.sources.deliver_channel(channel)
        channel.state, channel.target_vp = HostChannelState.OPEN, target_vp
        channel.opened += 1
        self.sources.tell_load(channel)
        self._answer(OpenChannelResult(relid), on)

    def _close(self, relid: int, on: HostConnection) -> None:
        """Close a channel; without its primary a sub-channel has no use, and goes.

        The host gets to that when it is done with the primary channel, some
        time after the guest has seen the end of it.
        """
        channel = on.channel(relid)
        if channel is None:
            return
        self.sources.deliver_channel(channel)
        if channel.open:
            channel.state = HostChannelState.OFFERED
        self.sources.tell_load(channel)
        if channel.index == 0:
            self._rescind_subchannels(channel.device)

    def _release(self, relid: int, on: HostConnection) -> None:
        channel = on.channel(relid)
        if channel is None:
            return
        self.sources.deliver_channel(channel)
        self.guest.channel_load(channel.target_vp, relid, 0, on.number)
        on.relids.release(relid)

    def _unload(self, on: HostConnection) -> None:
        """Forget every channel.  What comes next is the same machine, on another host maybe.

        So relids are no longer what they were, connections by socket are gone,
        and what was on its way to the guest is lost.
        """
        for channel in self.channels():
            if channel.device.connection == on.number:
                self.sources.deliver_channel(channel)
                self.guest.channel_load(channel.target_vp, channel.relid, 0, on.number)
        on.relids.forget(on.number)
        self.devices = [
            device
            for device in self.devices
            if not (device.is_hvsock and device.connection == on.number)
        ]
        on.ended += 1
        self._answer(UnloadResponse(), on)

    def _retarget_later(self, relid: int, target_vp: int, on: HostConnection) -> None:
        """Act on a ModifyChannel when it is its turn: no message overtakes another."""
        now, channel = self._timeline.now, on.channel(relid)
        on.retargeted = max(on.retargeted, now + self.latency.ack)
        opened = 0 if channel is None else channel.opened
        self._timeline.after(
            on.retargeted - now, lambda: self._retarget(channel, opened, relid, target_vp, on)
        )

    def _retarget(
        self,
        channel: HostChannel | None,
        opened: int,
        relid: int,
        target_vp: int,
        on: HostConnection,
    ) -> None:
        """Move a channel; not one that was opened anew meanwhile, as that says where it goes."""
        if self.faults.consume(Fault.MODIFYCHANNEL_IGNORE):
            return
        status = REFUSED if self.faults.consume(Fault.MODIFYCHANNEL_NAK) else 0
        if channel is None or on.channel(relid) is not channel:
            status = REFUSED
        elif not status and channel.opened == opened:
            self.sources.deliver_channel(channel)
            channel.target_vp = target_vp
            self.sources.tell_load(channel)
        acknowledges = on.has(ModifyChannelResponse)
        if acknowledges and not self.faults.consume(Fault.MODIFYCHANNEL_DROP):
            self._send(ModifyChannelResponse(relid, status), on)

    def _send(self, message: HostMessage, on: HostConnection) -> None:
        self.guest.interrupt(MESSAGE_VP, {}, message, connection=on.number)

    def _answer(self, message: HostMessage, on: HostConnection, delay: int = 0) -> None:
        ended = on.ended

        def deliver() -> None:
            if ended == on.ended:
                self._send(message, on)

        self._timeline.after(self.latency.message + delay, deliver)

    # Devices that come and go

    def _offer(self, channel: HostChannel, delay: int = 0) -> None:
        on = self.connections[channel.device.connection]
        on.relids.take(channel)
        channel.due = self.sources.deliver_channel
        channel.offers += 1
        offer, number = channel.device.offer(channel), channel.offers
        if not on.confidential:  # a paravisor that the guest does not know relays the device
            offer = replace(offer, encrypted=False)

        def deliver() -> None:
            # It may have been taken back while it was on its way, and offered anew.
            if on.relids.taken.get(offer.relid) is channel and channel.offers == number:
                channel.state = HostChannelState.OFFERED
                self._send(offer, on)

        self._timeline.after(self.latency.message + delay, deliver)

    def add(self, device: HostDevice) -> None:
        """Offer a new device; LookupError when no relid is left."""
        self._offer(device.primary)
        self.devices.append(device)
        give_addresses(self.devices)

    def rescind(self, channel: HostChannel) -> None:
        """Take a sub-channel away, or with its primary channel a whole device.

        The guest closes the primary channel of a device that goes, and with
        that its sub-channels go; those of a guest that cannot say so go too.
        """
        self._rescind(channel)
        if channel.index == 0 and channel.device in self.devices:
            self.devices.remove(channel.device)
            self._timeline.after(
                self.latency.give_up, lambda: self._rescind_subchannels(channel.device)
            )

    def _rescind_subchannels(self, device: HostDevice) -> None:
        for channel in device.channels[1:]:
            self._rescind(channel, self.latency.cleanup)

    def _rescind(self, channel: HostChannel, delay: int = 0) -> None:
        on = self.connections[channel.device.connection]
        match channel.state:
            case HostChannelState.UNANNOUNCED:
                on.relids.release(channel.relid)
            case HostChannelState.OFFERED | HostChannelState.OPEN:
                self.sources.deliver_channel(channel)
                channel.state = HostChannelState.LEAVING
                self.sources.tell_load(channel)
                self._answer(RescindChannelOffer(channel.relid), on, delay)
            case HostChannelState.FREE | HostChannelState.LEAVING:
                pass

    # What the host does to the guest

    def signal(self, channel: HostChannel, count: int = 1) -> None:
        """Set a channel's event flag and interrupt its processor, `count` times."""
        if channel in self.sources.held:
            self.sources.held[channel] = True
            return
        self.sources.count(channel, count)
        on = channel.device.connection
        self.guest.interrupt(channel.target_vp, {channel.relid: count}, connection=on)

    def send_noop_messages(self, count: int) -> None:
        """Send `count` control messages that the guest has no handler for: they count on HYP."""
        self.guest.interrupt(MESSAGE_VP, {}, TlConnectResult(), times=count)

    def jam(self, channel: HostChannel) -> None:
        """Set a channel's event flag where its interrupts go, never to be consumed."""
        self.faults.jam(channel.target_vp, channel.relid, channel.device.connection)

    # What interrupts the guest by itself (`HostPort`)

    def start_timer(self, vp: int) -> None:
        """Switch a virtual processor's synthetic timer on."""
        self.sources.start_timer(vp)

    def stop_timer(self, vp: int) -> None:
        """Switch it off."""
        self.sources.stop_timer(vp)

    def settle(self) -> None:
        """Deliver every interrupt that is due by now."""
        self.sources.settle()

    def settle_channel(self, relid: int, connection: int = 0) -> None:
        """Deliver what is due of one channel."""
        self.sources.settle_channel(self.connections[connection].channel(relid))

    def settle_irq(self, irq: int) -> None:
        """Deliver what is due of another interrupt."""
        self.sources.settle_irq(irq)

    def settle_cpu(self, vp: int) -> None:
        """Deliver what is due on a processor that comes or goes next."""
        self.sources.settle_cpu(vp)

    def expect_irq(self, irq: int) -> None:
        """Deliver the next one of an interrupt at the moment that it comes."""
        self.sources.expect_irq(irq)

    def forget_irq(self, irq: int) -> None:
        """Raise an interrupt no more that is freed next."""
        self.sources.forget_irq(irq)
