"""`drivers/scsi/storvsc_drv.c`: SCSI, IDE and Fibre Channel controllers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.hv.device_types import DeviceType
from fakeproc.guest.hv.drivers.simple import KIB, NEGOTIATION, SimpleDriver, ring_size
from fakeproc.guest.scsi import ScsiHost

if TYPE_CHECKING:
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.channel import Channel, VmbusDevice
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.guest.scsi import Scsi
    from fakeproc.timeline import Sleeper

__all__ = ["DEVICE_TYPES", "Storvsc", "scsi_host"]

DEVICE_TYPES = (
    DeviceType(0x0, "ide", "storvsc", perf=True),
    DeviceType(0x1, "scsi", "storvsc", perf=True, isolated=True),
    DeviceType(0x2, "fc", "storvsc", perf=True),
)


def scsi_host(device: VmbusDevice) -> int | None:
    """The number of a device's SCSI host, None for a device that is none."""
    return device.drvdata.number if isinstance(device.drvdata, ScsiHost) else None


class Storvsc(SimpleDriver):
    """Makes a SCSI host of a device, and wants a channel for each further CPU.

    `names_irqs` is patch 5.
    """

    def __init__(self, ops: ChannelOps, cpus: Cpus, scsi: Scsi, *, names_irqs: bool) -> None:
        super().__init__(ops, "hv_storvsc", ("ide", "scsi", "fc"), ring_size(128 * KIB))
        self._cpus = cpus
        self._scsi = scsi
        self._names_irqs = names_irqs

    def probe(self, device: VmbusDevice) -> Sleeper[None]:
        """Open the primary channel, request sub-channels, become a SCSI host, find its disks."""
        host = self._scsi.alloc(device)
        device.drvdata = host
        if self._names_irqs:
            device.primary.irq_name = f"pri@storvsc{host.number}"
        try:
            yield from self._ops.open(device.primary, self.ring_size)
        except OSError:
            device.drvdata = None
            self._scsi.put(host)
            raise
        yield from self._negotiate(device)
        self._scsi.add(host)
        yield from self._scsi.scan(host, self._ops.query_luns(device.primary))

    def resume(self, device: VmbusDevice) -> Sleeper[None]:
        """`storvsc_resume`: the SCSI host has stayed."""
        yield from super().resume(device)
        yield from self._negotiate(device)

    def _negotiate(self, device: VmbusDevice) -> Sleeper[None]:
        """`storvsc_channel_init`."""
        yield NEGOTIATION
        if device.type.name != "ide":  # handle_multichannel_storage
            self._ops.request_subchannels(device, self._cpus.online.bit_count() - 1)

    def subchannel_offered(self, channel: Channel) -> Sleeper[None]:
        """`handle_sc_creation`."""
        if self._names_irqs:
            channel.irq_name = f"sub@storvsc{scsi_host(channel.device)}"
        yield from self._ops.open(channel, self.ring_size)

    def remove(self, device: VmbusDevice) -> Sleeper[None]:
        """`storvsc_remove`: the host goes, every channel is closed, the number is free."""
        host = device.drvdata
        if isinstance(host, ScsiHost):
            yield from self._scsi.remove(host)
        yield from super().remove(device)
        device.drvdata = None
        if isinstance(host, ScsiHost):
            self._scsi.put(host)
