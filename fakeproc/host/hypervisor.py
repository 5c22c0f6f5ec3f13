"""The emulated Hyper-V: what it offers, and which processor it interrupts.

The host answers the guest's control messages, each after a latency of its
own, and keeps its own idea of where a channel's interrupts go.  Between a
guest's ModifyChannel and the moment the host acts on it the two differ, and
interrupts still land on the old processor: that is the race the series is
about, and it happens here because the message takes its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.host.devices import HostChannel, HostDevice, Relids, device_of_profile
from fakeproc.host.faults import Fault, Faults
from fakeproc.host.traffic import Source, source
from fakeproc.protocol.messages import (
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
    OpenChannel,
    OpenChannelResult,
    RelidReleased,
    RequestOffers,
    RescindChannelOffer,
    SubchannelRequest,
    Unload,
    UnloadResponse,
    VersionResponse,
)
from fakeproc.timeline import MICROSECOND, MILLISECOND, Timeline

if TYPE_CHECKING:
    from fakeproc.profiles.schema import Profile

__all__ = ["Host", "Latency"]

MESSAGE_VP = 0  # VMBUS_CONNECT_CPU: every control message goes there
ACKNOWLEDGING = (5, 3)  # the first protocol that answers ModifyChannel
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
        self.relids = Relids()
        self.devices = [
            device_of_profile(device, device.subchannel_delay_us * MICROSECOND)
            for device in profile.vmbus.devices
        ]
        self.lines: dict[int, Source] = {}  # traffic on other interrupts, by IRQ
        self.timer_rate: float | None = None  # expiries a second, of every processor that is on
        self._timers: dict[int, Source] = {}  # by processor
        self._timeline = timeline
        self._profile = profile
        self._guest: GuestPort | None = None
        self._retargeted = 0  # when the last ModifyChannel that has come is acted on
        self._connection = 0  # how often the guest has ended one
        self._drawn = 0  # sources so far: each draws from a seed of its own

    def connect(self, guest: GuestPort) -> None:
        """Know the guest that interrupts go to."""
        self._guest = guest

    @property
    def guest(self) -> GuestPort:
        """The guest; RuntimeError before it is connected."""
        if self._guest is None:
            raise RuntimeError("the host has no guest to interrupt")
        return self._guest

    # What the guest asks for

    def post_message(self, message: GuestMessage) -> HvStatus:
        """HvPostMessage: take a control message; the answer comes as an interrupt."""
        for fault, status in _POST_FAULTS.items():
            if self.faults.strikes(fault):
                return status
        match message:
            case InitiateContact(version):
                self._answer(VersionResponse(version <= self._profile.vmbus.version))
            case RequestOffers():
                for device in self.devices:
                    self._offer(device.primary)
                self._answer(AllOffersDelivered())
            case GpadlHeader(relid, gpadl):
                self._answer(GpadlCreated(relid, gpadl))
            case GpadlTeardown(_, gpadl):
                self._answer(GpadlTorndown(gpadl))
            case OpenChannel(relid, _, target_vp):
                self._open(self.relids.taken[relid], target_vp)
            case CloseChannel(relid):
                self._close(self.relids.taken[relid])
            case ModifyChannel(relid, target_vp):
                self._retarget_later(self.relids.taken[relid], target_vp)
            case RelidReleased(relid):
                self._release(relid)
            case Unload():
                self._unload()
        return HvStatus.SUCCESS

    def send_packet(self, packet: SubchannelRequest) -> None:
        """Read a packet from the ring of an open channel."""
        device = self.relids.taken[packet.relid].device
        for channel in device.channels[1 : 1 + packet.count]:
            if not channel.relid:
                self._offer(channel, device.subchannel_delay)

    def _open(self, channel: HostChannel, target_vp: int) -> None:
        if self.faults.strikes(Fault.OPEN_FAIL):
            self._answer(OpenChannelResult(channel.relid, REFUSED))
            return
        self._settle(channel)
        channel.open, channel.target_vp = True, target_vp
        self._tell_load(channel)
        self._answer(OpenChannelResult(channel.relid))

    def _close(self, channel: HostChannel) -> None:
        """Close a channel; without its primary a sub-channel has no use, and goes.

        The host gets to that when it is done with the primary channel, some
        time after the guest has seen the end of it.
        """
        self._settle(channel)
        channel.open = False
        self._tell_load(channel)
        if channel.index == 0:
            self._rescind_subchannels(channel.device)

    def _release(self, relid: int) -> None:
        """Take a relid back; a device that has lost its primary channel loses the others."""
        channel = self.relids.taken.get(relid)
        if channel is not None and channel.index == 0:
            self._rescind_subchannels(channel.device)
        if channel is not None:
            self.guest.channel_load(channel.target_vp, relid, 0)
        self.relids.release(relid)

    def _unload(self) -> None:
        """Forget every channel.  What comes next is the same machine, on another host maybe.

        So relids are no longer what they were, connections by socket are gone,
        and what was on its way to the guest is lost.
        """
        for channel in self.relids.taken.values():
            self._settle(channel)
            self.guest.channel_load(channel.target_vp, channel.relid, 0)
        self.relids.forget()
        self.devices = [device for device in self.devices if not device.is_hvsock]
        self._connection += 1
        self._answer(UnloadResponse())

    def _retarget_later(self, channel: HostChannel, target_vp: int) -> None:
        """Act on a ModifyChannel when it is its turn: no message overtakes another."""
        now, relid = self._timeline.now, channel.relid
        self._retargeted = max(self._retargeted, now + self.latency.ack)
        self._timeline.after(
            self._retargeted - now, lambda: self._retarget(channel, relid, target_vp)
        )

    def _retarget(self, channel: HostChannel, relid: int, target_vp: int) -> None:
        status = REFUSED if self.faults.strikes(Fault.MODIFYCHANNEL_NAK) else 0
        if not status and self.relids.taken.get(relid) is channel:
            self._settle(channel)
            channel.target_vp = target_vp
            self._tell_load(channel)
        acknowledges = self._profile.vmbus.version >= ACKNOWLEDGING
        if acknowledges and not self.faults.strikes(Fault.MODIFYCHANNEL_DROP):
            self.guest.interrupt(MESSAGE_VP, {}, ModifyChannelResponse(relid, status))

    def _answer(self, message: HostMessage, delay: int = 0) -> None:
        connection = self._connection

        def deliver() -> None:
            if connection == self._connection:
                self.guest.interrupt(MESSAGE_VP, {}, message)

        self._timeline.after(self.latency.message + delay, deliver)

    # Devices that come and go

    def _offer(self, channel: HostChannel, delay: int = 0) -> None:
        self.relids.take(channel)
        channel.offers += 1
        offer, number = channel.device.offer(channel), channel.offers

        def deliver() -> None:
            # It may have been taken back while it was on its way, and offered anew.
            if self.relids.taken.get(offer.relid) is channel and channel.offers == number:
                channel.announced = True
                self.guest.interrupt(MESSAGE_VP, {}, offer)

        self._timeline.after(self.latency.message + delay, deliver)

    def add(self, device: HostDevice) -> None:
        """Offer a new device; LookupError when no relid is left."""
        self._offer(device.primary)
        self.devices.append(device)

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
            if channel.relid:
                self._rescind(channel, self.latency.cleanup)

    def _rescind(self, channel: HostChannel, delay: int = 0) -> None:
        if channel.leaving:
            return
        if channel.announced:
            channel.leaving = True
            self._answer(RescindChannelOffer(channel.relid), delay)
        else:
            self.relids.release(channel.relid)

    # What the host does to the guest

    def signal(self, channel: HostChannel, count: int = 1) -> None:
        """Set a channel's event flag and interrupt its processor, `count` times."""
        channel.sent += count
        self.guest.interrupt(channel.target_vp, {channel.relid: count})

    def send_nothing(self, count: int) -> None:
        """Send `count` control messages that mean nothing: they count on HYP."""
        self.guest.hear_nothing(MESSAGE_VP, count)

    def jam(self, channel: HostChannel) -> None:
        """Set a channel's event flag where its interrupts go, never to be consumed."""
        self.faults.jammed.append(channel.relid)
        self.guest.jam_event_flag(channel.target_vp, channel.relid)

    def clear_faults(self) -> None:
        """Let nothing more go wrong."""
        self.faults.clear()
        self.guest.free_event_flags()

    # Traffic

    def set_traffic(self, channel: HostChannel, rate: float, kind: str) -> None:
        """Interrupt the guest for a channel so often; ValueError for no such rate or kind."""
        new = self.draw(rate, kind, f"relid {channel.relid}")
        self._settle(channel)
        channel.traffic = new
        self._tell_load(channel)

    def set_irq_traffic(self, irq: int, rate: float, kind: str) -> None:
        """Raise another interrupt so often; ValueError for no such rate or kind."""
        new = self.draw(rate, kind, f"irq {irq}")
        self.settle()
        self.lines[irq] = new
        self.guest.irq_load(irq, rate)

    def set_timer_rate(self, rate: float) -> None:
        """Let every processor's timer expire so often; ValueError for no such rate."""
        self.draw(rate, "steady", "timer")
        self.settle()
        self.timer_rate = rate
        for vp in list(self._timers):
            self.start_timer(vp)

    def draw(self, rate: float, kind: str, what: str) -> Source:
        """A source that begins now; ValueError for no such rate or kind."""
        self._drawn += 1
        seed = f"{self._profile.seed}/{what}/{self._drawn}"
        return source(kind, rate, self._timeline.now, seed)

    def start_timer(self, vp: int) -> None:
        """Switch a virtual processor's synthetic timer on."""
        self._timers[vp] = self.draw(self.timer_rate or 0, "steady", f"timer {vp}")
        self.guest.timer_load(vp, self.timer_rate or 0)

    def stop_timer(self, vp: int) -> None:
        """Switch it off.

        Whatever was to interrupt the processor by now has done so: the
        processor goes offline next.
        """
        self.settle()
        del self._timers[vp]
        self.guest.timer_load(vp, 0)

    def begin_traffic(self, quiet: int) -> None:
        """Interrupt as the profile says, from `quiet` nanoseconds on.

        What somebody has said of a source before that is left as it is.
        """
        self._timeline.after(quiet, self._begin_traffic)

    def _begin_traffic(self) -> None:
        profile = self._profile
        wanted = {c.relid: c for d in profile.vmbus.devices for c in d.channels if c.rate}
        for channel in self.relids.taken.values():
            wish = wanted.get(channel.preferred or channel.relid)
            if channel.traffic is None and wish is not None:
                self.set_traffic(channel, wish.rate, wish.traffic)
        for irq in profile.irqs:
            if irq.rate and irq.irq not in self.lines:
                self.set_irq_traffic(irq.irq, irq.rate, irq.traffic)
        if self.timer_rate is None:
            self.set_timer_rate(profile.timer_rate)

    def stop_traffic(self) -> None:
        """Let nothing interrupt the guest by itself any more."""
        for channel in self.relids.taken.values():
            self.set_traffic(channel, 0, "steady")
        for irq in {*self.lines, *(irq.irq for irq in self._profile.irqs)}:
            self.set_irq_traffic(irq, 0, "steady")
        self.set_timer_rate(0)

    def settle(self) -> None:
        """Deliver every interrupt that is due by now."""
        for channel in self.relids.taken.values():
            if channel.traffic is not None:
                self._settle(channel)
        for irq, line in list(self.lines.items()):
            if not self.guest.raise_irq(irq, line.take(self._timeline.now)):
                del self.lines[irq]
        if self.timer_rate:
            for vp, timer in self._timers.items():
                self._settle_timer(vp, timer)

    def _settle(self, channel: HostChannel) -> None:
        """Deliver a channel's interrupts up to now, before something about it changes."""
        if channel.traffic is not None:
            count = channel.traffic.take(self._timeline.now)
            if count and channel.open:
                channel.sent += count
                self.guest.traffic(channel.target_vp, channel.relid, count)

    def _tell_load(self, channel: HostChannel) -> None:
        """Say how often a channel interrupts its processor from now on."""
        rate = channel.traffic.rate if channel.traffic is not None and channel.open else 0
        self.guest.channel_load(channel.target_vp, channel.relid, rate)

    def _settle_timer(self, vp: int, timer: Source) -> None:
        count = timer.take(self._timeline.now)
        if count:
            self.guest.timer(vp, count)
