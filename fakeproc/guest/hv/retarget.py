"""Another CPU for a channel, requested through channels/<relid>/cpu.

Patch 10 goes through the IRQ layer; kernels without it send the message
themselves, and wait for its answer (`vmbus_drv.c: target_cpu_store`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from errno import EINVAL, EIO
from typing import TYPE_CHECKING

from fakeproc.guest.hv.channel import ChannelState
from fakeproc.protocol.messages import ModifyChannel

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.channel import Channel
    from fakeproc.guest.hv.connection import Connection
    from fakeproc.guest.hv.modify import ModifyChannels
    from fakeproc.guest.irq.core import IrqCore
    from fakeproc.timeline import Sleeper

__all__ = ["Direct", "Retargeting", "ThroughIrq"]


class Retargeting(ABC):
    """`target_cpu_store`: in which order a kernel looks at the protocol and at the number."""

    parses_first = False  # whether it looks at the number before the protocol
    store_returns_count = True  # else 0, which is what irq_set_affinity() returns

    def __init__(self, cpus: Cpus) -> None:
        self._cpus = cpus

    def store(self, channel: Channel, parse: Callable[[], int | None]) -> Sleeper[None]:
        """Interrupt the CPU that `parse` reads from what was written.

        Raises OSError: EIO where the host cannot re-target channels at all or
        `parse` finds no number (None), else what `set_cpu` raises.
        """
        if not self.parses_first:
            self._check_protocol(channel.connection)
        cpu = parse()
        if cpu is None:
            raise OSError(EIO, "not a number")
        self._check_protocol(channel.connection)
        yield from self._locked(channel, cpu)

    def _locked(self, channel: Channel, cpu: int) -> Sleeper[None]:
        """`set_cpu`, under the locks that the file takes."""
        yield from self.set_cpu(channel, cpu)

    @staticmethod
    def _check_protocol(connection: Connection) -> None:
        if not connection.has(ModifyChannel):
            major, minor = connection.version
            raise OSError(EIO, f"VMBus protocol {major}.{minor} has no ModifyChannel message")

    def _check_number(self, cpu: int) -> None:
        if cpu >= self._cpus.nr_cpu_ids:
            raise OSError(EINVAL, f"there is no CPU {cpu}")

    @abstractmethod
    def set_cpu(self, channel: Channel, cpu: int) -> Sleeper[None]:
        """Interrupt `cpu` from now on, on a protocol that can."""


class ThroughIrq(Retargeting):
    """Patch 10: the affinity of the channel's IRQ becomes this one CPU."""

    def __init__(self, cpus: Cpus, irqs: IrqCore, *, store_returns_count: bool) -> None:
        super().__init__(cpus)
        self.store_returns_count = store_returns_count
        self._irqs = irqs

    def set_cpu(self, channel: Channel, cpu: int) -> Sleeper[None]:
        """Raise OSError.

        EINVAL for a CPU that is not, is offline or isolated; EIO for another
        CPU than now while the channel is not opened; or what posting gives.
        """
        self._check_number(cpu)
        if channel.desc is None:
            raise OSError(EINVAL, f"channel {channel.relid} has no IRQ")
        self._irqs.set_affinity(channel.desc, 1 << cpu)
        yield from ()


class Direct(Retargeting):
    """Without the series; since v6.15 the number is looked at before the protocol.

    It holds the connection's `channel_mutex` until the host has answered: so one
    channel moves at a time, none while a CPU comes or goes, and no CPU goes meanwhile.
    """

    def __init__(self, cpus: Cpus, modify: ModifyChannels, *, parses_first: bool) -> None:
        super().__init__(cpus)
        self.parses_first = parses_first
        self._modify = modify

    def _locked(self, channel: Channel, cpu: int) -> Sleeper[None]:
        self._check_number(cpu)
        with (yield from self._cpus.hotplug_lock.read()):  # cpus_read_lock()
            self._check_online(cpu)
            with (yield from channel.connection.channel_mutex.acquire()):
                yield from self.set_cpu(channel, cpu)

    def set_cpu(self, channel: Channel, cpu: int) -> Sleeper[None]:
        """`vmbus_channel_set_cpu`; raises OSError.

        EINVAL for a CPU that is not, is isolated or offline; EIO while the
        channel is not opened, and whatever the host refuses.
        """
        self._check_number(cpu)
        self._check_online(cpu)
        if channel.state is not ChannelState.OPENED:
            raise OSError(EIO, f"channel {channel.relid} is not opened")
        if cpu != channel.target_cpu:
            yield from self._modify.send_and_wait(channel, cpu)

    def _check_online(self, cpu: int) -> None:
        cpus = self._cpus
        if not cpus.housekeeping_managed_irq >> cpu & 1:
            raise OSError(EINVAL, f"CPU {cpu} is isolated")
        if not cpus.is_online(cpu):
            raise OSError(EINVAL, f"CPU {cpu} is offline")
