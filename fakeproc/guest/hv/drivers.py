"""The VMBus drivers of the guest: what they bind to, and what they do with a channel.

A driver is data where drivers differ by data (which classes, how large a
ring), and a subclass where they differ by behaviour: which name a channel's
interrupt gets (patches 4 and 5 of the series) and who wants sub-channels.
"""

from __future__ import annotations

from errno import EINVAL
from typing import TYPE_CHECKING

from fakeproc.guest.hv.channel import PAGE_SIZE
from fakeproc.protocol.classes import CLASS_GUIDS
from fakeproc.timeline import MILLISECOND

if TYPE_CHECKING:
    from uuid import UUID

    from fakeproc.guest.hv.channel import Channel, VmbusDevice
    from fakeproc.guest.hv.vmbus import Vmbus
    from fakeproc.timeline import Sleeper

__all__ = ["Driver", "Netvsc", "Storvsc", "built_in_drivers"]

KIB = 1024
NEGOTIATION = 5 * MILLISECOND  # a driver and its device agree on what they can do
VRSS_CHANNEL_MAX = 64  # drivers/net/hyperv/hyperv_net.h


def _ring_size(payload: int) -> int:
    """`VMBUS_RING_SIZE`: a header page and the payload, in whole pages."""
    return -(-(PAGE_SIZE + payload) // PAGE_SIZE) * PAGE_SIZE


class Driver:
    """`struct hv_driver`: binds to devices by class GUID."""

    softirq = "TASKLET"  # where a channel's callback runs (HV_CALL_BATCHED)
    suspends = True  # whether it has a `suspend`

    def __init__(self, name: str, classes: tuple[str, ...], ring_size: int) -> None:
        self.name = name
        self.id_table = frozenset(CLASS_GUIDS[name] for name in classes)
        self.dynamic_ids: list[UUID] = []  # from new_id
        self.ring_size = ring_size  # bytes, each direction

    def matches(self, device: VmbusDevice) -> bool:
        """`hv_vmbus_get_id`: an override decides alone, else the ids do."""
        if device.offer.is_hvsock:
            return False
        if device.driver_override is not None:
            return device.driver_override == self.name
        class_id = device.offer.class_id
        return class_id in self.dynamic_ids or class_id in self.id_table

    def ring_size_of(self, _device: VmbusDevice) -> int:
        """Bytes, each direction."""
        return self.ring_size

    def probe(self, bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """Open the primary channel.  Raises OSError when that fails."""
        yield from bus.open(device.primary, self.ring_size)

    def subchannel_offered(self, _bus: Vmbus, _channel: Channel) -> Sleeper[None]:
        """`sc_creation_callback`: most drivers never asked for one."""
        yield from ()

    def remove(self, bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """Close every channel, the primary last."""
        yield from bus.disconnect(device)

    def suspend(self, bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """Close every channel, and forget nothing else."""
        yield from bus.disconnect(device)

    def resume(self, bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """Open the channels again; raises OSError."""
        yield from bus.open(device.primary, self.ring_size)


class Storvsc(Driver):
    """`drivers/scsi/storvsc_drv.c`: SCSI, IDE and Fibre Channel controllers."""

    def probe(self, bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """Become a SCSI host, open the primary channel, ask for sub-channels."""
        device.scsi_host = bus.scsi_hosts.alloc()
        device.primary.irq_name = f"pri@storvsc{device.scsi_host}"
        try:
            yield from bus.open(device.primary, self.ring_size)
        except OSError:
            self._give_back_host(bus, device)
            raise
        yield from self._negotiate(bus, device)

    def resume(self, bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """`storvsc_resume`: the SCSI host has stayed."""
        yield from super().resume(bus, device)
        yield from self._negotiate(bus, device)

    @staticmethod
    def _negotiate(bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """`storvsc_channel_init`."""
        yield NEGOTIATION
        if device.type.name != "ide":  # handle_multichannel_storage
            bus.ask_for_subchannels(device, bus.cpus.online.bit_count() - 1)

    def subchannel_offered(self, bus: Vmbus, channel: Channel) -> Sleeper[None]:
        """`handle_sc_creation`."""
        channel.irq_name = f"sub@storvsc{channel.device.scsi_host}"
        yield from bus.open(channel, self.ring_size)

    def remove(self, bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """Close every channel and give the SCSI host's number back."""
        yield from super().remove(bus, device)
        self._give_back_host(bus, device)

    @staticmethod
    def _give_back_host(bus: Vmbus, device: VmbusDevice) -> None:
        if device.scsi_host is not None:
            bus.scsi_hosts.free(device.scsi_host)
            device.scsi_host = None


class Netvsc(Driver):
    """`drivers/net/hyperv`: synthetic network adapters."""

    softirq = "NET_RX"  # HV_CALL_ISR, which schedules NAPI

    def __init__(self, name: str, classes: tuple[str, ...], ring_size: int, channels: int) -> None:
        super().__init__(name, classes, ring_size)
        self.channels_wanted = channels

    def _channels(self, bus: Vmbus, device: VmbusDevice) -> int:
        """How many channels it uses in all (`rndis_filter_device_add`)."""
        wanted = device.combined or self.channels_wanted
        return min(VRSS_CHANNEL_MAX, bus.cpus.online.bit_count(), wanted)

    def probe(self, bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """Open the primary channel and ask for sub-channels."""
        yield from bus.open(device.primary, self.ring_size)
        yield NEGOTIATION // 2
        bus.ask_for_subchannels(device, self._channels(bus, device) - 1)

    def resume(self, bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """`netvsc_resume`: as at the beginning."""
        yield from self.probe(bus, device)

    def subchannel_offered(self, bus: Vmbus, channel: Channel) -> Sleeper[None]:
        """`netvsc_sc_open`: one that was not asked for stays closed."""
        if channel.offer.subchannel_index < self._channels(bus, channel.device):
            yield from bus.open(channel, self.ring_size)

    def set_channels(self, bus: Vmbus, device: VmbusDevice, number: int) -> Sleeper[None]:
        """`netvsc_set_channels`, what `ethtool -L` does: close all, open as many as asked.

        Raises OSError EINVAL for none, or for more than the host has.
        """
        most = min(VRSS_CHANNEL_MAX, 1 + device.offer.subchannels_available)
        if not 1 <= number <= most:
            raise OSError(EINVAL, f"the adapter has 1 to {most} channels, not {number}")
        yield from device.lock.acquire()
        try:
            yield from bus.disconnect(device)
            device.combined = number
            yield from self.probe(bus, device)
        finally:
            device.lock.release()


class HvPci(Driver):
    """`drivers/pci/controller/pci-hyperv.c`: a PCI bus with one function."""

    def probe(self, bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """Open the channel under the domain's name (patch 4), then look at the bus."""
        wanted = int(device.name.split("-")[1], 16)
        domain = bus.pci_domains.alloc_near(wanted, upwards=bus.pci_domain_upwards)
        device.primary.irq_name = f"vpci:{domain:04x}"
        try:
            yield from bus.open(device.primary, self.ring_size)
        except OSError:
            bus.pci_domains.free(domain)
            raise
        yield NEGOTIATION
        device.pci = bus.pci.plug(device.offer.pci_model, domain)

    def remove(self, bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """The function goes first, then the channel is closed."""
        if device.pci is not None:
            bus.pci.unplug(device.pci)
            bus.pci_domains.free(device.pci.domain)
            device.pci = None
        yield from super().remove(bus, device)


class HvSock(Driver):
    """`net/vmw_vsock/hyperv_transport.c`: a device for each connection."""

    def matches(self, device: VmbusDevice) -> bool:
        """By the flag of the offer alone: no id and no override counts."""
        return device.offer.is_hvsock


class UioHvGeneric(Driver):
    """`drivers/uio/uio_hv_generic.c`: leaves a device to user space.

    The channel is opened when somebody opens /dev/uio<n>, which nobody does
    here, so a device that it has taken over stays closed.
    """

    suspends = False

    def ring_size_of(self, device: VmbusDevice) -> int:
        """`hv_dev_ring_size`: what the class prefers, which only the file copy service does."""
        return _ring_size(16 * KIB) if device.type.name == "fcopy" else self.ring_size

    def probe(self, _bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """Show the rings to user space."""
        device.shows_rings = True
        yield from ()

    def remove(self, _bus: Vmbus, device: VmbusDevice) -> Sleeper[None]:
        """Show them no more."""
        device.shows_rings = False
        yield from ()


def built_in_drivers(netvsc_channels: int, fcopy: str) -> list[Driver]:
    """The drivers of a distribution's kernel, in the order in which they register.

    `fcopy` names the one that takes the file copy service.
    """
    utils = ("shutdown", "timesync", "heartbeat", "kvp", "vss")

    def has_fcopy(name: str) -> tuple[str, ...]:
        return ("fcopy",) if name == fcopy else ()

    return [
        Driver("hv_utils", utils + has_fcopy("hv_utils"), _ring_size(12 * KIB)),
        Storvsc("hv_storvsc", ("ide", "scsi", "fc"), _ring_size(128 * KIB)),
        Driver("hv_balloon", ("balloon",), _ring_size(16 * KIB)),
        Driver("hid_hyperv", ("mouse",), _ring_size(36 * KIB)),
        Driver("hyperv_keyboard", ("keyboard",), _ring_size(36 * KIB)),
        Driver("hyperv_drm", ("framebuffer",), _ring_size(256 * KIB)),
        Netvsc("hv_netvsc", ("netvsc",), 128 * PAGE_SIZE, netvsc_channels),
        UioHvGeneric("uio_hv_generic", has_fcopy("uio_hv_generic"), 512 * PAGE_SIZE),
        HvPci("hv_pci", ("vpci",), _ring_size(16 * KIB)),
        HvSock("hv_sock", (), _ring_size(24 * KIB)),
    ]
