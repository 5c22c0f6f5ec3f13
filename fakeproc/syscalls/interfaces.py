"""The guest's interfaces, as real ones in the network namespace of a run.

`ip`, /proc/net/dev and every socket ask the kernel of this computer.  So each interface
of the guest is there as well, by its name, number, address and MTU.  It is a dummy, and
what is sent through it goes nowhere; one that another carries the traffic of (accelerated
networking) is a bridge, and the other a port of it, as a dummy can be nobody's master.

What changes on either side changes on the other: the guest tells it (`Net.hearers`), the
kernel sends it to RTNLGRP_LINK.
"""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from errno import EBUSY, ENODEV
from typing import TYPE_CHECKING, TypeAlias

from fakeproc.guest.net import ARPHRD_ETHER, CHANGEABLE, IFF_UP
from fakeproc.syscalls.rtnetlink import Attributes, Link, Route, attribute, kind_of_link, text

if TYPE_CHECKING:
    from fakeproc.guest.net import NetDevice
    from fakeproc.machine import Machine

__all__ = ["Interfaces", "interfaces_of", "kind_here"]

logger = logging.getLogger(__name__)

# include/uapi/linux/if_link.h.
_ADDRESS, _IFNAME, _MTU, _MASTER, _TXQLEN, _OPERSTATE = 1, 3, 4, 10, 13, 16
_IFALIAS = 20
_OPER_UP = 6
_MOST = 65536

State: TypeAlias = "dict[str, int | str]"


# An Ethernet interface without a device, which counts and drops what is sent.
_KINDS = ("dummy", "ifb")


def kind_here(its_socket: socket.socket) -> str | None:
    """The kind of device that an interface is made of, or None where the kernel has none."""
    route = Route(its_socket)
    return next((kind for kind in _KINDS if route.knows(kind)), None)


@dataclass(slots=True)
class _Real:
    """A real interface: its number, what it is (`bridge`, or of _KINDS) and its master's number."""

    index: int
    kind: str
    master: int = 0


class Interfaces:
    """Keeps the guest's interfaces and those of one namespace alike.

    `route` makes requests there, `changes` has joined RTNLGRP_LINK; it owns both.
    """

    def __init__(
        self, machine: Machine, route: socket.socket, changes: socket.socket, kind: str
    ) -> None:
        self._machine = machine
        self._net = machine.kernel.net
        self._route = Route(route)
        self._changes = changes
        self._changes.setblocking(False)
        self._kind = kind
        self._real: dict[NetDevice, _Real] = {}
        self._told: dict[NetDevice, State] = {}  # what both sides agreed on last

    def fileno(self) -> int:
        """Readable when an interface of the namespace has changed."""
        return self._changes.fileno()

    def begin(self) -> None:
        """Make what the guest has now, and keep up from now on."""
        self._net.hearers.append(self._heard)
        self._machine.outside.append(self.look)
        self._show()

    def end(self) -> None:
        """Let the namespace go."""
        self._net.hearers.remove(self._heard)
        self._machine.outside.remove(self.look)
        self._route.close()
        self._changes.close()

    # From the guest to the namespace

    def _heard(self, action: str, device: NetDevice) -> None:
        del action, device
        self._show()

    def _show(self) -> None:
        """Make the namespace as the guest is."""
        wanted = [
            each for each in self._net.interfaces.values() if each.properties.type == ARPHRD_ETHER
        ]
        # A master first, so that its lower ones find it.
        wanted.sort(key=lambda each: each.master is not None)
        for device in [*self._real]:
            if device not in wanted or self._real[device].kind != self._kind_of(device):
                self._delete(device)
        for device in wanted:
            try:
                self._show_one(device)
            except OSError as error:
                logger.warning("%s is not as in the guest: %s", device.name, error)

    def _kind_of(self, device: NetDevice) -> str:
        return "bridge" if self._net.lower(device) else self._kind

    def _delete(self, device: NetDevice) -> None:
        real = self._real.pop(device)
        del self._told[device]
        with suppress(OSError):  # ENODEV: a program has deleted it
            self._route.delete(real.index)

    def _show_one(self, device: NetDevice) -> None:
        if device not in self._real:
            self._add(device)
        real = self._real[device]
        state = _state(device)
        if state != self._told[device]:
            self._set(device, real, state)
        master = 0 if device.master is None else self._real[device.master].index
        if master != real.master:
            self._route.change(real.index, 0, 0, attribute(_MASTER, master))
            real.master = master

    def _add(self, device: NetDevice) -> None:
        kind = self._kind_of(device)
        name = attribute(_IFNAME, text(device.name))
        address = attribute(_ADDRESS, device.properties.address)  # an ifb has it for good
        mtu = attribute(_MTU, device.mtu)
        self._make(device.ifindex, name + address + mtu + kind_of_link(kind))
        self._real[device] = _Real(self._route.get(0, name).index, kind)
        self._set(device, self._real[device], _state(device))

    def _make(self, index: int, attributes: Attributes) -> None:
        try:
            self._route.add(index, attributes)
        except OSError as error:
            if error.errno != EBUSY:
                raise
            # Its number is taken, by the device of a tunnel that every namespace has.
            self._route.add(0, attributes)

    def _set(self, device: NetDevice, real: _Real, state: State) -> None:
        self._told[device] = state
        if text(device.name) != self._route.get(real.index).attributes[_IFNAME]:
            self._rename(real, device.name)
        attributes = (
            attribute(_MTU, device.mtu)
            + attribute(_TXQLEN, device.tx_queue_len)
            + attribute(_IFALIAS, device.alias.encode(errors="surrogateescape"))
            + attribute(_OPERSTATE, bytes([_OPER_UP]))
        )
        self._route.change(real.index, device.flags, CHANGEABLE, attributes)

    def _rename(self, real: _Real, name: str) -> None:
        """`dev_change_name`: kernels older than 6.2 refuse it while the interface is up."""
        try:
            self._route.change(real.index, 0, 0, attribute(_IFNAME, text(name)))
        except OSError as error:
            if error.errno != EBUSY:
                raise
            self._route.change(real.index, 0, IFF_UP)
            self._route.change(real.index, 0, 0, attribute(_IFNAME, text(name)))

    # From the namespace to the guest

    def look(self) -> None:
        """Do in the guest what programs have done to its interfaces here since the last time."""
        if not self._has_changed():
            return
        for device, real in [*self._real.items()]:
            try:
                link = self._route.get(real.index)
            except OSError as error:
                if error.errno != ENODEV:
                    raise
                del self._real[device], self._told[device]  # one that nobody can delete: again
                continue
            self._take(device, link)
        self._show()

    def _has_changed(self) -> bool:
        changed = False
        while True:
            try:
                changed = bool(self._changes.recv(_MOST)) or changed
            except BlockingIOError:
                return changed
            except OSError:  # ENOBUFS: more than there is room for
                changed = True

    def _take(self, device: NetDevice, link: Link) -> None:
        """Ask the guest for what differs; what it refuses is undone by `_show`."""
        told = self._told[device]
        for name, value in _found(link).items():
            if told[name] == value:
                continue
            told[name] = value
            path, data = _request(device, name, value)
            with suppress(OSError):  # the guest's log says why
                self._machine.make_request(path, data.encode(errors="surrogateescape"))


def _state(device: NetDevice) -> State:
    """What is kept alike, in the guest."""
    return {
        "name": device.name,
        "mtu": device.mtu,
        "flags": device.flags & CHANGEABLE,
        "tx_queue_len": device.tx_queue_len,
        "ifalias": device.alias,
    }


def _found(link: Link) -> State:
    """The same, of a real interface."""

    def words(kind: int) -> str:
        return link.attributes.get(kind, b"").rstrip(b"\0").decode(errors="surrogateescape")

    def number(kind: int) -> int:
        return int.from_bytes(link.attributes[kind], sys.byteorder)

    return {
        "name": words(_IFNAME),
        "mtu": number(_MTU),
        "flags": link.flags & CHANGEABLE,
        "tx_queue_len": number(_TXQLEN),
        "ifalias": words(_IFALIAS),
    }


def _request(device: NetDevice, name: str, value: int | str) -> tuple[str, str]:
    """The file of the guest by which it is to have the same, and what to write."""
    if name == "name":
        parent = device.parent
        return "/host/ethtool", f"{parent.name if parent else ''} name {value}"
    return f"/sys/class/net/{device.name}/{name}", f"{value}\n"


def interfaces_of(machine: Machine, route: int, links: int) -> Interfaces:
    """Begin to keep a guest's interfaces and those of a namespace alike.

    The sockets are those that a run hands over; it knows that there is a kind of device.
    """
    route_socket = socket.socket(fileno=route)
    kind = kind_here(route_socket)
    assert kind is not None  # noqa: S101 - or the run would not have handed it over
    interfaces = Interfaces(machine, route_socket, socket.socket(fileno=links), kind)
    interfaces.begin()
    return interfaces
