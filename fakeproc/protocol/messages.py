"""The VMBus protocol: what guest and host say to one another.

One dataclass a message, named and laid out after `include/linux/hyperv.h`
(`struct vmbus_channel_*`), with what an emulation has no use for left out.
Guest and host know each other by these and by the two ports at the end alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, TypeAlias
from uuid import UUID

__all__ = [
    "AllOffersDelivered",
    "CloseChannel",
    "GpadlCreated",
    "GpadlHeader",
    "GpadlTeardown",
    "GpadlTorndown",
    "GuestMessage",
    "GuestPort",
    "HostMessage",
    "HostPort",
    "HvStatus",
    "InitiateContact",
    "ModifyChannel",
    "ModifyChannelResponse",
    "Monitor",
    "OfferChannel",
    "OpenChannel",
    "OpenChannelResult",
    "RelidReleased",
    "RequestOffers",
    "RescindChannelOffer",
    "SubchannelRequest",
    "Unload",
    "UnloadResponse",
    "VersionResponse",
]


class HvStatus(IntEnum):
    """What the HvPostMessage hypercall answers (TLFS, appendix A)."""

    SUCCESS = 0
    INVALID_PARAMETER = 5
    INSUFFICIENT_MEMORY = 11
    INVALID_CONNECTION_ID = 18
    INSUFFICIENT_BUFFERS = 19


@dataclass(frozen=True, slots=True)
class Monitor:
    """A channel's slot in the monitor pages: latencies in units of 100 ns."""

    id: int
    connection_id: int
    latency: int = 0


# From the guest to the host


@dataclass(frozen=True, slots=True)
class InitiateContact:
    """Speak this protocol version with me; (major, minor)."""

    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class RequestOffers:
    """Offer me every device you have."""


@dataclass(frozen=True, slots=True)
class GpadlHeader:
    """Map these guest pages: the ring buffer of a channel."""

    relid: int
    gpadl: int
    pages: int


@dataclass(frozen=True, slots=True)
class GpadlTeardown:
    """Unmap a ring buffer again."""

    relid: int
    gpadl: int


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """Open a channel and interrupt `target_vp` for it."""

    relid: int
    gpadl: int
    target_vp: int


@dataclass(frozen=True, slots=True)
class CloseChannel:
    """Close a channel; the host answers nothing."""

    relid: int


@dataclass(frozen=True, slots=True)
class ModifyChannel:
    """Interrupt another virtual processor for this channel (protocol 4.1 and later)."""

    relid: int
    target_vp: int


@dataclass(frozen=True, slots=True)
class RelidReleased:
    """The guest has forgotten a rescinded channel; its relid is free."""

    relid: int


@dataclass(frozen=True, slots=True)
class Unload:
    """End the connection: forget every channel of mine."""


@dataclass(frozen=True, slots=True)
class SubchannelRequest:
    """Offer me `count` sub-channels of the device whose primary channel is `relid`.

    Not a control message: it travels in the ring of the open primary channel
    (NVSP_MSG5_TYPE_SUBCHANNEL, VSTOR_OPERATION_CREATE_SUB_CHANNELS), so no
    interrupt on HYP answers it.
    """

    relid: int
    count: int


# From the host to the guest


@dataclass(frozen=True, slots=True)
class VersionResponse:
    """Whether the host speaks the version asked for."""

    supported: bool


@dataclass(frozen=True, slots=True)
class OfferChannel:
    """Here is a channel: a new device, or a sub-channel where the index is not 0."""

    relid: int
    class_id: UUID
    instance_id: UUID
    subchannel_index: int = 0
    monitor: Monitor | None = None
    subchannels_available: int = 0
    pci_model: str = "nic"  # vpci: what PCI_BUS_RELATIONS, in the ring, will say
    is_hvsock: bool = False  # VMBUS_CHANNEL_TLNPI_PROVIDER_OFFER


@dataclass(frozen=True, slots=True)
class AllOffersDelivered:
    """The answer to RequestOffers is complete."""


@dataclass(frozen=True, slots=True)
class RescindChannelOffer:
    """The host takes a channel away."""

    relid: int


@dataclass(frozen=True, slots=True)
class GpadlCreated:
    """A ring buffer is mapped; status 0 for success."""

    relid: int
    gpadl: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class GpadlTorndown:
    """A ring buffer is unmapped."""

    gpadl: int


@dataclass(frozen=True, slots=True)
class OpenChannelResult:
    """A channel is open; status 0 for success."""

    relid: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class ModifyChannelResponse:
    """The acknowledgement of ModifyChannel (protocol 5.3 and later)."""

    relid: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class UnloadResponse:
    """The connection has ended."""


GuestMessage: TypeAlias = (
    InitiateContact
    | RequestOffers
    | GpadlHeader
    | GpadlTeardown
    | OpenChannel
    | CloseChannel
    | ModifyChannel
    | RelidReleased
    | Unload
)
HostMessage: TypeAlias = (
    VersionResponse
    | OfferChannel
    | AllOffersDelivered
    | RescindChannelOffer
    | GpadlCreated
    | GpadlTorndown
    | OpenChannelResult
    | ModifyChannelResponse
    | UnloadResponse
)


class HostPort(Protocol):
    """What a guest can reach of its host."""

    def post_message(self, message: GuestMessage) -> HvStatus:
        """HvPostMessage: hand a control message to the host; returns at once."""

    def send_packet(self, packet: SubchannelRequest) -> None:
        """Put a packet into the ring of an open channel and signal the host."""

    def start_timer(self, vp: int) -> None:
        """Switch a virtual processor's synthetic timer on (HV_X64_MSR_STIMER0_CONFIG)."""

    def stop_timer(self, vp: int) -> None:
        """Switch it off."""


class GuestPort(Protocol):
    """What a host can reach of its guest."""

    def interrupt(
        self, vp: int, relids: dict[int, int], message: HostMessage | None = None
    ) -> None:
        """Interrupt a virtual processor.

        `relids` maps each channel whose event flag is set to how often it was
        set and found since time last moved; `message` is what lies in the
        processor's message slot.
        """

    def hear_nothing(self, vp: int, count: int) -> None:
        """Receive `count` control messages that nobody waits for."""

    def traffic(self, vp: int, relid: int, count: int) -> None:
        """Interrupt a processor `count` times for a channel, in the time since it was looked at."""

    def channel_load(self, vp: int, relid: int, rate: float) -> None:
        """Know how often a second a channel interrupts a processor from now on."""

    def timer_load(self, vp: int, rate: float) -> None:
        """Know how often a second a processor's timer expires from now on."""

    def irq_load(self, irq: int, rate: float) -> None:
        """Know how often a second another interrupt is raised from now on."""

    def timer(self, vp: int, count: int) -> None:
        """Let a virtual processor's timer expire `count` times."""

    def raise_irq(self, irq: int, count: int) -> bool:
        """Let a device that is not the VMBus's raise its interrupt `count` times.

        False where there is no such interrupt (any more).
        """

    def jam_event_flag(self, vp: int, relid: int) -> None:
        """Set an event flag that no interrupt will ever consume: a fault."""

    def free_event_flags(self) -> None:
        """Let every such flag go."""
