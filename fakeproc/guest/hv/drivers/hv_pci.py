"""`drivers/pci/controller/pci-hyperv.c`: a PCI bus with one function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.guest.base.ida import Ida
from fakeproc.guest.hv.device_types import DeviceType
from fakeproc.guest.hv.drivers.simple import KIB, NEGOTIATION, SimpleDriver, ring_size

if TYPE_CHECKING:
    from fakeproc.guest.hv.channel import VmbusDevice
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.guest.pci.functions import Pci, PciBridge
    from fakeproc.timeline import Sleeper

__all__ = ["DEVICE_TYPES", "HvPci", "HvPciBus"]

DEVICE_TYPES = (DeviceType(0x5, "vpci", "vpci", isolated=True),)


@dataclass(slots=True)
class HvPciBus:
    """What the driver keeps of a device: the bus's domain and, when it was found, its root."""

    domain: int
    bridge: PciBridge | None = None


class HvPci(SimpleDriver):
    """Gives each device a PCI domain; `upwards` says how it resolves a collision.

    `names_irqs` is patch 4.
    """

    def __init__(self, ops: ChannelOps, pci: Pci, *, upwards: bool, names_irqs: bool) -> None:
        super().__init__(ops, "hv_pci", ("vpci",), ring_size(16 * KIB))
        self._pci = pci
        self._domains = Ida()
        self._upwards = upwards
        self._names_irqs = names_irqs

    def probe(self, device: VmbusDevice) -> Sleeper[None]:
        """Open the channel under the domain's name (patch 4), then look at the bus."""
        wanted = int(device.name.split("-")[1], 16)
        bus = HvPciBus(self._domains.alloc_near(wanted, upwards=self._upwards))
        if bus.domain != wanted:
            self._ops.log.say(
                f"hv_pci {device.name}: PCI dom# {wanted:#x} has collision, using {bus.domain:#x}"
            )
        device.drvdata = bus
        if self._names_irqs:
            device.primary.irq_name = f"vpci:{bus.domain:04x}"
        try:
            yield from self._ops.open(device.primary, self.ring_size)
        except OSError:
            self._free_domain(device)
            raise
        yield NEGOTIATION
        relations = self._ops.query(device.primary)
        if relations.model is not None:
            bus.bridge = yield from self._pci.plug(
                relations.model, bus.domain, device, relations.address
            )

    def remove(self, device: VmbusDevice) -> Sleeper[None]:
        """The function goes first, then the channel is closed."""
        if isinstance(device.drvdata, HvPciBus) and device.drvdata.bridge is not None:
            yield from self._pci.unplug(device.drvdata.bridge)
        self._free_domain(device)
        yield from super().remove(device)

    def _free_domain(self, device: VmbusDevice) -> None:
        bus, device.drvdata = device.drvdata, None
        if isinstance(bus, HvPciBus):
            self._domains.free(bus.domain)
