"""`drivers/net/hyperv`: synthetic network adapters, and what their interrupts could be called.

The series leaves the names to a netvsc expert.  A sub-channel is opened after
the interface is registered, and can be named after it; the primary channel is
opened before, and cannot, unless the interface's name is reserved first.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from errno import EEXIST, EINVAL, ENODEV
from typing import TYPE_CHECKING

from fakeproc.guest.hv.device_types import DeviceType
from fakeproc.guest.hv.drivers.simple import NEGOTIATION, SimpleDriver
from fakeproc.guest.hv.ring import PAGE_SIZE
from fakeproc.guest.log import KERN_ERR, KERN_NOTICE

if TYPE_CHECKING:
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.channel import Channel, VmbusDevice
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.personality import NetvscNames
    from fakeproc.timeline import Sleeper

__all__ = ["DEVICE_TYPES", "Netvsc", "NetvscDevice"]

DEVICE_TYPES = (DeviceType(0x3, "netvsc", "netvsc", perf=True, isolated=True),)

VRSS_CHANNEL_MAX = 64  # drivers/net/hyperv/hyperv_net.h


@dataclass(slots=True)
class NetvscDevice:
    """What the driver keeps of a device: `struct netvsc_device_info`."""

    channels: int  # wanted in all: the default, or what `ethtool -L` requested
    interface: str | None = None  # what it is called, from its registration on


class Netvsc(SimpleDriver):
    """Opens `channels` channels of an adapter, where CPUs and host have as many."""

    softirq = "NET_RX"  # HV_CALL_ISR, which schedules NAPI

    def __init__(
        self, ops: ChannelOps, cpus: Cpus, channels: int | None, names: NetvscNames
    ) -> None:
        """`channels` is None for the kernel's default number of RSS queues."""
        super().__init__(ops, "hv_netvsc", ("netvsc",), 128 * PAGE_SIZE)
        self._cpus = cpus
        self._names = names
        self._interfaces: set[str] = set()
        self._default_channels = channels or _default_rss(cpus)

    def _channels(self, device: VmbusDevice) -> int:
        """How many channels it uses in all (`rndis_filter_device_add`)."""
        info = device.drvdata
        wanted = info.channels if isinstance(info, NetvscDevice) else self._default_channels
        return min(VRSS_CHANNEL_MAX, self._cpus.online.bit_count(), wanted)

    def probe(self, device: VmbusDevice) -> Sleeper[None]:
        """`netvsc_probe`: with the default number of channels.

        Raises OSError when the primary channel cannot be opened.
        """
        info = NetvscDevice(self._default_channels)
        device.drvdata = info
        if self._names == "all":
            self._register(info)
        try:
            yield from self._open_primary(device)
        except OSError:
            self._forget(device)
            raise
        yield NEGOTIATION // 2
        if info.interface is None:
            self._register(info)
        self._ops.request_subchannels(device, self._channels(device) - 1)

    def _register(self, info: NetvscDevice) -> None:
        """`register_netdevice`, or `dev_alloc_name` alone: the lowest ethN that is free."""
        name = next(f"eth{n}" for n in itertools.count() if f"eth{n}" not in self._interfaces)
        self._interfaces.add(name)
        info.interface = name

    def rename(self, device: VmbusDevice, name: str) -> None:
        """`dev_change_name`: interrupts keep the names that they were requested with.

        Raises OSError EEXIST for a name that another interface has.
        """
        info = self._info(device)
        if name in self._interfaces - {info.interface}:
            raise OSError(EEXIST, f"another interface is called {name}")
        self._interfaces.discard(info.interface or "")
        self._interfaces.add(name)
        info.interface = name

    def _info(self, device: VmbusDevice) -> NetvscDevice:
        if device.driver is not self or not isinstance(device.drvdata, NetvscDevice):
            raise OSError(ENODEV, f"{device.name} is no network adapter any more")
        return device.drvdata

    def _forget(self, device: VmbusDevice) -> None:
        info, device.drvdata = device.drvdata, None
        if isinstance(info, NetvscDevice) and info.interface is not None:
            self._interfaces.discard(info.interface)

    def _name(self, channel: Channel) -> None:
        """Name the interrupt of a channel that is opened next, where the name can be known."""
        info = channel.device.drvdata
        if self._names == "as posted" or not isinstance(info, NetvscDevice):
            return
        if info.interface is not None:
            queue = channel.offer.subchannel_index
            channel.irq_name = f"netvsc-{info.interface}:{queue}"

    def remove(self, device: VmbusDevice) -> Sleeper[None]:
        """`netvsc_remove`: close every channel and forget how many there were."""
        yield from super().remove(device)
        self._forget(device)

    def resume(self, device: VmbusDevice) -> Sleeper[None]:
        """`netvsc_resume`: with as many channels as before."""
        yield from self._attach(device)

    def _attach(self, device: VmbusDevice) -> Sleeper[None]:
        """`netvsc_attach`: open the primary channel and request sub-channels."""
        yield from self._open_primary(device)
        yield NEGOTIATION // 2
        self._ops.request_subchannels(device, self._channels(device) - 1)

    def _open_primary(self, device: VmbusDevice) -> Sleeper[None]:
        self._name(device.primary)
        yield from self._ops.open(device.primary, self.ring_size)

    def subchannel_offered(self, channel: Channel) -> Sleeper[None]:
        """`netvsc_sc_open`; a sub-channel that the driver did not request stays closed."""
        if channel.offer.subchannel_index >= self._channels(channel.device):
            return
        self._name(channel)
        try:
            yield from self._ops.open(channel, self.ring_size)
        except OSError as error:
            self._ops.log.say(
                f"hv_netvsc {channel.device.name}: sub channel open failed: {-(error.errno or 0)}",
                KERN_NOTICE,
            )

    def set_channels(self, device: VmbusDevice, number: int) -> Sleeper[None]:
        """`netvsc_set_channels`, what `ethtool -L` does: close all, open as many as requested.

        Raises OSError EINVAL for none, or for more than the host has; ENODEV
        where the driver has lost the device; or what opening the channel
        gives.  The adapter then has as many channels as before, if it can.
        """
        most = min(VRSS_CHANNEL_MAX, 1 + device.offer.subchannels_available)
        if not 1 <= number <= most:
            raise OSError(EINVAL, f"the adapter has 1 to {most} channels, not {number}")
        with (yield from device.lock.acquire()):
            before = self._info(device)
            yield from self._ops.disconnect(device)
            device.drvdata = replace(before, channels=number)
            try:
                yield from self._attach(device)
            except OSError:
                device.drvdata = before
                yield from self._restore(device)
                raise

    def _restore(self, device: VmbusDevice) -> Sleeper[None]:
        try:
            yield from self._attach(device)
        except OSError as error:
            self._ops.log.say(
                f"hv_netvsc {device.name}: restoring channel setting failed"
                f" ({-(error.errno or 0)})",
                KERN_ERR,
            )


def _default_rss(cpus: Cpus) -> int:
    """max(16, `netif_get_num_default_rss_queues`), which is half the cores."""
    return max(16, -(-cpus.online.bit_count() // (2 * cpus.topology.threads_per_core)))
