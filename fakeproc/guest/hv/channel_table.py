"""The channels by relid, and their way in and out: part of `drivers/hv/channel_mgmt.c`.

A channel is in the table exactly while its relid is mapped; with patch 8 of the
series it has a Linux IRQ for just as long.  Each connection has relids of its own.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from fakeproc.guest.hv.channel import ChannelKobject
from fakeproc.guest.hv.irqchip import channel_of
from fakeproc.guest.log import KERN_ERR, KERN_WARNING
from fakeproc.protocol.messages import RelidReleased

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fakeproc.guest.base.uevents import Uevents
    from fakeproc.guest.hv.channel import Channel
    from fakeproc.guest.hv.placement import Placement
    from fakeproc.guest.irq.core import IrqCore, IrqDesc
    from fakeproc.guest.irq.domain import IrqDomain
    from fakeproc.guest.log import KernelLog

__all__ = ["CHANNEL_ATTRIBUTES", "ChannelTable"]

# `vmbus_chan_attrs`, in its order: what the kernel names when it removes them.
CHANNEL_ATTRIBUTES = (
    "out_mask", "in_mask", "read_avail", "write_avail", "cpu", "pending", "latency",
    "interrupts", "events", "intr_in_full", "intr_out_empty", "out_full_first",
    "out_full_total", "monitor_id", "subchannel_id",
)  # fmt: skip


class ChannelTable:
    """Maps the relids of each connection to channels.

    `domains` are the IRQ domains of the connections, one for all of them or one
    for each; none without patch 8.  `guards_group` is patch 2.
    """

    def __init__(
        self,
        channels: Sequence[dict[int, Channel]],
        placement: Placement,
        irqs: IrqCore,
        domains: Sequence[IrqDomain],
        uevents: Uevents,
        log: KernelLog,
        *,
        guards_group: bool,
    ) -> None:
        self._channels = channels
        self._placement = placement
        self._irqs = irqs
        self._domains = domains
        self._uevents = uevents
        self._log = log
        self._guards_group = guards_group

    def mapped(self) -> list[Channel]:
        """Every channel whose relid is mapped, in the order of the mappings."""
        if len(self._channels) == 1:
            return list(self._channels[0].values())
        return [channel for of_one in self._channels for channel in of_one.values()]

    def find(self, relid: int, connection: int) -> tuple[Channel | None, IrqDesc | None]:
        """`relid2channel`: the channel of a relid, and since patch 8 the interrupt by which."""
        if not self._domains:
            return self._channels[connection].get(relid), None
        desc = self._domains[connection].resolve(relid)
        return (channel_of(desc), desc) if desc is not None else (None, None)

    @staticmethod
    def _settle(channel: Channel) -> None:
        connection = channel.connection
        connection.host.settle_channel(channel.relid, connection.number)

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
        number = channel.connection.number
        if self._domains:
            try:
                desc = self._domains[number].create_mapping(channel.relid)
            except OSError:
                self._log.say(
                    f"hv_vmbus: irq_create_mapping failed for relid {channel.relid}", KERN_ERR
                )
                return False
            # Where two connections have a relid and one domain, the first channel's interrupt
            # belongs to the second from now on.
            channel.desc, desc.chip_data = desc, channel
            desc.due = lambda _desc: self._settle(channel)
        self._channels[number][channel.relid] = channel
        return True

    def unmap(self, channel: Channel) -> None:
        """`vmbus_channel_unmap_relid`; as posted, the action goes only here."""
        self._settle(channel)
        self.free_irq(channel)
        if channel.desc is not None:
            self._domains[channel.connection.number].dispose_mapping(channel.desc)
            channel.desc = None
        of_one = self._channels[channel.connection.number]
        if of_one.get(channel.relid) is channel:  # else it could not be mapped
            del of_one[channel.relid]

    def free_irq(self, channel: Channel) -> None:
        """`free_irq`, of the channel that requested it."""
        if channel.irq_requested and channel.desc is not None:
            self._irqs.release(channel.desc)
        channel.irq_requested = False

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
            channel.connection.post(RelidReleased(channel.relid))
        if channel.kobject is None and not self._guards_group:
            for name in CHANNEL_ATTRIBUTES:  # sysfs_remove_group, of a group that was never created
                self._log.say("------------[ cut here ]------------", KERN_WARNING)
                self._log.say(f"kernfs: can not remove '{name}', no directory", KERN_WARNING)
