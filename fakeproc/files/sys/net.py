"""Network interfaces: the files of class net (`net/core/net-sysfs.c: net_class_attrs`)."""

from __future__ import annotations

from errno import EINVAL, EOPNOTSUPP
from typing import TYPE_CHECKING, NamedTuple

from fakeproc.files.sys.device import link, shows
from fakeproc.files.text.kstrtox import parse_unsigned
from fakeproc.files.tree import Attributes, Directory, Listing, Symlink
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.net import ARPHRD_ETHER, NetDevice

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.timeline import Sleeper

__all__: list[str] = []

PACKET_BYTES = 64  # of a packet, on the average
LONGEST_ALIAS = 255  # IFALIASZ - 1
NET_NAME_ENUM = 1  # the kernel has chosen the name

# `struct rtnl_link_stats64`, as far as sysfs shows it; what nothing counts is none.
STATISTICS = """
collisions multicast rx_bytes rx_compressed rx_crc_errors rx_dropped rx_errors rx_fifo_errors
rx_frame_errors rx_length_errors rx_missed_errors rx_nohandler rx_over_errors rx_packets
tx_aborted_errors tx_bytes tx_carrier_errors tx_compressed tx_dropped tx_errors tx_fifo_errors
tx_heartbeat_errors tx_packets tx_window_errors
"""


class Interface(NamedTuple):
    """An interface, and its kernel."""

    kernel: Kernel
    device: NetDevice


NET = Attributes[Interface]()
STATS = Attributes[Interface]()


def _running(it: Interface) -> NetDevice:
    """The interface; raises OSError EINVAL while it is down (`netif_running`)."""
    if not it.device.is_running:
        raise OSError(EINVAL, f"{it.device.name} is down")
    return it.device


def _settings(it: Interface) -> int:
    """The speed in Mb/s (`__ethtool_get_link_ksettings`); raises OSError EINVAL."""
    speed = _running(it).properties.speed
    if speed is None:
        raise OSError(EINVAL, f"the driver of {it.device.name} does not know its speed")
    return speed


def _mac(address: bytes) -> str:
    return address.hex(":") + "\n"


@NET.show
def addr_assign_type_show(_it: Interface) -> str:
    """0: the address is the device's own."""
    return "0\n"


@NET.show
def addr_len_show(it: Interface) -> str:
    """Bytes of an address."""
    return f"{len(it.device.properties.address)}\n"


@NET.show
def address_show(it: Interface) -> str:
    """The MAC address."""
    return _mac(it.device.properties.address)


@NET.show
def broadcast_show(it: Interface) -> str:
    """The address of all."""
    is_ethernet = it.device.properties.type == ARPHRD_ETHER
    return _mac(b"\xff" * 6 if is_ethernet else bytes(6))


@NET.show
def carrier_show(it: Interface) -> str:
    """1, while it is up: the cable is always in."""
    _running(it)
    return "1\n"


@NET.store
def carrier_store(it: Interface, data: bytes) -> None:
    """OSError EINVAL while it is down, EOPNOTSUPP: no driver here has `ndo_change_carrier`."""
    parse_unsigned(data)
    it.kernel.net.set_carrier(it.device)


@NET.show
def carrier_changes_show(it: Interface) -> str:
    """How often the link came or went."""
    return f"{_changes(it.device)}\n"


@NET.show
def carrier_up_count_show(it: Interface) -> str:
    """How often it came."""
    return f"{_changes(it.device) - _changes(it.device) // 2}\n"


@NET.show
def carrier_down_count_show(it: Interface) -> str:
    """How often it went."""
    return f"{_changes(it.device) // 2}\n"


def _changes(device: NetDevice) -> int:
    return device.carrier_changes if device.properties.type == ARPHRD_ETHER else 0


@NET.show
def dev_id_show(_it: Interface) -> str:
    """Which of those that share an address."""
    return "0x0\n"


@NET.show
def dev_port_show(_it: Interface) -> str:
    """Which port of its device."""
    return "0\n"


@NET.show
def dormant_show(it: Interface) -> str:
    """Whether it waits for something; OSError EINVAL while it is down."""
    _running(it)
    return "0\n"


@NET.show
def testing_show(it: Interface) -> str:
    """Whether it tests itself; OSError EINVAL while it is down."""
    _running(it)
    return "0\n"


@NET.show
def duplex_show(it: Interface) -> str:
    """Both ways at once; OSError EINVAL while it is down, and where there is no such thing."""
    _settings(it)
    return "full\n"


@NET.show
def speed_show(it: Interface) -> str:
    """Mb/s; OSError EINVAL as for `duplex`."""
    return f"{_settings(it)}\n"


@NET.show
def flags_show(it: Interface) -> str:
    """IFF_UP and the others (include/uapi/linux/if.h)."""
    return f"{it.device.flags:#x}\n"


@NET.store
def flags_store(it: Interface, data: bytes) -> None:
    """`dev_change_flags`; OSError EINVAL, ERANGE for what is no number."""
    it.kernel.net.set_flags(it.device, parse_unsigned(data) & 0xFFFF_FFFF)


@NET.show
def ifalias_show(it: Interface) -> str:
    """What an administrator calls it."""
    return f"{it.device.alias}\n" if it.device.alias else ""


@NET.store
def ifalias_store(it: Interface, data: bytes) -> None:
    """`dev_set_alias`, without the newline; OSError EINVAL for one of 256 bytes or more."""
    text = data[:-1] if data.endswith(b"\n") else data
    if len(text) > LONGEST_ALIAS:
        raise OSError(EINVAL, "an alias has 255 bytes at most")
    alias = text.split(b"\0")[0].decode(errors="surrogateescape")
    it.kernel.net.set_alias(it.device, alias)


@NET.show
def ifindex_show(it: Interface) -> str:
    """Its number."""
    return f"{it.device.ifindex}\n"


@NET.show
def iflink_show(it: Interface) -> str:
    """The number of the one that it stands on: itself."""
    return f"{it.device.ifindex}\n"


@NET.show
def link_mode_show(_it: Interface) -> str:
    """0: IF_LINK_MODE_DEFAULT."""
    return "0\n"


@NET.show
def mtu_show(it: Interface) -> str:
    """Bytes of the largest packet."""
    return f"{it.device.mtu}\n"


@NET.store
def mtu_store(it: Interface, data: bytes) -> Sleeper[None]:
    """`dev_set_mtu`, for which hv_netvsc closes every channel and opens it again.

    Raises OSError EINVAL out of the driver's range and for what is no number, ERANGE.
    """
    yield from it.kernel.net.set_mtu(it.device, parse_unsigned(data))


@NET.show
def name_assign_type_show(it: Interface) -> str:
    """Who has chosen the name: the kernel; OSError EINVAL where that is not said."""
    if it.device.properties.type != ARPHRD_ETHER:
        raise OSError(EINVAL, "nobody has noted who named it")
    return f"{NET_NAME_ENUM}\n"


@NET.show
def netdev_group_show(_it: Interface) -> str:
    """The group that it is in."""
    return "0\n"


@NET.show
def operstate_show(it: Interface) -> str:
    """RFC 2863: up, down; the loop-back never says."""
    if it.device.properties.type != ARPHRD_ETHER:
        return "unknown\n"
    return "up\n" if it.device.is_running else "down\n"


def _unsupported(_it: Interface) -> str:
    """OSError EOPNOTSUPP: no driver here knows a port or a switch."""
    raise OSError(EOPNOTSUPP, "the driver does not say")


for _name in ("phys_port_id", "phys_port_name", "phys_switch_id"):
    NET.show(name=_name)(_unsupported)


@NET.show
def tx_queue_len_show(it: Interface) -> str:
    """Packets that may wait to be sent."""
    return f"{it.device.tx_queue_len}\n"


@NET.store
def tx_queue_len_store(it: Interface, data: bytes) -> None:
    """`dev_change_tx_queue_len`; OSError ERANGE beyond 32 bits, EINVAL for no number."""
    it.kernel.net.set_tx_queue_len(it.device, parse_unsigned(data, 32))


@NET.show
def type_show(it: Interface) -> str:
    """1 for Ethernet, 772 for the loop-back (ARPHRD)."""
    return f"{it.device.properties.type}\n"


def _statistic(name: str) -> Callable[[Interface], str]:
    size = {"packets": 1, "bytes": PACKET_BYTES}.get(name.partition("_")[2], 0)

    def show(it: Interface) -> str:
        """Packets and bytes of 64 a packet, by the interrupts of its channels; no errors."""
        return f"{it.device.properties.packets() * size}\n"

    return show


for _name in STATISTICS.split():
    STATS.show(name=_name)(_statistic(_name))


@shows(NetDevice)
def net_device_files(kernel: Kernel, device: NetDevice) -> Directory:
    """/sys/devices/…/net/<name>, with links to the interfaces above and below it."""
    it = Interface(kernel, device)

    def related() -> dict[str, NetDevice]:
        names = {f"lower_{lower.name}": lower for lower in kernel.net.lower(device)}
        if device.master is not None:
            names |= {"master": device.master, f"upper_{device.master.name}": device.master}
        return names

    def make(name: str) -> Symlink | None:
        other = related().get(name)
        return None if other is None else link(device, other)

    return Directory(
        (NET.on(it, device),),
        {"statistics": Directory((STATS.on(it, device),))},
        (Listing(Symlink, related, make),),
    )
