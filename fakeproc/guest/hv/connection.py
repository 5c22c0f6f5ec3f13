"""The connection to the host: versions, messages sent, answers waited for.

Mirrors `drivers/hv/connection.c`.
"""

from __future__ import annotations

from errno import EAGAIN, EINVAL, ENOBUFS
from typing import TYPE_CHECKING, TypeAlias

from fakeproc.guest.log import KERN_ERR
from fakeproc.protocol.messages import (
    AllOffersDelivered,
    GuestMessage,
    HostMessage,
    HostPort,
    HvStatus,
    InitiateContact,
    Message,
    ProtocolVersion,
    RequestOffers,
    VersionResponse,
)
from fakeproc.timeline import Completion, Sleeper

if TYPE_CHECKING:
    from fakeproc.guest.log import KernelLog

__all__ = ["Connection"]

# What kernel code waits for: the kind of the answer, and the relid or GPADL it is about.
Awaited: TypeAlias = tuple[type[HostMessage], int]


class Connection:
    """`vmbus_connection`."""

    def __init__(
        self, host: HostPort, log: KernelLog, versions: tuple[ProtocolVersion, ...]
    ) -> None:
        self.host = host
        self.version: ProtocolVersion = (0, 0)  # the protocol agreed on
        self._log = log
        self._versions = versions
        self._awaited: dict[Awaited, Completion[object]] = {}

    def has(self, message: type[Message]) -> bool:
        """Whether the protocol agreed on has a message."""
        return self.version >= message.since

    def negotiate(self, versions: tuple[ProtocolVersion, ...] = ()) -> Sleeper[None]:
        """`vmbus_connect`: the newest version that both speak; OSError EINVAL for none."""
        for version in versions or self._versions:
            self.post(InitiateContact(version))
            answer = yield self.answer(VersionResponse, 0)
            if isinstance(answer, VersionResponse) and answer.supported:
                self.version = version
                self._log.say(f"hv_vmbus: Vmbus version:{version[0]}.{version[1]}")
                return
        raise OSError(EINVAL, "the host speaks no version of the VMBus protocol that we do")

    def request_offers(self) -> Sleeper[None]:
        """`vmbus_request_offers`, until all have been delivered."""
        self.post(RequestOffers())
        yield self.answer(AllOffersDelivered, 0)

    def post(self, message: GuestMessage) -> None:
        """`vmbus_post_msg`.

        Raises OSError EAGAIN, ENOBUFS or EINVAL; EINVAL for a message that the
        protocol does not have.
        """
        if not self.has(type(message)):
            major, minor = self.version
            name = type(message).__name__
            raise OSError(EINVAL, f"VMBus protocol {major}.{minor} has no {name} message")
        status = self.host.post_message(message)
        match status:
            case HvStatus.SUCCESS:
                return
            case HvStatus.INVALID_CONNECTION_ID:
                raise OSError(EAGAIN, "the host's message port is not there")
            case HvStatus.INSUFFICIENT_BUFFERS:
                raise OSError(ENOBUFS, "the host has no buffer for another message")
            case _:
                self._log.say(f"hv_vmbus: hv_post_msg() failed; error code:{status:d}", KERN_ERR)
                raise OSError(EINVAL, f"the host refused the message with status {status:d}")

    def answer(self, kind: type[HostMessage], about: int) -> Completion[object]:
        """What completes when the host says `kind` about a relid, a GPADL or (0) nothing."""
        return self._awaited.setdefault((kind, about), Completion())

    def arrived(self, about: int, message: HostMessage) -> None:
        """Wake who waits for a message, if anybody does."""
        awaited = self._awaited.pop((type(message), about), None)
        if awaited is not None:
            awaited.complete(message)
