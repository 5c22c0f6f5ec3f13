"""Requests to the kernel about network interfaces: `net/core/rtnetlink.c`.

A socket belongs to the network namespace that it was made in, whoever has it.  The kernel
does what a message asks before sendto(2) returns, and the answer is there to be read.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EINVAL
from itertools import count

__all__ = [
    "NETLINK_ROUTE",
    "RTMGRP_LINK",
    "Attributes",
    "Link",
    "Route",
    "attribute",
    "kind_of_link",
    "text",
]

NETLINK_ROUTE, RTMGRP_LINK = 0, 1

# include/uapi/linux/netlink.h and rtnetlink.h.
_HEADER = struct.Struct("IHHII")  # `struct nlmsghdr`: length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("HH")
_LINK = struct.Struct("BxHiII")  # `struct ifinfomsg`: family, type, index, flags, change
_ERROR, _NEWLINK, _DELLINK, _GETLINK = 2, 16, 17, 18
_REQUEST, _ACK, _EXCL, _CREATE = 0x1, 0x4, 0x200, 0x400
_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_LINKINFO, _INFO_KIND = 18, 1  # include/uapi/linux/if_link.h
_NUM_TX_QUEUES, _TOO_MANY = 31, 4097
_MOST = 65536  # bytes of an answer

Attributes = bytes  # one after the other


def attribute(kind: int, payload: bytes | int) -> Attributes:
    """`struct nlattr`, padded; a number is one of 32 bits."""
    data = struct.pack("I", payload) if isinstance(payload, int) else payload
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(data), kind) + data + bytes(-len(data) % 4)


def kind_of_link(name: str) -> Attributes:
    """IFLA_LINKINFO: which kind of interface to make."""
    return attribute(_LINKINFO, attribute(_INFO_KIND, name.encode()))


def text(words: str) -> bytes:
    """A string, as an attribute has it."""
    return words.encode(errors="surrogateescape") + b"\0"


@dataclass(frozen=True, slots=True)
class Link:
    """What RTM_NEWLINK says of an interface: its number, its IFF_ flags and its attributes."""

    index: int
    flags: int
    attributes: dict[int, bytes]


class Route:
    """Requests by a socket of NETLINK_ROUTE, which it owns."""

    def __init__(self, its_socket: socket.socket) -> None:
        self._socket = its_socket
        self._numbers = count(1)

    def close(self) -> None:
        """The namespace can end."""
        self._socket.close()

    def add(self, index: int, attributes: Attributes) -> None:
        """Make an interface; `index` 0 leaves its number to the kernel.

        Raises OSError: EOPNOTSUPP where the kernel has no such kind, EEXIST where the name
        is taken, EBUSY where the number is.
        """
        self._ask(_NEWLINK, _CREATE | _EXCL, _LINK.pack(0, 0, index, 0, 0) + attributes)

    def knows(self, kind: str) -> bool:
        """Whether the kernel has interfaces of a kind, its modules included; makes none.

        It looks for the kind, and says EOPNOTSUPP, before it finds that there are too many
        queues.
        """
        try:
            self.add(0, kind_of_link(kind) + attribute(_NUM_TX_QUEUES, _TOO_MANY))
        except OSError as error:
            return error.errno == EINVAL
        raise AssertionError("an interface cannot have so many queues")

    def change(self, index: int, flags: int, change: int, attributes: Attributes = b"") -> None:
        """Set flags (those of the mask `change`) and attributes.  Raises OSError."""
        self._ask(_NEWLINK, 0, _LINK.pack(0, 0, index, flags, change) + attributes)

    def delete(self, index: int) -> None:
        """Remove an interface.  Raises OSError: ENODEV where it is not there."""
        self._ask(_DELLINK, 0, _LINK.pack(0, 0, index, 0, 0))

    def get(self, index: int, attributes: Attributes = b"") -> Link:
        """What an interface is now; with `index` 0 by its name.  Raises OSError ENODEV."""
        answers = self._ask(_GETLINK, 0, _LINK.pack(0, 0, index, 0, 0) + attributes)
        return next(answer for answer in answers if answer is not None)

    def _ask(self, kind: int, flags: int, body: bytes) -> list[Link | None]:
        number = next(self._numbers)
        header = _HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST | _ACK, number, 0)
        self._socket.sendto(header + body, (0, 0))
        found: list[Link | None] = []
        while True:
            for its_kind, sequence, message in _messages(self._socket.recv(_MOST)):
                if sequence != number:
                    continue
                if its_kind == _ERROR:
                    error = -struct.unpack_from("i", message)[0]
                    if error:
                        raise OSError(error, os.strerror(error))
                    return found
                found.append(_link(message) if its_kind == _NEWLINK else None)


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, _flags, sequence, _port = _HEADER.unpack_from(data)
        yield kind, sequence, data[_HEADER.size : length]
        data = data[length + -length % 4 :]


def _link(message: bytes) -> Link:
    _family, _type, index, flags, _change = _LINK.unpack_from(message)
    found = {}
    rest = message[_LINK.size :]
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        found[kind & _TYPE_MASK] = rest[_ATTRIBUTE.size : length]
        rest = rest[length + -length % 4 :]
    return Link(index, flags, found)
