"""A network namespace for the command, in which it hears the guest and not this computer.

It belongs to a user namespace that nobody is in: this computer's kernel tells of
its own devices in every network namespace of its first user namespace
(`lib/kobject_uevent.c: uevent_net_broadcast_untagged`), and in no other.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct

from fakeproc.run.namespace import join_network, private_network

__all__ = ["own_network"]

# include/uapi/linux/sockios.h and if.h.
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def own_network() -> None:
    """Give this process a network of its own: a loop-back interface, and nothing else.

    Raises OSError where the system forbids it.
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
        if os.read(made, 1):
            join_network(child)
        else:
            raise PermissionError(errno.EPERM, "no network namespace can be made here")
    finally:
        os.close(waiting)
        os.close(made)
        os.waitpid(child, 0)
    _switch_on(b"lo")


def _switch_on(interface: bytes) -> None:
    """`ip link set dev up`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_:
        request = fcntl.ioctl(any_, _SIOCGIFFLAGS, struct.pack("16sh22x", interface, 0))
        (flags,) = struct.unpack_from("h", request, 16)
        fcntl.ioctl(any_, _SIOCSIFFLAGS, struct.pack("16sh22x", interface, flags | _IFF_UP))
