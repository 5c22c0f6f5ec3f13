"""The connection to the host: versions, messages sent, answers waited for.

Mirrors `drivers/hv/connection.c`.
"""

from __future__ import annotations

from contextlib import contextmanager
from errno import EAGAIN, EINVAL, ENOBUFS
from typing import TYPE_CHECKING, TypeAlias

from fakeproc.guest.log import KERN_ERR
from fakeproc.locking import Mutex
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
    from collections.abc import Iterator

    from fakeproc.guest.log import KernelLog

__all__ = ["Connection"]

# What kernel code waits for: the kind of the answer, and the relid or GPADL it is about.
Awaited: TypeAlias = tuple[type[HostMessage], int]


class Connection:
    """`vmbus_connection`; `number` is which one, as the host counts, from 0 on."""

    def __init__(
        self, host: HostPort, log: KernelLog, versions: tuple[ProtocolVersion, ...], number: int
    ) -> None:
        self.host = host
        self.number = number
        self.channel_mutex = Mutex()
        self.is_confidential = False
        self.modify_sent = 0  # ModifyChannel messages, and answers to them (patch 11)
        self.modify_completed = 0
        self.version: ProtocolVersion = (0, 0)  # the protocol agreed on
        self._log = log
        self._versions = versions
        # In the order in which they began to wait, with the relid of the channel if any.
        self._awaited: list[tuple[Awaited, int, Completion[object]]] = []

    def has(self, message: type[Message]) -> bool:
        """Whether the protocol agreed on has a message."""
        return self.version >= message.since

    def negotiate(self, versions: tuple[ProtocolVersion, ...] = ()) -> Sleeper[None]:
        """`vmbus_connect`: the newest version that both speak; OSError EINVAL for none."""
        for version in versions or self._versions:
            with self.awaiting(VersionResponse) as answered:
                self.post(InitiateContact(version))
                answer = yield answered
            if isinstance(answer, VersionResponse) and answer.supported:
                self.version, self.is_confidential = version, answer.confidential
                if answer.confidential:
                    self._log.say("hv_vmbus: Establishing connection to the confidential VMBus")
                self._log.say(f"hv_vmbus: Vmbus version:{version[0]}.{version[1]}")
                return
        raise OSError(EINVAL, "the host speaks no version of the VMBus protocol that we do")

    def request_offers(self) -> Sleeper[None]:
        """`vmbus_request_offers`, until all have been delivered."""
        with self.awaiting(AllOffersDelivered) as delivered:
            self.post(RequestOffers())
            yield delivered

    def post(self, message: GuestMessage) -> None:
        """`vmbus_post_msg`.

        Raises OSError EAGAIN, ENOBUFS or EINVAL; EINVAL for a message that the
        protocol does not have.
        """
        if not self.has(type(message)):
            major, minor = self.version
            name = type(message).__name__
            raise OSError(EINVAL, f"VMBus protocol {major}.{minor} has no {name} message")
        status = self.host.post_message(message, self.number)
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

    @contextmanager
    def awaiting(
        self, kind: type[HostMessage], about: int = 0, relid: int = 0
    ) -> Iterator[Completion[object]]:
        """What completes when the host sends a `kind` about a relid, a GPADL or (0) nothing.

        With the message; or, where the channel `relid` is rescinded, with None.
        Leaving the block ends the wait, whatever has happened.
        """
        entry = (kind, about), relid, Completion[object]()
        self._awaited.append(entry)
        try:
            yield entry[2]
        finally:
            if entry in self._awaited:
                self._awaited.remove(entry)

    def arrived(self, about: int, message: HostMessage) -> None:
        """Wake the first who waits for a message, if anybody does."""
        for entry in self._awaited:
            if entry[0] == (type(message), about):
                self._awaited.remove(entry)
                entry[2].complete(message)
                return

    def rescinded(self, relid: int) -> None:
        """`vmbus_rescind_cleanup`: no answer comes any more about a channel."""
        for entry in [entry for entry in self._awaited if entry[1] == relid]:
            entry[2].complete(None)
