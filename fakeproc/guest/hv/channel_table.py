"""The channels by relid, and their way in and out: part of `drivers/hv/channel_mgmt.c`.

A channel is in the table exactly while its relid is mapped; with the series
it has a Linux IRQ for just as long, whose chip data it is.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from fakeproc.guest.hv.channel import ChannelKobject
from fakeproc.guest.log import KERN_ERR, KERN_WARNING
from fakeproc.protocol.messages import RelidReleased

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakeproc.guest.architecture import Architecture
    from fakeproc.guest.base.uevents import Uevents
    from fakeproc.guest.hv.channel import Channel
    from fakeproc.guest.hv.connection import Connection
    from fakeproc.guest.hv.placement import Placement
    from fakeproc.guest.irq.core import IrqChip, IrqCore
    from fakeproc.guest.log import KernelLog

__all__ = ["CHANNEL_ATTRIBUTES", "ChannelTable"]

# `vmbus_chan_attrs`, in its order: what the kernel names when it removes them.
CHANNEL_ATTRIBUTES = (
    "out_mask", "in_mask", "read_avail", "write_avail", "cpu", "pending", "latency",
    "interrupts", "events", "intr_in_full", "intr_out_empty", "out_full_first",
    "out_full_total", "monitor_id", "subchannel_id",
)  # fmt: skip


class ChannelTable:
    """Maps relids to channels; `chip` steers their IRQs, and is None without patch 8.

    `guards_group` is patch 2.
    """

    def __init__(
        self,
        channels: dict[int, Channel],
        connection: Connection,
        placement: Placement,
        irqs: IrqCore,
        chip: IrqChip | None,
        architecture: Architecture,
        uevents: Uevents,
        log: KernelLog,
        *,
        guards_group: bool,
    ) -> None:
        self._channels = channels
        self._connection = connection
        self._placement = placement
        self._irqs = irqs
        self._chip = chip
        self._architecture = architecture
        self._uevents = uevents
        self._log = log
        self._guards_group = guards_group

    @property
    def by_relid(self) -> Mapping[int, Channel]:
        """Every channel whose relid is mapped."""
        return self._channels

    def _settle(self, channel: Channel) -> None:
        self._connection.host.settle_channel(channel.relid)

    def add(self, channel: Channel) -> bool:
        """`vmbus_process_offer`: map the relid, choose a CPU, join the device.

        False where the relid could not be mapped: the channel is discarded then,
        and its relid is the host's again (`err_deq_chan` in patch 8).
        """
        channel.due = self._settle
        if not self.map(channel):
            self._release(channel)
            return False
        channel.target_cpu = self._placement.choose(channel)
        channel.device.channels.append(channel)
        return True

    def map(self, channel: Channel) -> bool:
        """`vmbus_channel_map_relid`, since patch 8 to a Linux IRQ; False without one."""
        if self._chip is not None:
            floor = self._architecture.irq_floor(channel.relid, self._irqs.nr_irqs)
            try:
                channel.desc = self._irqs.create(
                    self._chip, channel.relid, floor=floor, chip_data=channel
                )
            except OSError:
                self._log.say(
                    f"hv_vmbus: irq_create_mapping failed for relid {channel.relid}", KERN_ERR
                )
                return False
            channel.desc.due = lambda _desc: self._settle(channel)
        self._channels[channel.relid] = channel
        return True

    def unmap(self, channel: Channel) -> None:
        """`vmbus_channel_unmap_relid`; as posted, the action goes only here."""
        self._settle(channel)
        if channel.desc is not None:
            self._irqs.release(channel.desc)
            self._irqs.free(channel.desc)
            channel.desc = None
        if self._channels.get(channel.relid) is channel:  # else it could not be mapped
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
        """`hv_process_channel_removal`: unmap the relid and give it back to the host."""
        device = channel.device
        device.channels.remove(channel)
        if channel.kobject is not None:
            self._uevents.emit("remove", f"/{channel.kobject.path}", "channels")
            channel.kobject.unlink()
        self.unmap(channel)
        self._placement.removed(channel)
        self._release(channel)
        channel.kobject = None

    def _release(self, channel: Channel) -> None:
        """Give the relid back, then `free_channel`; the kernel ignores a failure to notify."""
        with contextlib.suppress(OSError):
            self._connection.post(RelidReleased(channel.relid))
        if channel.kobject is None and not self._guards_group:
            for name in CHANNEL_ATTRIBUTES:  # sysfs_remove_group, of a group that was never created
                self._log.say("------------[ cut here ]------------", KERN_WARNING)
                self._log.say(f"kernfs: can not remove '{name}', no directory", KERN_WARNING)
