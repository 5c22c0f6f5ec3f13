"""What interrupts the guest by itself: channels with traffic, other interrupts, timers.

Nothing ticks, and no request walks the sources.  What a source has sent is
delivered when the guest looks at what it counts on, or just before something
changes that says where the interrupts go or what they find; so the counts are
those of a machine on which each interrupt arrived at its own moment, however
often and however seldom anybody looks.

Invariants: every interrupt of a source is delivered once, with the state of
guest and host that held when it came.  Whoever changes such a state calls a
`settle` function first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.host.lost import LostInterrupts
from fakeproc.host.traffic import Source, source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from fakeproc.host.devices import HostChannel
    from fakeproc.protocol.messages import GuestPort
    from fakeproc.timeline import Timeline

__all__ = ["Sources"]


class Sources:
    """All sources of one guest.

    `channels` answers with those that have a relid, `guest` with the guest.

    Rates are interrupts a second; `seed` makes the random ones reproducible.
    """

    def __init__(
        self,
        timeline: Timeline,
        channels: Callable[[], Collection[HostChannel]],
        guest: Callable[[], GuestPort],
        seed: int,
    ) -> None:
        self.lines: dict[int, Source] = {}  # traffic on other interrupts, by IRQ
        self.timer_rate: float | None = None  # expiries a second, of every processor that is on
        self.lost = LostInterrupts()
        self.held: dict[HostChannel, bool] = {}  # stuck channels, and whether one is owed
        self.sent = 0  # for channels, in all, also for those that have gone
        self._timers: dict[int, Source] = {}  # by processor
        self._timeline = timeline
        self._channels = channels
        self._guest = guest
        self._seed = seed
        self._made = 0  # sources so far: each has a seed of its own
        self._settled_at = -1  # the moment up to which everything has been delivered
        self._expected: set[int] = set()  # IRQs of which the guest wants the next one in time

    def _new(self, rate: float, kind: str, what: str) -> Source:
        """A source that begins now; ValueError for no such rate or kind."""
        self._made += 1
        new = source(kind, rate, self._timeline.now, f"{self._seed}/{what}/{self._made}")
        self._settled_at = -1
        return new

    # What sends how often

    def set_channel(self, channel: HostChannel, rate: float, kind: str) -> None:
        """Interrupt the guest for a channel so often; ValueError for no such rate or kind."""
        new = self._new(rate, kind, f"relid {channel.relid}")
        self.deliver_channel(channel)
        channel.traffic = new
        self.tell_load(channel)

    def set_irq(self, irq: int, rate: float, kind: str) -> None:
        """Raise another interrupt so often; ValueError for no such rate or kind."""
        new = self._new(rate, kind, f"irq {irq}")
        self.settle_irq(irq)
        self.lines[irq] = new
        self._guest().irq_load(irq, rate)
        if irq in self._expected:
            self.expect_irq(irq)

    def set_timers(self, rate: float) -> None:
        """Let every processor's timer expire so often; ValueError for no such rate."""
        self._new(rate, "steady", "timer")
        for vp in self._timers:
            self._deliver_timer(vp)
        self.timer_rate = rate
        for vp in list(self._timers):
            self.start_timer(vp)

    def start_timer(self, vp: int) -> None:
        """Switch a virtual processor's synthetic timer on."""
        self._timers[vp] = self._new(self.timer_rate or 0, "steady", f"timer {vp}")
        self._guest().timer_load(vp, self.timer_rate or 0)
        self._look_for_lost(vp)

    def stop_timer(self, vp: int) -> None:
        """Switch it off; it has expired as often as it should have by now."""
        self._deliver_timer(vp)
        self._timers.pop(vp, None)
        self._guest().timer_load(vp, 0)
        self._look_for_lost(vp)

    def stop(self) -> None:
        """Let nothing interrupt the guest by itself any more."""
        for channel in self._channels():
            self.set_channel(channel, 0, "steady")
        for irq in list(self.lines):
            self.set_irq(irq, 0, "steady")
        self.set_timers(0)

    def tell_load(self, channel: HostChannel) -> None:
        """Say how often a channel interrupts its processor from now on."""
        flows = channel.traffic is not None and channel.open and channel not in self.held
        rate = channel.traffic.rate if channel.traffic is not None and flows else 0
        self._guest().channel_load(
            channel.target_vp, channel.relid, rate, channel.device.connection
        )
        self.lost.look(channel, off=channel.target_vp not in self._timers)

    def _look_for_lost(self, vp: int) -> None:
        """A processor has been switched on or off: look at the channels that interrupt it."""
        for channel in self._channels():
            if channel.target_vp == vp:
                self.deliver_channel(channel)
                self.lost.look(channel, off=vp not in self._timers)

    # A channel that is stuck

    def hold(self, channel: HostChannel) -> None:
        """Have a channel interrupt nobody until `let_go`: a fault."""
        self.deliver_channel(channel)
        self.held.setdefault(channel, False)
        self.tell_load(channel)

    def let_go(self) -> None:
        """Let every channel interrupt again; one interrupt stands for all that were held back."""
        held, self.held = self.held, {}
        for channel, signalled in held.items():
            due = 0 if channel.traffic is None else channel.traffic.take(self._timeline.now)
            if (signalled or due) and channel.open:
                self.count(channel, 1)
                self._guest().interrupt(
                    channel.target_vp, {channel.relid: 1}, connection=channel.device.connection
                )
            self.tell_load(channel)

    # What has been sent and not been delivered

    def settle(self) -> None:
        """Deliver everything that is due by now."""
        if self._settled_at == self._timeline.now:
            return
        self._settled_at = self._timeline.now
        for channel in self._channels():
            self.deliver_channel(channel)
        for irq in self.lines:
            self._deliver_irq(irq)
        if self.timer_rate:
            for vp in self._timers:
                self._deliver_timer(vp)

    def settle_channel(self, channel: HostChannel | None) -> None:
        """Deliver what is due of one channel.

        While event flags are left behind on a processor, the next interrupt
        there finds them, whichever channel it is for: so then deliver all.
        """
        if self._guest().has_event_flags():
            self.settle()
        elif channel is not None and self._settled_at != self._timeline.now:
            self.deliver_channel(channel)

    def settle_irq(self, irq: int) -> None:
        """Deliver what is due of another interrupt."""
        if self._settled_at != self._timeline.now:
            self._deliver_irq(irq)

    def settle_cpu(self, vp: int) -> None:
        """Deliver what is due on a processor that comes or goes next."""
        for channel in self._channels():
            if channel.target_vp == vp:
                self.settle_channel(channel)
        for irq in self.lines:
            self.settle_irq(irq)
        self._deliver_timer(vp)

    def expect_irq(self, irq: int) -> None:
        """Deliver the next one of an interrupt at the very moment that it comes."""
        self._expected.add(irq)
        line = self.lines.get(irq)
        due = None if line is None else line.next_after(self._timeline.now)
        if due is not None:
            self._timeline.after(due - self._timeline.now, lambda: self.settle_irq(irq))

    def forget_irq(self, irq: int) -> None:
        """Deliver what is due of an interrupt that is no more after that."""
        self.settle_irq(irq)
        self.lines.pop(irq, None)
        self._expected.discard(irq)

    def deliver_channel(self, channel: HostChannel) -> None:
        """Deliver what is due of a channel, before something about it changes."""
        if channel.traffic is not None and channel not in self.held:
            count = channel.traffic.take(self._timeline.now)
            if count and channel.open:
                self.count(channel, count)
                self._guest().traffic(
                    channel.target_vp, channel.relid, count, channel.device.connection
                )

    def count(self, channel: HostChannel, number: int) -> None:
        """Note that the guest is interrupted so often for a channel."""
        channel.delivered += number
        self.sent += number

    def _deliver_irq(self, irq: int) -> None:
        line = self.lines.get(irq)
        count = 0 if line is None else line.take(self._timeline.now)
        if count:
            self._expected.discard(irq)
            self._guest().raise_irq(irq, count)

    def _deliver_timer(self, vp: int) -> None:
        timer = self._timers.get(vp)
        count = 0 if timer is None else timer.take(self._timeline.now)
        if count:
            self._guest().timer(vp, count)
