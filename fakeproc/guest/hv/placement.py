"""Which CPU a new channel interrupts: `drivers/hv/channel_mgmt.c: init_vp_index`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.cpus import first_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from uuid import UUID

    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.channel import Channel
    from fakeproc.guest.hv.synic import Synic

__all__ = ["VMBUS_CONNECT_CPU", "Placement"]

VMBUS_CONNECT_CPU = 0


class Placement:
    """Spreads the channels of performance-critical devices over nodes and CPUs.

    `allocated` is `hv_context.hv_numa_map`: for each node the CPUs that perf
    channels of any device have been given since the node's last round began.
    """

    def __init__(
        self,
        cpus: Cpus,
        synic: Synic,
        channels: Callable[[], Iterable[Channel]],
        wanted: Mapping[tuple[UUID, int], int],
    ) -> None:
        """`channels` answers with every channel that is mapped.

        `wanted` is the CPU that a channel gets when it is first offered, by the instance
        of its device and its relid: where a machine that was described had it in the end.
        """
        self._wanted = dict(wanted)
        self.allocated = dict.fromkeys(cpus.nodes, 0)
        self._cpus = cpus
        # vmbus_process_offer() sleeps in cpus_read_lock() while a CPU goes
        # offline, and then finds it gone; here it does not find it to begin with.
        self._synic = synic
        self._channels = channels
        self._next_node = 0

    def choose(self, channel: Channel) -> int:
        """The CPU for a channel that is offered, marked as allocated."""
        cpus = self._cpus
        wanted = self._wanted.pop((channel.offer.instance_id, channel.relid), None)
        if wanted is not None and (cpus.online & self._synic.online) >> wanted & 1:
            if channel.device.type.perf:
                self.allocated[cpus.node_of(wanted)] |= 1 << wanted
            return wanted
        housekeeping = cpus.online & self._synic.online & cpus.housekeeping_managed_irq
        if not channel.device.type.perf or not housekeeping:
            return VMBUS_CONNECT_CPU
        online = cpus.online.bit_count()
        siblings = {other.target_cpu for other in channel.device.channels if other is not channel}
        cpu = VMBUS_CONNECT_CPU
        for attempt in range(1, online + 2):
            node = self._take_node(housekeeping)
            candidates = cpus.node_mask(node) & housekeeping
            free = candidates & ~self.allocated[node]
            if not free:
                self.allocated[node], free = 0, candidates
            cpu = first_cpu(free) or 0
            self.allocated[node] |= 1 << cpu
            spread_out = channel.offer.subchannel_index >= online or attempt > online
            if spread_out or channel.is_primary or cpu not in siblings:
                break
        return cpu

    def _take_node(self, housekeeping: int) -> int:
        """The next node, round robin, that has a CPU to offer."""
        while True:
            node = self._cpus.nodes[self._next_node]
            self._next_node = (self._next_node + 1) % len(self._cpus.nodes)
            if self._cpus.node_mask(node) & housekeeping:
                return node

    def moved(self, channel: Channel, old: int) -> None:
        """Move a mark with its channel (`hv_update_allocated_cpus`)."""
        if channel.device.type.perf:
            self.allocated[self._cpus.node_of(channel.target_cpu)] |= 1 << channel.target_cpu
            self._clear_unless_used(old)

    def removed(self, channel: Channel) -> None:
        """Take the mark of a channel that is gone (`hv_clear_allocated_cpu`)."""
        if channel.device.type.perf:
            self._clear_unless_used(channel.target_cpu)

    def _clear_unless_used(self, cpu: int) -> None:
        perf = (channel for channel in self._channels() if channel.device.type.perf)
        if not any(channel.target_cpu == cpu for channel in perf):
            self.allocated[self._cpus.node_of(cpu)] &= ~(1 << cpu)
