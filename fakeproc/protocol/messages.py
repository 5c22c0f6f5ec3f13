"""The VMBus protocol: the messages between guest and host.

One dataclass a message, named and laid out after `include/linux/hyperv.h`
(`struct vmbus_channel_*`), without the fields that an emulation has no use
for.  A message carries the first version of the protocol that has it; each
side checks that where it posts or receives one.  Guest and host know each
other by these messages and by the two ports at the end alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Protocol, TypeAlias
from uuid import UUID

__all__ = [
    "CONFIDENTIAL_SINCE",
    "CONNECTIONS_SINCE",
    "MAX_RELID",
    "Adapter",
    "AdapterQuery",
    "AllOffersDelivered",
    "BusRelations",
    "BusRelationsQuery",
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
    "LunsQuery",
    "Message",
    "ModifyChannel",
    "ModifyChannelResponse",
    "Monitor",
    "OfferChannel",
    "OpenChannel",
    "OpenChannelResult",
    "ProtocolVersion",
    "RelidReleased",
    "RequestOffers",
    "RescindChannelOffer",
    "SubchannelRequest",
    "TlConnectRequest",
    "TlConnectResult",
    "Unload",
    "UnloadResponse",
    "VersionResponse",
]

MAX_RELID = 2047  # MAX_CHANNEL_RELIDS - 1 (drivers/hv/hyperv_vmbus.h); 0 is the protocol's
ProtocolVersion: TypeAlias = tuple[int, int]  # major, minor
CONNECTIONS_SINCE: ProtocolVersion = (5, 0)  # VERSION_WIN10_V5: a guest may have several
CONFIDENTIAL_SINCE: ProtocolVersion = (6, 0)  # VERSION_WIN_COPPER: the VMBus may be confidential


class HvStatus(IntEnum):
    """What the HvPostMessage hypercall answers (TLFS, appendix A)."""

    SUCCESS = 0
    INVALID_PARAMETER = 5
    INVALID_CONNECTION_ID = 18
    INSUFFICIENT_BUFFERS = 19


@dataclass(frozen=True, slots=True)
class Monitor:
    """A channel's slot in the monitor pages: latencies in units of 100 ns."""

    id: int
    connection_id: int
    latency: int = 0


class Message:
    """A control message; `since` is the first protocol (major, minor) that has it."""

    __slots__ = ()
    since: ClassVar[ProtocolVersion] = (0, 13)  # VERSION_WS2008


# From the guest to the host


@dataclass(frozen=True, slots=True)
class InitiateContact(Message):
    """Speak this protocol version with me: the message that comes before any other."""

    since = (0, 0)

    version: ProtocolVersion


@dataclass(frozen=True, slots=True)
class RequestOffers(Message):
    """Offer me every device you have."""


@dataclass(frozen=True, slots=True)
class GpadlHeader(Message):
    """Map these guest pages: the ring buffer of a channel."""

    relid: int
    gpadl: int
    pages: int


@dataclass(frozen=True, slots=True)
class GpadlTeardown(Message):
    """Unmap a ring buffer again."""

    relid: int
    gpadl: int


@dataclass(frozen=True, slots=True)
class OpenChannel(Message):
    """Open a channel and interrupt `target_vp` for it."""

    relid: int
    gpadl: int
    target_vp: int


@dataclass(frozen=True, slots=True)
class CloseChannel(Message):
    """Close a channel; the host answers nothing."""

    relid: int


@dataclass(frozen=True, slots=True)
class ModifyChannel(Message):
    """Interrupt another virtual processor for this channel."""

    since = (4, 1)  # VERSION_WIN10_V4_1

    relid: int
    target_vp: int


@dataclass(frozen=True, slots=True)
class RelidReleased(Message):
    """The guest has forgotten a rescinded channel; its relid is free."""

    relid: int


@dataclass(frozen=True, slots=True)
class Unload(Message):
    """End the connection: forget every channel of mine."""

    since = (3, 0)  # VERSION_WIN8_1: older hosts support no second connection


@dataclass(frozen=True, slots=True)
class TlConnectRequest(Message):
    """A program of the guest connects to a service of the host, from an endpoint of its own."""

    since = (4, 0)  # VERSION_WIN10

    service_id: UUID
    endpoint_id: UUID


@dataclass(frozen=True, slots=True)
class SubchannelRequest:
    """Offer me `count` sub-channels of the device whose primary channel is `relid`.

    Not a control message: it travels in the ring of the open primary channel
    (NVSP_MSG5_TYPE_SUBCHANNEL, VSTOR_OPERATION_CREATE_SUB_CHANNELS), so no
    interrupt on HYP answers it.
    """

    relid: int
    count: int


@dataclass(frozen=True, slots=True)
class BusRelationsQuery:
    """A question: which functions the PCI bus has whose channel is `relid`.

    A packet in the ring of the open channel (PCI_QUERY_BUS_RELATIONS).
    """

    relid: int


@dataclass(frozen=True, slots=True)
class BusRelations:
    """The answer (PCI_BUS_RELATIONS): the model of the one function, None for no function."""

    model: str | None
    address: bytes = b""  # of a network function: the MAC address that the host has given it


@dataclass(frozen=True, slots=True)
class AdapterQuery:
    """A question: which network adapter it is whose channel is `relid`.

    A packet in the ring of the open channel (RNDIS_MSG_QUERY).
    """

    relid: int


@dataclass(frozen=True, slots=True)
class Adapter:
    """The answer: its MAC address and its speed in Mb/s (OID_802_3_PERMANENT_ADDRESS, _LINK_SPEED).

    None, where nobody reads the ring.
    """

    address: bytes
    speed: int


@dataclass(frozen=True, slots=True)
class LunsQuery:
    """A question: which disks the controller has whose channel is `relid`.

    Packets in the ring of the open channel (REPORT LUNS, READ CAPACITY); the answer is the
    size of each in bytes, from unit 0 on.
    """

    relid: int


# From the host to the guest


@dataclass(frozen=True, slots=True)
class VersionResponse(Message):
    """Whether the host speaks the version asked for, and whether a paravisor answers for it."""

    supported: bool
    confidential: bool = False


@dataclass(frozen=True, slots=True)
class OfferChannel(Message):
    """Here is a channel: a new device, or a sub-channel where the index is not 0."""

    relid: int
    class_id: UUID
    instance_id: UUID
    subchannel_index: int = 0
    monitor: Monitor | None = None
    subchannels_available: int = 0
    encrypted: bool = False  # offered by the paravisor, with rings in encrypted memory
    is_hvsock: bool = False  # VMBUS_CHANNEL_TLNPI_PROVIDER_OFFER
    from_host: bool = False  # of a socket: which side has connected (`u.pipe.user_def[0]`)


@dataclass(frozen=True, slots=True)
class AllOffersDelivered(Message):
    """The answer to RequestOffers is complete."""


@dataclass(frozen=True, slots=True)
class RescindChannelOffer(Message):
    """The host takes a channel away."""

    relid: int


@dataclass(frozen=True, slots=True)
class GpadlCreated(Message):
    """A ring buffer is mapped; status 0 for success."""

    relid: int
    gpadl: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class GpadlTorndown(Message):
    """A ring buffer is unmapped."""

    gpadl: int


@dataclass(frozen=True, slots=True)
class OpenChannelResult(Message):
    """A channel is open; status 0 for success."""

    relid: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class ModifyChannelResponse(Message):
    """The acknowledgement of ModifyChannel."""

    since = (5, 3)  # VERSION_WIN10_V5_3

    relid: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class UnloadResponse(Message):
    """The connection has ended."""

    since = Unload.since


@dataclass(frozen=True, slots=True)
class TlConnectResult(Message):
    """A connection by socket was refused: Linux has no handler for this message."""

    since = TlConnectRequest.since

    status: int = 0


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
    | TlConnectRequest
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
    | TlConnectResult
)


class HostPort(Protocol):
    """What a guest can reach of its host."""

    # A guest has one connection to its host, number 0, or several.

    def post_message(self, message: GuestMessage, connection: int = 0) -> HvStatus:
        """HvPostMessage: hand a control message to the host; returns at once."""

    def send_packet(self, packet: SubchannelRequest, connection: int = 0) -> None:
        """Put a packet into the ring of an open channel and signal the host."""

    def query(self, packet: BusRelationsQuery, connection: int = 0) -> BusRelations:
        """Put a packet into the ring of an open channel, and read the answer from there."""

    def query_adapter(self, packet: AdapterQuery, connection: int = 0) -> Adapter | None:
        """Ask a network adapter in the same way; None where its channel is not open."""

    def query_luns(self, packet: LunsQuery, connection: int = 0) -> tuple[int, ...]:
        """Ask a controller in the same way; none where its channel is not open."""

    def stuck_event_flags(self, vp: int, connection: int = 0) -> set[int]:
        """The event flags in a virtual processor's page that no interrupt will consume."""

    def start_timer(self, vp: int) -> None:
        """Switch a virtual processor's synthetic timer on (HV_X64_MSR_STIMER0_CONFIG)."""

    def stop_timer(self, vp: int) -> None:
        """Switch it off."""

    # Traffic is delivered when somebody looks.  A guest that is about to look, or
    # to change what an interrupt finds, calls one of these first.

    def settle(self) -> None:
        """Deliver every interrupt that is due by now."""

    def settle_channel(self, relid: int, connection: int = 0) -> None:
        """Deliver what is due of one channel, if there is such a channel."""

    def settle_irq(self, irq: int) -> None:
        """Deliver what is due of an interrupt that is not the VMBus's."""

    def settle_cpu(self, vp: int) -> None:
        """Deliver what is due on a processor."""

    def expect_irq(self, irq: int) -> None:
        """Deliver the next one of an interrupt at the moment that it comes."""

    def forget_irq(self, irq: int) -> None:
        """Raise an interrupt no more that is freed next."""


class GuestPort(Protocol):
    """What a host can reach of its guest."""

    def interrupt(
        self,
        vp: int,
        relids: dict[int, int],
        message: HostMessage | None = None,
        times: int = 1,
        connection: int = 0,
    ) -> None:
        """Interrupt a virtual processor for a connection.

        `relids` maps each channel whose event flag is set to how often it was
        set and found since time last moved; `message` is what lies in the
        processor's message slot.  A message that the guest has no handler for
        may come `times` times, one interrupt each.
        """

    def traffic(self, vp: int, relid: int, count: int, connection: int = 0) -> None:
        """Interrupt a processor `count` times for a channel, in the time since it was looked at."""

    def channel_load(self, vp: int, relid: int, rate: float, connection: int = 0) -> None:
        """Know how often a second a channel interrupts a processor from now on."""

    def timer_load(self, vp: int, rate: float) -> None:
        """Know how often a second a processor's timer expires from now on."""

    def irq_load(self, irq: int, rate: float) -> None:
        """Know how often a second another interrupt is raised from now on."""

    def timer(self, vp: int, count: int) -> None:
        """Let a virtual processor's timer expire `count` times."""

    def raise_irq(self, irq: int, count: int) -> None:
        """Let a device that is not the VMBus's raise its interrupt `count` times."""

    def has_event_flags(self) -> bool:
        """Whether event flags are set on some processor that no interrupt has consumed."""
