"""`drivers/net/hyperv`: synthetic network adapters, and what their interrupts could be called.

The series leaves the names to a netvsc expert.  A sub-channel is opened after
the interface is registered, and can be named after it; the primary channel is
opened before, and cannot, unless the interface's name is reserved first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from errno import EINVAL, ENODEV
from typing import TYPE_CHECKING

from fakeproc.guest.hv.device_types import DeviceType
from fakeproc.guest.hv.drivers.simple import NEGOTIATION, SimpleDriver
from fakeproc.guest.log import KERN_ERR, KERN_NOTICE
from fakeproc.guest.net import Link, NetDevice
from fakeproc.pages import PAGE_SIZE

if TYPE_CHECKING:
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.channel import Channel, VmbusDevice
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.guest.net import Net
    from fakeproc.personality import NetvscNames
    from fakeproc.protocol.messages import Adapter
    from fakeproc.timeline import Sleeper

__all__ = ["DEVICE_TYPES", "Netvsc", "NetvscDevice"]

DEVICE_TYPES = (DeviceType(0x3, "netvsc", "netvsc", perf=True, isolated=True),)

VRSS_CHANNEL_MAX = 64  # drivers/net/hyperv/hyperv_net.h


@dataclass(slots=True)
class NetvscDevice:
    """What the driver keeps of a device: `struct netvsc_device_info`."""

    channels: int  # wanted in all: the default, or what `ethtool -L` requested
    net: NetDevice | None = None  # from its allocation on
    reserved: str | None = None  # the name, where it is reserved before that
    expected: int = 0  # channels that are to be opened
    opened: int = 0  # those that were, or could not be

    @property
    def interface(self) -> str | None:
        """What its interface is called, from when that is known on."""
        return self.reserved if self.net is None else self.net.name


class Netvsc(SimpleDriver):
    """Opens `channels` channels of an adapter, where CPUs and host have as many."""

    softirq = "NET_RX"  # HV_CALL_ISR, which schedules NAPI

    def __init__(
        self, ops: ChannelOps, cpus: Cpus, net: Net, channels: int | None, names: NetvscNames
    ) -> None:
        """`channels` is None for the kernel's default number of RSS queues."""
        super().__init__(ops, "hv_netvsc", ("netvsc",), 128 * PAGE_SIZE)
        self._cpus = cpus
        self._names = names
        self._net = net
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
        reserved = self._net.reserve("eth%d") if self._names == "all" else None
        if reserved is not None:
            info.reserved = reserved
        try:
            yield from self._open_primary(device)
            yield NEGOTIATION // 2
            adapter = self._ops.query_adapter(device.primary)
        except OSError:
            yield from self._ops.disconnect(device)
            yield from self._forget(device)
            raise
        info.net = self._interface(device, adapter, reserved)
        self._net.register(info.net)
        self._request_subchannels(device)

    def _interface(self, device: VmbusDevice, adapter: Adapter, reserved: str | None) -> NetDevice:
        """`alloc_etherdev_mq`, and what `netvsc_probe` writes into it."""
        link = Link(
            adapter.address,
            mtu_range=(68, 65521),  # NETVSC_MTU_MIN, NETVSC_MTU less an Ethernet header
            speed=adapter.speed,
            num_tx_queues=VRSS_CHANNEL_MAX,
            packets=lambda: sum(channel.interrupts for channel in device.channels),
        )
        net = self._net.alloc(reserved or "eth%d", device, link)
        net.changes_mtu = lambda: self._reopen(device)
        return net

    def rename(self, device: VmbusDevice, name: str) -> None:
        """`dev_change_name`: interrupts keep the names that they were requested with.

        Raises OSError EEXIST for a name that another interface has.
        """
        info = self._info(device)
        if info.net is None:
            raise OSError(ENODEV, f"{device.name} has no interface yet")
        self._net.rename(info.net, name)

    def _info(self, device: VmbusDevice) -> NetvscDevice:
        if device.driver is not self or not isinstance(device.drvdata, NetvscDevice):
            raise OSError(ENODEV, f"{device.name} is no network adapter any more")
        return device.drvdata

    def _forget(self, device: VmbusDevice) -> Sleeper[None]:
        info, device.drvdata = device.drvdata, None
        if isinstance(info, NetvscDevice):
            yield from self._unregister(info)

    def _unregister(self, info: NetvscDevice) -> Sleeper[None]:
        if info.net is not None:
            yield from self._net.unregister(info.net)
        elif info.reserved is not None:
            self._net.unreserve(info.reserved)

    def _name(self, channel: Channel) -> None:
        """Name the interrupt of a channel that is opened next, where the name can be known."""
        info = channel.device.drvdata
        if self._names == "as posted" or not isinstance(info, NetvscDevice):
            return
        if info.interface is not None:
            queue = channel.offer.subchannel_index
            channel.irq_name = f"netvsc-{info.interface}:{queue}"

    def remove(self, device: VmbusDevice) -> Sleeper[None]:
        """`netvsc_remove`: the interface goes, then every channel is closed."""
        if isinstance(device.drvdata, NetvscDevice):
            yield from self._unregister(device.drvdata)
        yield from super().remove(device)
        device.drvdata = None

    def resume(self, device: VmbusDevice) -> Sleeper[None]:
        """`netvsc_resume`: with as many channels as before."""
        yield from self._attach(device)

    def _attach(self, device: VmbusDevice) -> Sleeper[None]:
        """`netvsc_attach`: open the primary channel and request sub-channels."""
        yield from self._open_primary(device)
        yield NEGOTIATION // 2
        self._request_subchannels(device)

    def _request_subchannels(self, device: VmbusDevice) -> None:
        """`rndis_set_subchannel`: the interface has more queues once all are opened."""
        info = device.drvdata
        more = min(self._channels(device) - 1, device.offer.subchannels_available)
        self._ops.request_subchannels(device, more)
        if isinstance(info, NetvscDevice):
            info.expected, info.opened = 1 + more, 0
            self._count_opened(info)

    def _count_opened(self, info: NetvscDevice) -> None:
        """One more was opened, or could not be: `nvdev->open_chn`."""
        info.opened += 1
        if info.net is not None and info.opened == info.expected:
            self._net.set_queues(info.net, info.expected)

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
        if isinstance(channel.device.drvdata, NetvscDevice):
            self._count_opened(channel.device.drvdata)

    def _reopen(self, device: VmbusDevice) -> Sleeper[None]:
        """`netvsc_change_mtu`: close every channel, and open as many as before.

        Raises OSError as `set_channels` does.
        """
        with (yield from device.lock.acquire()):
            self._info(device)
            yield from self._ops.disconnect(device)
            yield from self._attach(device)

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
