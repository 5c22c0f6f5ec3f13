"""Another CPU for a channel, asked for through channels/<relid>/cpu.

The series goes through the IRQ layer; kernels without it tell the host
themselves, and wait for its answer (`vmbus_drv.c: target_cpu_store`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from errno import EINVAL, EIO
from typing import TYPE_CHECKING

from fakeproc.guest.hv.channel import ChannelState

if TYPE_CHECKING:
    from fakeproc.guest.hv.channel import Channel
    from fakeproc.guest.hv.vmbus import Vmbus
    from fakeproc.timeline import Sleeper

__all__ = ["Direct", "Retargeting", "ThroughIrq"]


class Retargeting(ABC):
    """`parses_first`: whether the number is looked at before the protocol is."""

    parses_first = False

    def __init__(self, bus: Vmbus) -> None:
        self._bus = bus

    def check_protocol(self) -> None:
        """Raise OSError EIO where the host cannot re-target channels at all."""
        connection = self._bus.connection
        if not connection.can_retarget:
            major, minor = connection.version
            raise OSError(EIO, f"VMBus protocol {major}.{minor} has no ModifyChannel message")

    def _check_number(self, cpu: int) -> None:
        if cpu >= self._bus.cpus.nr_cpu_ids:
            raise OSError(EINVAL, f"there is no CPU {cpu}")

    @abstractmethod
    def set_cpu(self, channel: Channel, cpu: int) -> Sleeper[None]:
        """Interrupt `cpu` from now on, once the number is read and the protocol checked."""


class ThroughIrq(Retargeting):
    """Patch 10: the affinity of the channel's IRQ becomes this one CPU."""

    def set_cpu(self, channel: Channel, cpu: int) -> Sleeper[None]:
        """Raise OSError.

        EINVAL for a CPU that is not, is offline or isolated; EIO for another
        CPU than now while the channel is not opened; or what posting gives.
        """
        self._check_number(cpu)
        if channel.desc is None:
            raise OSError(EINVAL, f"channel {channel.relid} has no IRQ")
        self._bus.irqs.set_affinity(channel.desc, 1 << cpu)
        yield from ()


class Direct(Retargeting):
    """Without the series; since v6.15 the number is looked at before the protocol."""

    def __init__(self, bus: Vmbus, *, parses_first: bool) -> None:
        super().__init__(bus)
        self.parses_first = parses_first

    def set_cpu(self, channel: Channel, cpu: int) -> Sleeper[None]:
        """`vmbus_channel_set_cpu`; raises OSError.

        EINVAL for a CPU that is not, is isolated or offline; EIO while the
        channel is not opened, and whatever the host refuses.
        """
        cpus = self._bus.cpus
        self._check_number(cpu)
        if not cpus.housekeeping_managed_irq >> cpu & 1:
            raise OSError(EINVAL, f"CPU {cpu} is isolated")
        if not cpus.is_online(cpu):
            raise OSError(EINVAL, f"CPU {cpu} is offline")
        if channel.state is not ChannelState.OPENED:
            raise OSError(EIO, f"channel {channel.relid} is not opened")
        if cpu != channel.target_cpu:
            yield from self._bus.modify_and_wait(channel, cpu)
