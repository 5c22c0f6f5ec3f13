"""The IRQ chip of VMBus channels: patches 7, 10 and 12 of the series."""

from __future__ import annotations

from errno import EINVAL, EIO
from typing import TYPE_CHECKING

from fakeproc.guest.cpus import next_cpu
from fakeproc.guest.hv.channel import ChannelState
from fakeproc.guest.irq.core import IrqChip, IrqDesc

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.channel import Channel

__all__ = ["VMBusChip"]


class VMBusChip(IrqChip):
    """`vmbus_irq_chip`: steers a channel by telling the host (hwirq = relid)."""

    name = "VMBus"

    def __init__(
        self,
        cpus: Cpus,
        channel_of: Callable[[int], Channel | None],
        retarget: Callable[[Channel, int], None],
    ) -> None:
        self.synic_online = cpus.online  # CPUs whose synic the guest has switched on
        # `vmbus_irq_set_affinity` keeps the CPU it picked last in one static
        # variable for all channels of the system.
        self.last_pick = 0
        self._cpus = cpus
        self._channel_of = channel_of
        self._retarget = retarget

    def set_affinity(self, desc: IrqDesc, mask: int) -> None:
        """`vmbus_irq_set_affinity`.

        Raises OSError: EINVAL without a channel or a CPU to pick, or when the
        host speaks a protocol below 4.1; EIO when the channel is not opened;
        what posting the message to the host gives.  The last pick has moved on
        even then.
        """
        channel = self._channel_of(desc.hwirq)
        if channel is None:
            raise OSError(EINVAL, f"no channel has relid {desc.hwirq}")
        allowed = mask & self._cpus.housekeeping_managed_irq
        if allowed >> channel.target_cpu & 1:
            return
        cpu = next_cpu(self.last_pick, allowed & self.synic_online)
        if cpu is None:
            raise OSError(EINVAL, "every CPU of the mask is isolated or going offline")
        self.last_pick = cpu
        if channel.state is not ChannelState.OPENED:
            raise OSError(
                EIO,
                f"channel {channel.relid} is not opened and interrupts CPU {channel.target_cpu}",
            )
        self._retarget(channel, cpu)

    def effective_affinity(self, desc: IrqDesc) -> int:
        """The one CPU that the channel interrupts."""
        channel = self._channel_of(desc.hwirq)
        return 0 if channel is None else 1 << channel.target_cpu
