"""The guest's uevents, sent where the programs of its runs listen.

A kernel sends each uevent to NETLINK_KOBJECT_UEVENT of the network namespaces that it
concerns (`lib/kobject_uevent.c`).  It also passes on what somebody who may do so sends
it there (`uevent_net_rcv`), as its own, and that is how udev and its like accept it.
"""

from __future__ import annotations

import logging
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakeproc.guest.base.uevents import Uevent

__all__ = ["UeventSocket"]

logger = logging.getLogger(__name__)

# `struct nlmsghdr`: length, type, flags, sequence, port.  A request of no meaning.
_HEADER = struct.Struct("IHHII")
_NLMSG_MIN_TYPE, _NLM_F_REQUEST = 0x10, 1
_TO_THE_KERNEL = (0, 0)


class UeventSocket:
    """One network namespace that hears; owns its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)

    def send(self, event: Uevent) -> None:
        """`kobject_uevent_net_broadcast`."""
        message = _message(event)
        header = _HEADER.pack(_HEADER.size + len(message), _NLMSG_MIN_TYPE, _NLM_F_REQUEST, 0, 0)
        try:
            self._socket.sendto(header + message, _TO_THE_KERNEL)
        except OSError as error:
            logger.warning("nobody hears of %s@%s: %s", event.action, event.devpath, error)

    def close(self) -> None:
        """Send no more; the namespace can end."""
        self._socket.close()


def _message(event: Uevent) -> bytes:
    """The event as the kernel writes it, but for its last byte.

    The kernel that passes it on appends a sequence number of its own.  The guest's is
    the last string, and a newline in the place of its zero joins the two to one: readers
    drop what follows a newline (libudev does since version 247).
    """
    strings = [
        f"{event.action}@{event.devpath}",
        *(f"{key}={value}" for key, value in event.environment),
    ]
    return "\0".join(strings).encode() + b"\n"
