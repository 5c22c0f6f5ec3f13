"""`drivers/scsi/storvsc_drv.c`: SCSI, IDE and Fibre Channel controllers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.guest.base.ida import Ida
from fakeproc.guest.hv.device_types import DeviceType
from fakeproc.guest.hv.drivers.simple import KIB, NEGOTIATION, SimpleDriver, ring_size

if TYPE_CHECKING:
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.channel import Channel, VmbusDevice
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.timeline import Sleeper

__all__ = ["DEVICE_TYPES", "ScsiHost", "Storvsc", "scsi_host"]

DEVICE_TYPES = (
    DeviceType(0x0, "ide", "storvsc", perf=True),
    DeviceType(0x1, "scsi", "storvsc", perf=True),
    DeviceType(0x2, "fc", "storvsc", perf=True),
)


@dataclass(frozen=True, slots=True)
class ScsiHost:
    """What the driver keeps of a device: the number of its host<n>."""

    number: int


def scsi_host(device: VmbusDevice) -> int | None:
    """The number of a device's SCSI host, None for a device that is none."""
    return device.drvdata.number if isinstance(device.drvdata, ScsiHost) else None


class Storvsc(SimpleDriver):
    """Makes a SCSI host of a device, and wants a channel for each further CPU."""

    def __init__(self, ops: ChannelOps, cpus: Cpus) -> None:
        super().__init__(ops, "hv_storvsc", ("ide", "scsi", "fc"), ring_size(128 * KIB))
        self._cpus = cpus
        self._hosts = Ida()  # numbers of host<n>

    def probe(self, device: VmbusDevice) -> Sleeper[None]:
        """Become a SCSI host, open the primary channel, request sub-channels."""
        host = ScsiHost(self._hosts.alloc())
        device.drvdata = host
        device.primary.irq_name = f"pri@storvsc{host.number}"
        try:
            yield from self._ops.open(device.primary, self.ring_size)
        except OSError:
            self._free_host(device)
            raise
        yield from self._negotiate(device)

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
        channel.irq_name = f"sub@storvsc{scsi_host(channel.device)}"
        yield from self._ops.open(channel, self.ring_size)

    def remove(self, device: VmbusDevice) -> Sleeper[None]:
        """Close every channel and free the SCSI host's number."""
        yield from super().remove(device)
        self._free_host(device)

    def _free_host(self, device: VmbusDevice) -> None:
        number, device.drvdata = scsi_host(device), None
        if number is not None:
            self._hosts.free(number)
