"""What ethtool asks of the guest's interfaces: the ioctl SIOCETHTOOL (`net/ethtool/ioctl.c`).

ethtool tries generic netlink first.  A kernel without CONFIG_ETHTOOL_NETLINK does not
know that family, and so does the guest: then ethtool takes the ioctl.
"""

from __future__ import annotations

import os
import struct
from errno import EINVAL, EOPNOTSUPP
from typing import TYPE_CHECKING

from fakeproc.guest.hv.channel import ChannelState, VmbusDevice
from fakeproc.guest.hv.drivers.netvsc import Netvsc
from fakeproc.syscalls import memory
from fakeproc.syscalls.verdict import Verdict
from fakeproc.timeline import MILLISECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.guest.net import NetDevice
    from fakeproc.machine import Machine
    from fakeproc.syscalls.listener import Call
    from fakeproc.syscalls.verdict import Handler, Model
    from fakeproc.timeline import Sleeper

__all__ = ["Ethtool"]

# include/uapi/linux/ethtool.h.
_GDRVINFO, _GLINK, _GCHANNELS, _SCHANNELS, _GLINKSETTINGS = 0x3, 0xA, 0x3C, 0x3D, 0x4C
_DRVINFO = struct.Struct("I32s32s32s32s32s12x5I")
_CHANNELS = struct.Struct("9I")
_LINK_SETTINGS = struct.Struct("II7Bb4B28x")
_MASK_WORDS = 3  # __ETHTOOL_LINK_MODE_MASK_NBITS, in words of 32 bits
_SPEED_UNKNOWN, _DUPLEX_FULL, _PORT_OTHER = 0xFFFF_FFFF, 1, 0xFF
_IFNAMSIZ = 16
_PATIENCE = 100  # milliseconds, for sub-channels

# include/uapi/linux/genetlink.h: CTRL_CMD_GETFAMILY with a name of eight bytes.
_NETLINK_LENGTH = 32
_GENL_ID_CTRL, _GETFAMILY, _FAMILY = 0x10, 3, b"ethtool\0"
_NO_FAMILY = b"no-such\0"


class Ethtool:
    """Answers for the interfaces that the guest has."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._commands: dict[int, Callable[[Machine, NetDevice, bytes], bytes]] = {
            _GDRVINFO: _driver,
            _GLINK: _link,
            _GLINKSETTINGS: _link_settings,
            _GCHANNELS: _channels,
            _SCHANNELS: _set_channels,
        }
        self._sizes = {
            _GDRVINFO: _DRVINFO.size,
            _GLINK: 8,
            _GLINKSETTINGS: _LINK_SETTINGS.size,
            _GCHANNELS: _CHANNELS.size,
            _SCHANNELS: _CHANNELS.size,
        }

    def handlers(self) -> dict[str, Handler]:
        """The calls, by name."""
        return {"ioctl": self.ioctl, "sendto": self.sendto}

    def ioctl(self, call: Call) -> int | Verdict:
        """`ioctl(socket, SIOCETHTOOL, ifreq)`; an interface that is not the guest's is real."""
        request = memory.read(call.tid, call.arguments[2], _IFNAMSIZ + 8)
        name = request[:_IFNAMSIZ].split(b"\0")[0].decode(errors="replace")
        (address,) = struct.unpack_from("Q", request, _IFNAMSIZ)
        (command,) = struct.unpack("I", memory.read(call.tid, address, 4))
        work = self._commands.get(command)
        asked = b"" if work is None else memory.read(call.tid, address, self._sizes[command])
        with self._model() as machine:
            device = machine.kernel.net.interfaces.get(name)
            if device is None:
                return Verdict.PROCEED
            if work is None:
                raise OSError(EOPNOTSUPP, os.strerror(EOPNOTSUPP))
            answer = work(machine, device, asked)
        memory.write(call.tid, address, answer)
        return 0

    def sendto(self, call: Call) -> Verdict:
        """`sendto` of a netlink message: the look-up of ethtool's family finds nothing.

        The name that it looks for becomes one that no kernel has, so that the answer is the
        kernel's own.
        """
        text = memory.read(call.tid, call.arguments[1], _NETLINK_LENGTH)
        kind, command = struct.unpack_from("H", text, 4)[0], text[16]
        if (kind, command) == (_GENL_ID_CTRL, _GETFAMILY) and text.endswith(_FAMILY):
            memory.write(call.tid, call.arguments[1] + _NETLINK_LENGTH - 8, _NO_FAMILY)
        return Verdict.PROCEED


def _netvsc(device: NetDevice) -> VmbusDevice:
    """The adapter of an interface.  Raises OSError EOPNOTSUPP where it has another driver."""
    parent = device.parent
    if not isinstance(parent, VmbusDevice) or not isinstance(parent.driver, Netvsc):
        raise OSError(EOPNOTSUPP, os.strerror(EOPNOTSUPP))
    return parent


def _driver(machine: Machine, device: NetDevice, _asked: bytes) -> bytes:
    """`ethtool_get_drvinfo`: of a driver that says no version it is the kernel's."""
    parent = device.parent
    if parent is None or not hasattr(parent, "driver") or parent.driver is None:
        raise OSError(EOPNOTSUPP, os.strerror(EOPNOTSUPP))
    is_netvsc = isinstance(parent, VmbusDevice)
    return _DRVINFO.pack(
        _GDRVINFO,
        parent.driver.name.encode(),
        machine.profile.kernel.uname_release.encode()[:31],
        b"N/A" if is_netvsc else b"",  # netvsc_get_drvinfo
        b"" if is_netvsc else parent.name.encode(),
        b"",
        0,
        0,
        0,
        0,
        0,
    )


def _link(_machine: Machine, device: NetDevice, _asked: bytes) -> bytes:
    """`ethtool_op_get_link`."""
    return struct.pack("II", _GLINK, device.is_running)


def _link_settings(_machine: Machine, device: NetDevice, asked: bytes) -> bytes:
    """`ethtool_get_link_ksettings`; who asks with another number of words is told which."""
    speed = device.properties.speed
    if speed is None:
        raise OSError(EOPNOTSUPP, os.strerror(EOPNOTSUPP))
    words = _LINK_SETTINGS.unpack(asked)[9]
    if words != _MASK_WORDS:
        return _LINK_SETTINGS.pack(_GLINKSETTINGS, *[0] * 8, -_MASK_WORDS, *[0] * 4)
    fields = (_GLINKSETTINGS, speed if speed > 0 else _SPEED_UNKNOWN, _DUPLEX_FULL, _PORT_OTHER)
    settings = _LINK_SETTINGS.pack(*fields, *[0] * 5, _MASK_WORDS, *[0] * 4)
    return settings + bytes(3 * 4 * _MASK_WORDS)


def _channels(_machine: Machine, device: NetDevice, _asked: bytes) -> bytes:
    """`netvsc_get_channels`."""
    adapter = _netvsc(device)
    most = 1 + adapter.offer.subchannels_available
    return _CHANNELS.pack(_GCHANNELS, 0, 0, 0, most, 0, 0, 0, len(adapter.channels))


def _set_channels(machine: Machine, device: NetDevice, asked: bytes) -> bytes:
    """`netvsc_set_channels`, as host/ethtool does it, so that the journal has it."""
    adapter = _netvsc(device)
    _, _, _, _, _, received, sent, other, combined = _CHANNELS.unpack(asked)
    most = 1 + adapter.offer.subchannels_available
    if received or sent or other or not 1 <= combined <= most:
        raise OSError(EINVAL, os.strerror(EINVAL))
    machine.make_request("/host/ethtool", f"{adapter.name} combined {combined}".encode())
    machine.timeline.finish(_all_opened(adapter, combined))
    return asked


def _all_opened(adapter: VmbusDevice, number: int) -> Sleeper[None]:
    """`rndis_set_subchannel`: wait for the sub-channels, but not for those that never come."""
    for _ in range(_PATIENCE):
        opened = sum(channel.state is ChannelState.OPENED for channel in adapter.channels)
        if opened >= number:
            return
        yield MILLISECOND
