"""The devices of a partition, as the host has them, and the relids it gives out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from fakeproc.protocol.messages import Monitor, OfferChannel

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from fakeproc.host.traffic import Source
    from fakeproc.profiles.schema import Device, MonitorSlot

__all__ = [
    "MAX_RELID",
    "HostChannel",
    "HostChannelState",
    "HostDevice",
    "Relids",
    "device_of_profile",
    "socket_device",
]

MAX_RELID = 2047  # the event flags of a synic are 2,048 bits, of which 0 is not used


class HostChannelState(Enum):
    """How far the host has come with a channel.

    FREE -> UNANNOUNCED -> OFFERED <-> OPEN; a rescind leads from OFFERED or
    OPEN to LEAVING, and the guest's RelidReleased from there to FREE.
    """

    FREE = auto()  # it has no relid
    UNANNOUNCED = auto()  # it has a relid, and the offer is on its way
    OFFERED = auto()  # the guest has the offer
    OPEN = auto()  # the guest has opened it: the host may interrupt for it
    LEAVING = auto()  # the host has taken it back, and waits for the guest to release the relid


def _nothing_due(_channel: HostChannel) -> None:
    """A channel that was never offered has no traffic."""


@dataclass(slots=True, eq=False)
class HostChannel:
    """The host's end of a channel.

    `preferred` is the relid it is given when that is free.  `target_vp` is
    where its interrupts go, which is not always where the guest believes.
    """

    device: HostDevice
    index: int  # 0 for the primary channel
    preferred: int | None = None
    monitor: Monitor | None = None
    state: HostChannelState = HostChannelState.FREE
    relid: int = 0  # 0 while it is free
    offers: int = 0  # how often it has been offered
    opened: int = 0  # how often the guest has opened it
    target_vp: int = 0
    traffic: Source | None = None
    delivered: int = 0  # interrupts that the guest has had
    due: Callable[[HostChannel], None] = _nothing_due  # delivers what the traffic has sent

    @property
    def sent(self) -> int:
        """How often the host has interrupted for it, up to now."""
        self.due(self)
        return self.delivered

    @property
    def open(self) -> bool:
        """Whether the host may interrupt for it."""
        return self.state is HostChannelState.OPEN

    @property
    def leaving(self) -> bool:
        """Whether the host has taken it back and the guest has not let go of it yet."""
        return self.state is HostChannelState.LEAVING


@dataclass(slots=True, eq=False)
class HostDevice:
    """A device: the primary channel, and as many more as it can have."""

    class_id: UUID
    instance: UUID
    subchannel_delay: int = 0  # ns, from the request to the offer
    channels: list[HostChannel] = field(default_factory=list)
    pci_model: str = "nic"  # what lies behind a vpci device
    address: bytes = b""  # of what is for the network: its MAC address
    disks: tuple[int, ...] = ()  # of a storage controller: bytes of each, from unit 0 on
    is_hvsock: bool = False
    from_host: bool = False  # a socket: which side has connected
    encrypted: bool = False  # offered by the paravisor, with rings in encrypted memory
    connection: int = 0  # the number of the connection that it is offered on

    @property
    def primary(self) -> HostChannel:
        """The channel that is offered with the device."""
        return self.channels[0]

    def offer(self, channel: HostChannel) -> OfferChannel:
        """The message that offers a channel."""
        return OfferChannel(
            channel.relid,
            self.class_id,
            self.instance,
            channel.index,
            channel.monitor,
            len(self.channels) - 1,
            self.encrypted,
            self.is_hvsock,
            self.from_host,
        )


class Relids:
    """Which relid is whose; given out lowest first, and again when released."""

    def __init__(self) -> None:
        self.taken: dict[int, HostChannel] = {}
        self._as_preferred = True

    def take(self, channel: HostChannel) -> None:
        """Give a channel a relid; raises LookupError when none is left."""
        preferred = channel.preferred
        if self._as_preferred and preferred is not None and preferred not in self.taken:
            channel.relid = preferred
        else:
            channel.relid = next(n for n in range(1, MAX_RELID + 2) if n not in self.taken)
            if channel.relid > MAX_RELID:
                channel.relid = 0
                raise LookupError("the host has no relid left")
        channel.state = HostChannelState.UNANNOUNCED
        self.taken[channel.relid] = channel

    @property
    def left(self) -> int:
        """How many more channels can have a relid."""
        return MAX_RELID - len(self.taken)

    def forget(self, connection: int) -> None:
        """Take every relid of a connection back, and from now on give them out as they come."""
        for relid, channel in list(self.taken.items()):
            if channel.device.connection == connection:
                self.release(relid)
        self._as_preferred = False

    def release(self, relid: int) -> None:
        """Let a relid be given out again."""
        channel = self.taken.pop(relid, None)
        if channel is not None:
            channel.state = HostChannelState.FREE
            channel.relid = channel.delivered = 0


def device_of_profile(wanted: Device, subchannel_delay: int) -> HostDevice:
    """A device as the profile describes it; `subchannel_delay` in ns."""
    device = HostDevice(
        wanted.class_id,
        wanted.instance,
        subchannel_delay,
        pci_model=wanted.pci,
        disks=tuple(gib << 30 for gib in wanted.disks_gib),
        encrypted=wanted.encrypted,
        connection=wanted.connection - 1,
    )
    device.channels = [
        HostChannel(device, index, channel.relid, _monitor(channel.monitor))
        for index, channel in enumerate(wanted.channels)
    ]
    first = len(device.channels)
    device.channels += [
        HostChannel(device, index) for index in range(first, first + wanted.more_subchannels)
    ]
    return device


def socket_device(
    service: UUID, instance: UUID, relid: int | None, *, from_host: bool, connection: int = 0
) -> HostDevice:
    """A connection by socket: a device with one channel, for as long as the connection lasts."""
    device = HostDevice(
        service, instance, is_hvsock=True, from_host=from_host, connection=connection
    )
    device.channels = [HostChannel(device, 0, relid)]
    return device


def _monitor(slot: MonitorSlot | None) -> Monitor | None:
    return Monitor(slot.id, slot.connection_id, slot.latency) if slot else None
