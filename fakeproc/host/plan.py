"""The traffic that a profile describes: when it begins, and how it is ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from fakeproc.host.devices import HostChannel
    from fakeproc.host.sources import Sources
    from fakeproc.profiles.schema import Profile
    from fakeproc.timeline import Timeline

__all__ = ["TrafficPlan"]


class TrafficPlan:
    """Sets sources going as a profile says; `channels` answers with those that have a relid."""

    def __init__(
        self,
        timeline: Timeline,
        profile: Profile,
        sources: Sources,
        channels: Callable[[], Collection[HostChannel]],
    ) -> None:
        self._timeline = timeline
        self._profile = profile
        self._sources = sources
        self._channels = channels

    def begin(self, quiet: int) -> None:
        """Interrupt as the profile says, from `quiet` nanoseconds on.

        What somebody has said of a source before that is left as it is.
        """
        self._timeline.after(quiet, self._begin)

    def _begin(self) -> None:
        profile, sources = self._profile, self._sources
        wanted = {
            (d.connection - 1, c.relid): c
            for d in profile.vmbus.devices
            for c in d.channels
            if c.rate
        }
        for channel in self._channels():
            wish = wanted.get((channel.device.connection, channel.preferred or channel.relid))
            if channel.traffic is None and wish is not None:
                sources.set_channel(channel, wish.rate, wish.traffic)
        for irq in profile.irqs:
            if irq.rate and irq.irq not in sources.lines:
                sources.set_irq(irq.irq, irq.rate, irq.traffic)
        if sources.timer_rate is None:
            sources.set_timers(profile.timer_rate)

    def stop(self) -> None:
        """Let nothing interrupt the guest by itself any more, from the profile either."""
        for irq in self._profile.irqs:
            self._sources.set_irq(irq.irq, 0, "steady")
        self._sources.stop()
