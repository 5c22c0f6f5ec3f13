"""A network namespace for the command, in which it hears the guest and not this computer.

It belongs to a user namespace that nobody is in.  This computer's kernel tells of its own
devices in every network namespace of its first user namespace
(`lib/kobject_uevent.c: uevent_net_broadcast_untagged`), and in no other.  Of interfaces,
those made here for the guest included, it tells where they are, in the name of the root
of the user namespace (`uevent_net_broadcast_tagged`).  That is nobody, or a user whom the
programs do not know, and whoever looks at the sender, as libudev does, drops it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct

from fakeproc.run.namespace import join_network, map_root, private_network
from fakeproc.syscalls.interfaces import kind_here
from fakeproc.syscalls.rtnetlink import NETLINK_ROUTE, RTMGRP_LINK

__all__ = ["own_network"]

NETLINK_KOBJECT_UEVENT = 15  # include/uapi/linux/netlink.h

_NOBODY = 65534

# include/uapi/linux/sockios.h and if.h.
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def own_network() -> dict[str, int]:
    """Give this process a network of its own, with a loop-back interface.

    Returns descriptors for the guest's daemon: `uevents`, a socket to send the guest's
    uevents; `route` and `links`, to make its interfaces and to hear of changes, unless this
    kernel has no device to make one of.  Raises OSError where the system forbids it.
    """
    made, making = os.pipe()
    done, waiting = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(made)
        os.close(waiting)
        try:
            private_network()
            os.write(making, b"!")
            os.read(done, 1)
        finally:
            os._exit(0)
    os.close(making)
    os.close(done)
    try:
        if not os.read(made, 1):
            raise PermissionError(errno.EPERM, "no network namespace can be made here")
        map_root(child, _NOBODY)
        join_network(child)
    finally:
        os.close(waiting)
        os.close(made)
        os.waitpid(child, 0)
    _switch_on(b"lo")
    return _sockets()


def _sockets() -> dict[str, int]:
    """What the daemon gets, made in the namespace that it is for."""
    found = {"uevents": _netlink(NETLINK_KOBJECT_UEVENT).detach()}
    route = _netlink(NETLINK_ROUTE)
    if kind_here(route) is not None:
        links = _netlink(NETLINK_ROUTE)
        links.bind((0, RTMGRP_LINK))
        found |= {"route": route.detach(), "links": links.detach()}
    return found


def _netlink(protocol: int) -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)


def _switch_on(interface: bytes) -> None:
    """`ip link set dev up`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_:
        request = fcntl.ioctl(any_, _SIOCGIFFLAGS, struct.pack("16sh22x", interface, 0))
        (flags,) = struct.unpack_from("h", request, 16)
        fcntl.ioctl(any_, _SIOCSIFFLAGS, struct.pack("16sh22x", interface, flags | _IFF_UP))
