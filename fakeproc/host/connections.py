"""The VMBus connections of a partition, as the host has them: one, or since 5.0 several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakeproc.host.devices import HostChannel, Relids
    from fakeproc.protocol.messages import Message, ProtocolVersion

__all__ = ["HostConnection"]


@dataclass(slots=True, eq=False)
class HostConnection:
    """One connection; where relids are global, all connections have the same `relids`."""

    number: int  # from 0 on
    relids: Relids
    version: ProtocolVersion = (0, 0)  # that the guest has contacted the host with
    confidential: bool = False  # whether the guest has contacted the paravisor
    retargeted: int = 0  # when the last ModifyChannel that has come is acted on (ns)
    ended: int = 0  # how often the guest has ended it

    def has(self, message: type[Message]) -> bool:
        """Whether the protocol agreed on has a message."""
        return message.since <= self.version

    def channel(self, relid: int) -> HostChannel | None:
        """The channel that has a relid here."""
        channel = self.relids.taken.get(relid)
        return channel if channel and channel.device.connection == self.number else None
