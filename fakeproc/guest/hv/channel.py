"""Channels, their ring buffers, and the devices they belong to.

Mirrors `struct vmbus_channel`, `struct hv_ring_buffer_info` and
`struct hv_device` (`include/linux/hyperv.h`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from fakeproc.timeline import Completion, Mutex

if TYPE_CHECKING:
    from fakeproc.guest.hv.device_types import DeviceType
    from fakeproc.guest.hv.drivers import Driver
    from fakeproc.guest.irq.core import IrqDesc
    from fakeproc.guest.pci.functions import PciFunction
    from fakeproc.protocol.messages import OfferChannel

__all__ = ["PAGE_SIZE", "Channel", "ChannelState", "Ring", "VmbusDevice"]

PAGE_SIZE = 4096


class ChannelState(IntEnum):
    """`enum vmbus_channel_state`; OPEN means offered, and not opened by a driver."""

    OFFER = 0
    OPENING = 1
    OPEN = 2
    OPENED = 3


@dataclass(slots=True)
class Ring:
    """One direction of a ring buffer: `size` bytes, of which a page is the header.

    At rest everything written has been read, so both indices are where the
    bytes that went through have left them.
    """

    size: int
    bytes_through: int = 0
    interrupt_mask: int = 0

    @property
    def data_size(self) -> int:
        """Bytes that hold data."""
        return self.size - PAGE_SIZE

    @property
    def read_index(self) -> int:
        """Where the reader stands."""
        return self.bytes_through % self.data_size

    @property
    def write_index(self) -> int:
        """Where the writer stands."""
        return self.bytes_through % self.data_size

    @property
    def bytes_to_read(self) -> int:
        """`hv_get_bytes_to_read`."""
        return (self.write_index - self.read_index) % self.data_size

    @property
    def bytes_to_write(self) -> int:
        """`hv_get_bytes_to_write`: with equal indices the ring is empty, never full."""
        return self.data_size - self.bytes_to_read


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
    target_cpu: int = 0
    state: ChannelState = ChannelState.OPEN
    desc: IrqDesc | None = None  # while the relid is mapped
    gpadl: int = 0
    outbound: Ring | None = None
    inbound: Ring | None = None
    rescinded: bool = False
    sysfs_name: int | None = None  # of channels/<relid> while it is there: its first relid
    opening: Completion[object] | None = None  # done when an open that is under way ends
    interrupts: int = 0  # handled by the channel's callback
    events: int = 0  # signals sent to the host

    @property
    def relid(self) -> int:
        """The channel's number, unique among all channels, 1 to 2047."""
        return self.offer.relid

    @property
    def in_sysfs(self) -> bool:
        """Whether channels/<relid> is there."""
        return self.sysfs_name is not None

    @property
    def is_primary(self) -> bool:
        """Whether it came with the device rather than on request."""
        return self.offer.subchannel_index == 0


@dataclass(slots=True, eq=False)
class VmbusDevice:
    """`struct hv_device`: an instance GUID, a primary channel and its sub-channels."""

    type: DeviceType
    offer: OfferChannel
    channels: list[Channel] = field(default_factory=list)  # primary first, as they arrived
    driver: Driver | None = None
    has_channels_directory: bool = True  # until the device is being unregistered
    driver_override: str | None = None
    lock: Mutex = field(default_factory=Mutex)  # device_lock: held by who binds or unbinds
    shows_rings: bool = False  # uio_hv_generic: whether channels/<relid>/ring is there
    scsi_host: int | None = None  # storvsc: the number of host<n>
    combined: int | None = None  # netvsc: channels that `ethtool -L` asked for
    pci: PciFunction | None = None  # hv_pci: the function behind it

    @property
    def name(self) -> str:
        """The device's name in sysfs: the instance GUID."""
        return str(self.offer.instance_id)

    @property
    def modalias(self) -> str:
        """What udev finds the driver by: the class GUID as it lies in memory."""
        return f"vmbus:{self.offer.class_id.bytes_le.hex()}"

    @property
    def primary(self) -> Channel:
        """The channel that came with the device."""
        return self.channels[0]
