"""Network interfaces: `net/core/dev.c`, and the devices of class net that `net-sysfs.c` makes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from errno import EEXIST, EINVAL, EOPNOTSUPP
from typing import TYPE_CHECKING

from fakeproc.guest.base.device import Device, Kobject

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.base.device import Class
    from fakeproc.guest.base.uevents import Uevents
    from fakeproc.timeline import Sleeper

__all__ = [
    "ARPHRD_ETHER",
    "ARPHRD_LOOPBACK",
    "CHANGEABLE",
    "IFF_BROADCAST",
    "IFF_LOOPBACK",
    "IFF_MULTICAST",
    "IFF_UP",
    "Link",
    "Net",
    "NetDevice",
    "NetQueue",
]

# include/uapi/linux/if.h and if_arp.h.
IFF_UP, IFF_BROADCAST, IFF_LOOPBACK, IFF_MULTICAST = 0x1, 0x2, 0x8, 0x1000
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772
# What `__dev_change_flags` lets user space change: UP, DEBUG, NOTRAILERS, NOARP, PROMISC,
# ALLMULTI, MULTICAST, PORTSEL, AUTOMEDIA and DYNAMIC.
CHANGEABLE = 0x1 | 0x4 | 0x20 | 0x80 | 0x100 | 0x200 | 0x1000 | 0x2000 | 0x4000 | 0x8000


def _no_packets() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Link:
    """What the driver says of an interface when it makes one.

    `speed` in Mb/s, -1 where nobody knows; `mtu_range` in bytes, both ends
    included; `packets` counts what came and went since the interface is there.
    """

    address: bytes
    type: int = ARPHRD_ETHER
    mtu: int = 1500
    mtu_range: tuple[int, int] = (68, 65535)
    flags: int = IFF_UP | IFF_BROADCAST | IFF_MULTICAST
    speed: int | None = None  # None: its driver has no `get_link_ksettings`
    num_tx_queues: int = 1  # that are allocated, however few are in use
    packets: Callable[[], int] = _no_packets


class NetQueue(Kobject):
    """`struct netdev_rx_queue` or `netdev_queue`: rx-<n> or tx-<n>.

    `cpus` is its mask of RPS or XPS; `flows` is the size of its flow table.
    """

    def __init__(self, direction: str, number: int, device: NetDevice) -> None:
        super().__init__(f"{direction}-{number}", device.queues_kset)
        self.device = device
        self.direction = direction
        self.cpus = 0
        self.flows = 0


class NetDevice(Device):
    """`struct net_device`."""

    def __init__(
        self, name: str, parent: Device | None, class_: Class, link: Link, index: int
    ) -> None:
        super().__init__(name, parent, class_=class_)
        self.properties = link
        self.ifindex = index
        self.mtu = link.mtu
        self.flags = link.flags
        self.tx_queue_len = 1000  # DEFAULT_TX_QUEUE_LEN
        self.alias = ""
        self.carrier_changes = 2  # since the link first came up
        self.queues_kset = Kobject("queues", self)
        self.queues: dict[str, list[NetQueue]] = {"rx": [], "tx": []}
        self.master: NetDevice | None = None  # the interface that it carries the traffic of
        # What the driver does about another MTU, beside noting it.
        self.changes_mtu: Callable[[], Sleeper[None]] | None = None

    @property
    def is_multiqueue(self) -> bool:
        """`netif_is_multiqueue`: its driver can send through more than one queue."""
        return self.properties.num_tx_queues > 1

    @property
    def is_running(self) -> bool:
        """`netif_running`: somebody has switched it on."""
        return bool(self.flags & IFF_UP)

    def type_variables(self) -> dict[str, str]:
        """`netdev_uevent`."""
        return {"INTERFACE": self.name, "IFINDEX": str(self.ifindex)}


class Net:
    """The interfaces of a guest, which has one network namespace."""

    def __init__(self, devices: Devices, uevents: Uevents) -> None:
        self._devices = devices
        self._uevents = uevents
        self._class = devices.class_of("net")
        self._names: set[str] = set()
        self._numbers = itertools.count(1)
        # Each is called with an action (add, change, move, remove) and what it is of.
        self.hearers: list[Callable[[str, NetDevice], None]] = []
        loopback = Link(bytes(6), ARPHRD_LOOPBACK, 65536, (0, 65536), IFF_LOOPBACK | IFF_UP)
        self.register(self.alloc("lo", None, loopback))

    @property
    def interfaces(self) -> dict[str, NetDevice]:
        """Those that are registered, by name."""
        return {
            name: device
            for name, device in self._class.devices.items()
            if isinstance(device, NetDevice)
        }

    def alloc(self, pattern: str, parent: Device | None, link: Link) -> NetDevice:
        """`alloc_netdev` and `dev_alloc_name`: %d is the lowest number that is free."""
        return NetDevice(self.reserve(pattern), parent, self._class, link, 0)

    def reserve(self, pattern: str) -> str:
        """`dev_alloc_name` alone: the name is nobody else's from now on."""
        name = pattern
        if "%d" in pattern:
            names = (pattern.replace("%d", str(n)) for n in itertools.count())
            name = next(each for each in names if each not in self._names)
        self._names.add(name)
        return name

    def unreserve(self, name: str) -> None:
        """Let others have the name."""
        self._names.discard(name)

    def register(self, device: NetDevice, queues: int = 1) -> None:
        """`register_netdevice`: programs see it, with so many queues each way."""
        device.ifindex = next(self._numbers)
        self._devices.add(device)
        device.queues_kset.link()
        self.set_queues(device, queues)
        self._bond(device)
        self._tell("add", device)

    def unregister(self, device: NetDevice) -> Sleeper[None]:
        """`unregister_netdevice` and `free_netdev`; one that was never registered only goes."""
        self._names.discard(device.name)
        if self._class.devices.get(device.name) is not device:
            return
        for other in self.interfaces.values():
            if other.master is device:
                other.master = None
        device.master = None
        self.set_queues(device, 0)
        device.queues_kset.unlink()
        yield from self._devices.remove(device)
        self._tell("remove", device)

    def set_queues(self, device: NetDevice, number: int) -> None:
        """`netif_set_real_num_queues`: as many queues each way, those beyond go."""
        for direction, queues in device.queues.items():
            while len(queues) < number:
                queue = NetQueue(direction, len(queues), device)
                queue.link()
                queues.append(queue)
                self._uevents.emit("add", f"/{queue.path}", "queues")
            while len(queues) > number:
                queue = queues.pop()
                self._uevents.emit("remove", f"/{queue.path}", "queues")
                queue.unlink()

    def rename(self, device: NetDevice, name: str) -> None:
        """`dev_change_name`.  Raises OSError EEXIST for a name that another interface has."""
        if name in self._names - {device.name}:
            raise OSError(EEXIST, f"another interface is called {name}")
        self._names.discard(device.name)
        self._names.add(name)
        if self._class.devices.get(device.name) is device:
            self._devices.rename(device, name)
            self._tell("move", device)
        else:
            device.name = name

    # What user space sets

    def set_mtu(self, device: NetDevice, mtu: int) -> Sleeper[None]:
        """`dev_set_mtu`.  Raises OSError EINVAL out of range, or what the driver gives."""
        low, high = device.properties.mtu_range
        if not low <= mtu <= high:
            raise OSError(EINVAL, f"the MTU of {device.name} is {low} to {high}, not {mtu}")
        if mtu == device.mtu:
            return
        before, device.mtu = device.mtu, mtu
        if device.changes_mtu is not None:
            try:
                yield from device.changes_mtu()
            except OSError:
                device.mtu = before
                raise
        self._tell("change", device)

    def set_flags(self, device: NetDevice, flags: int) -> None:
        """`dev_change_flags`: what is not for user space to change stays."""
        new = device.flags & ~CHANGEABLE | flags & CHANGEABLE
        if (new ^ device.flags) & IFF_UP and device.properties.type == ARPHRD_ETHER:
            device.carrier_changes += 1
        if new != device.flags:
            device.flags = new
            self._tell("change", device)

    def set_tx_queue_len(self, device: NetDevice, packets: int) -> None:
        """`dev_change_tx_queue_len`."""
        device.tx_queue_len = packets
        self._tell("change", device)

    def set_alias(self, device: NetDevice, alias: str) -> None:
        """`dev_set_alias`."""
        device.alias = alias
        self._tell("change", device)

    def set_carrier(self, device: NetDevice) -> None:
        """`change_carrier`.  Raises OSError EINVAL while it is down, and then EOPNOTSUPP."""
        if not device.is_running:
            raise OSError(EINVAL, f"{device.name} is down")
        raise OSError(EOPNOTSUPP, "the driver lets nobody set the carrier")

    # Two interfaces of one adapter

    def _bond(self, device: NetDevice) -> None:
        """`netvsc_register_vf`: a function that has a synthetic adapter's address belongs to it."""
        if device.properties.type != ARPHRD_ETHER:
            return
        for other in self.interfaces.values():
            if other is device or other.properties.address != device.properties.address:
                continue
            upper, lower = (other, device) if _is_synthetic(other) else (device, other)
            if _is_synthetic(upper) and not _is_synthetic(lower):
                lower.master = upper

    def lower(self, device: NetDevice) -> list[NetDevice]:
        """The interfaces that carry the traffic of this one."""
        return [each for each in self.interfaces.values() if each.master is device]

    def _tell(self, action: str, device: NetDevice) -> None:
        for hear in self.hearers:
            hear(action, device)


def _is_synthetic(device: NetDevice) -> bool:
    parent = device.parent
    return (
        isinstance(parent, Device)
        and parent.subsystem is not None
        and (parent.subsystem.name == "vmbus")
    )
