"""The channels by relid, and their way in and out: part of `drivers/hv/channel_mgmt.c`.

A channel is in the table exactly while its relid is mapped; with the series
it has a Linux IRQ for just as long, whose chip data it is.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from fakeproc.guest.hv.channel import ChannelKobject
from fakeproc.protocol.messages import RelidReleased

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakeproc.guest.architecture import Architecture
    from fakeproc.guest.base.uevents import Uevents
    from fakeproc.guest.hv.channel import Channel
    from fakeproc.guest.hv.connection import Connection
    from fakeproc.guest.hv.irqchip import VMBusChip
    from fakeproc.guest.hv.placement import Placement
    from fakeproc.guest.irq.core import IrqCore

__all__ = ["ChannelTable"]


class ChannelTable:
    """Maps relids to channels; `chip` steers their IRQs, and is None without the series."""

    def __init__(
        self,
        channels: dict[int, Channel],
        connection: Connection,
        placement: Placement,
        irqs: IrqCore,
        chip: VMBusChip | None,
        architecture: Architecture,
        uevents: Uevents,
    ) -> None:
        self._channels = channels
        self._connection = connection
        self._placement = placement
        self._irqs = irqs
        self._chip = chip
        self._architecture = architecture
        self._uevents = uevents

    @property
    def by_relid(self) -> Mapping[int, Channel]:
        """Every channel whose relid is mapped."""
        return self._channels

    def _settle(self, channel: Channel) -> None:
        self._connection.host.settle_channel(channel.relid)

    def add(self, channel: Channel) -> None:
        """`vmbus_process_offer`: map the relid, choose a CPU, join the device."""
        channel.due = self._settle
        self.map(channel)
        channel.target_cpu = self._placement.choose(channel)
        channel.device.channels.append(channel)

    def map(self, channel: Channel) -> None:
        """`vmbus_channel_map_relid`, since patch 8 to a Linux IRQ."""
        if self._chip is not None:
            floor = self._architecture.irq_floor(channel.relid, self._irqs.nr_irqs)
            channel.desc = self._irqs.create(
                self._chip, channel.relid, floor=floor, chip_data=channel
            )
            channel.desc.due = lambda _desc: self._settle(channel)
        self._channels[channel.relid] = channel

    def unmap(self, channel: Channel) -> None:
        """`vmbus_channel_unmap_relid`; as posted, the action goes only here."""
        self._settle(channel)
        if channel.desc is not None:
            self._irqs.release(channel.desc)
            self._irqs.free(channel.desc)
            channel.desc = None
        del self._channels[channel.relid]

    def add_kobject(self, channel: Channel) -> None:
        """`vmbus_add_channel_kobj`: channels/<relid>, which the primary channel's brings along.

        Raises OSError EEXIST where another channel has kept that name over a
        hibernation.
        """
        if channel.is_primary:
            channel.device.channels_kset.link()
        kobject = ChannelKobject(channel)
        kobject.link()
        channel.kobject = kobject
        self._uevents.emit("add", f"/{kobject.path}", "channels")

    def remove(self, channel: Channel) -> None:
        """`hv_process_channel_removal`: unmap the relid and give it back to the host.

        The kernel ignores a failure to notify the host.
        """
        device = channel.device
        device.channels.remove(channel)
        if channel.kobject is not None:
            self._uevents.emit("remove", f"/{channel.kobject.path}", "channels")
            channel.kobject.unlink()
            channel.kobject = None
        self.unmap(channel)
        self._placement.removed(channel)
        with contextlib.suppress(OSError):
            self._connection.post(RelidReleased(channel.relid))
