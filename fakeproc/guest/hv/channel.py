"""Channels, the devices they belong to, and the drivers that bind to these.

Mirrors `struct vmbus_channel`, `struct hv_device` and `struct hv_driver`
(`include/linux/hyperv.h`), which name each other.

Invariants: a channel is in the `ChannelTable` exactly while its relid is
mapped, and has a `desc` exactly then with patch 8 of the series.
`Channel.target_cpu` changes in two places: `ChannelTable.add` places the
channel, and `ModifyChannels` moves it once the host has the message.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from fakeproc.guest.base.device import Device, DeviceDriver, Kobject
from fakeproc.protocol.classes import CLASS_GUIDS
from fakeproc.timeline import Completion, Sleeper

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from fakeproc.guest.base.device import Bus
    from fakeproc.guest.hv.connection import Connection
    from fakeproc.guest.hv.device_types import DeviceType
    from fakeproc.guest.hv.ring import Ring
    from fakeproc.guest.irq.core import IrqDesc
    from fakeproc.protocol.messages import OfferChannel, ProtocolVersion

__all__ = ["Channel", "ChannelKobject", "ChannelState", "Driver", "VmbusDevice"]


class ChannelState(IntEnum):
    """`enum vmbus_channel_state`; OPEN means offered, and not opened by a driver."""

    OFFER = 0
    OPENING = 1
    OPEN = 2
    OPENED = 3


def _nothing_due(_channel: Channel) -> None:
    """A channel that the table has not seen gets no interrupts."""


@dataclass(slots=True, eq=False)
class Channel:
    """`struct vmbus_channel`.

    `target_cpu` is the one place that says which CPU the guest believes the
    channel interrupts; affinity, `cpu`, `channel_vp_mapping` and `numa_node`
    are views of it.
    """

    offer: OfferChannel
    device: VmbusDevice
    irq_name: str
    connection: Connection  # on which the host has offered it
    target_cpu: int = 0
    state: ChannelState = ChannelState.OPEN
    desc: IrqDesc | None = None  # while the relid is mapped
    irq_requested: bool = False  # whether the action of `desc` is this channel's
    gpadl: int = 0
    outbound: Ring | None = None
    inbound: Ring | None = None
    rescinded: bool = False
    kobject: ChannelKobject | None = None  # channels/<relid>, while it is there
    opening: Completion[object] | None = None  # done when an open that is under way ends
    handled: int = 0  # interrupts that the callback has handled, as far as they are delivered
    handled_elsewhere: int = 0  # those of them that came to another CPU than `target_cpu`
    due: Callable[[Channel], None] = _nothing_due  # delivers what has come and is not handled

    @property
    def interrupts(self) -> int:
        """How many the channel's callback has handled, up to now."""
        self.due(self)
        return self.handled

    @property
    def elsewhere(self) -> int:
        """How many of them came to another CPU than the guest had chosen: a move was under way."""
        self.due(self)
        return self.handled_elsewhere

    @property
    def events(self) -> int:
        """Signals sent to the host: one for each."""
        return self.interrupts

    @property
    def rings(self) -> tuple[Ring | None, Ring | None]:
        """To the host and from the host, as they stand now; None while the channel is closed."""
        self.due(self)
        return self.outbound, self.inbound

    @property
    def relid(self) -> int:
        """The channel's number, 1 to 2047; unique at least on its connection."""
        return self.offer.relid

    @property
    def is_primary(self) -> bool:
        """Whether it came with the device rather than on request."""
        return self.offer.subchannel_index == 0


class ChannelKobject(Kobject):
    """`channel->kobj`: the directory channels/<relid>, named by the relid that it began with."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(str(channel.relid), channel.device.channels_kset)
        self.channel = channel


class VmbusDevice(Device):
    """`struct hv_device`: an instance GUID, a primary channel and its sub-channels.

    It lies in `parent` under its instance GUID.
    """

    driver: Driver | None

    def __init__(
        self, type_: DeviceType, offer: OfferChannel, parent: Kobject, bus: Bus[VmbusDevice]
    ) -> None:
        super().__init__(str(offer.instance_id), parent, bus=bus)
        self.type = type_
        self.offer = offer
        self.channels: list[Channel] = []  # primary first, as they arrived
        self.channels_kset = Kobject("channels", self)  # there from `_register` to `_unregister`
        self.driver_override: str | None = None

    @property
    def modalias(self) -> str:
        """What udev finds the driver by: the class GUID as it lies in memory."""
        return f"vmbus:{self.offer.class_id.bytes_le.hex()}"

    @property
    def primary(self) -> Channel:
        """The channel that came with the device."""
        return self.channels[0]


class Driver(DeviceDriver, ABC):
    """`struct hv_driver`: binds to devices by class GUID."""

    softirq = "TASKLET"  # where a channel's callback runs (HV_CALL_BATCHED)
    suspends = True  # whether it has a `suspend`
    since: ProtocolVersion = (0, 13)  # the first protocol on which it registers itself

    def __init__(self, name: str, classes: tuple[str, ...], ring_size: int) -> None:
        super().__init__(name)
        self.id_table = frozenset(CLASS_GUIDS[name] for name in classes)
        self.dynamic_ids: list[UUID] = []  # from new_id
        self.ring_size = ring_size  # bytes, each direction

    def matches(self, device: VmbusDevice) -> bool:
        """`hv_vmbus_get_id`: an override decides alone, else the ids do."""
        if device.offer.is_hvsock:
            return False
        if device.driver_override is not None:
            return device.driver_override == self.name
        class_id = device.offer.class_id
        return class_id in self.dynamic_ids or class_id in self.id_table

    def ring_size_of(self, _device: VmbusDevice) -> int:
        """Bytes, each direction."""
        return self.ring_size

    @abstractmethod
    def probe(self, device: VmbusDevice) -> Sleeper[None]:
        """Take a device; raises OSError when that fails, with everything as it was."""

    @abstractmethod
    def subchannel_offered(self, channel: Channel) -> Sleeper[None]:
        """`sc_creation_callback`: the host offers a sub-channel of a bound device."""

    @abstractmethod
    def remove(self, device: VmbusDevice) -> Sleeper[None]:
        """Give the device back, every channel of it closed."""

    @abstractmethod
    def suspend(self, device: VmbusDevice) -> Sleeper[None]:
        """Close every channel, and forget nothing else."""

    @abstractmethod
    def resume(self, device: VmbusDevice) -> Sleeper[None]:
        """Open the channels again; raises OSError."""
