"""The IRQ chip of VMBus channels: patches 7, 10 and 12 of the series."""

from __future__ import annotations

from errno import EINVAL, EIO
from typing import TYPE_CHECKING

from fakeproc.guest.cpus import next_cpu
from fakeproc.guest.hv.channel import Channel, ChannelState
from fakeproc.guest.hv.placement import VMBUS_CONNECT_CPU
from fakeproc.guest.irq.core import IrqChip, IrqDesc
from fakeproc.guest.log import KERN_WARNING

if TYPE_CHECKING:
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.modify import ModifyChannels
    from fakeproc.guest.hv.synic import Synic
    from fakeproc.guest.log import KernelLog

__all__ = ["MessageChip", "PlaceholderChip", "VMBusChip", "channel_of"]


class VMBusChip(IrqChip):
    """`vmbus_irq_chip`: steers a channel by a message to the host (hwirq = relid)."""

    name = "VMBus"

    def __init__(
        self, cpus: Cpus, synic: Synic, modify: ModifyChannels, *, avoids_leaving: bool
    ) -> None:
        """`avoids_leaving` is patch 12: no CPU is picked that is going offline."""
        # `vmbus_irq_set_affinity` keeps the CPU it picked last in one static
        # variable for all channels of the system.
        self.last_pick = 0
        self._cpus = cpus
        self._synic = synic
        self._modify = modify
        self._avoids_leaving = avoids_leaving

    def set_affinity(self, desc: IrqDesc, mask: int) -> None:
        """`vmbus_irq_set_affinity`.

        Raises OSError: EINVAL without a CPU to pick, or when the host speaks a
        protocol below 4.1; EIO when the channel is not opened; what posting
        the message to the host gives.  The last pick has moved on even then.
        """
        channel = channel_of(desc)
        allowed = mask & self._cpus.housekeeping_managed_irq
        if allowed >> channel.target_cpu & 1:
            return
        candidates = allowed & self._synic.online if self._avoids_leaving else allowed
        cpu = next_cpu(self.last_pick, candidates)
        if cpu is None:
            raise OSError(EINVAL, "every CPU of the mask is isolated or going offline")
        self.last_pick = cpu
        if channel.state is not ChannelState.OPENED:
            raise OSError(
                EIO,
                f"channel {channel.relid} is not opened and interrupts CPU {channel.target_cpu}",
            )
        self._modify.send(channel, cpu)

    def effective_affinity(self, desc: IrqDesc) -> int:
        """The one CPU that the channel interrupts."""
        return 1 << channel_of(desc).target_cpu


class PlaceholderChip(IrqChip):
    """`vmbus_irq_chip` of patch 7, before patch 10: it believes every mask, and moves nothing."""

    name = "VMBus"
    last_pick = 0  # nothing is ever picked

    def __init__(self, log: KernelLog) -> None:
        self._log = log
        self._has_warned = False

    def set_affinity(self, desc: IrqDesc, mask: int) -> None:
        """Return success, which `irq_validate_effective_affinity` does not believe (once)."""
        del mask
        if not self._has_warned:
            self._has_warned = True
            self._log.say(
                f"genirq: irq_chip {self.name} did not update eff. affinity mask of irq {desc.irq}",
                KERN_WARNING,
            )

    def effective_affinity(self, desc: IrqDesc) -> int:
        """None was ever set."""
        del desc
        return 0


class MessageChip(IrqChip):
    """What the review proposed for control messages; they come to one CPU, and none can move it."""

    name = "VMBus"

    def set_affinity(self, desc: IrqDesc, mask: int) -> None:
        """Leave it where it is, whatever was requested at boot."""

    def effective_affinity(self, desc: IrqDesc) -> int:
        """The CPU that receives control messages."""
        del desc
        return 1 << VMBUS_CONNECT_CPU


def channel_of(desc: IrqDesc) -> Channel:
    """`irq_data_get_irq_chip_data`: the channel, from the mapping to the unmapping of its relid."""
    if not isinstance(desc.chip_data, Channel):
        raise TypeError(f"IRQ {desc.irq} of the VMBus has no channel")
    return desc.chip_data
