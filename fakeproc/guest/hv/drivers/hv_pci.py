"""`drivers/pci/controller/pci-hyperv.c`: a PCI bus with one function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.base.ida import Ida
from fakeproc.guest.hv.drivers.simple import KIB, NEGOTIATION, SimpleDriver, ring_size

if TYPE_CHECKING:
    from fakeproc.guest.hv.channel import VmbusDevice
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.guest.pci.functions import Pci
    from fakeproc.timeline import Sleeper

__all__ = ["HvPci"]


class HvPci(SimpleDriver):
    """Gives each device a PCI domain; `upwards` says how it resolves a collision."""

    def __init__(self, ops: ChannelOps, pci: Pci, *, upwards: bool) -> None:
        super().__init__(ops, "hv_pci", ("vpci",), ring_size(16 * KIB))
        self._pci = pci
        self._domains = Ida()
        self._upwards = upwards

    def probe(self, device: VmbusDevice) -> Sleeper[None]:
        """Open the channel under the domain's name (patch 4), then look at the bus."""
        wanted = int(device.name.split("-")[1], 16)
        domain = self._domains.alloc_near(wanted, upwards=self._upwards)
        device.primary.irq_name = f"vpci:{domain:04x}"
        try:
            yield from self._ops.open(device.primary, self.ring_size)
        except OSError:
            self._domains.free(domain)
            raise
        yield NEGOTIATION
        device.pci = self._pci.plug(device.offer.pci_model, domain)

    def remove(self, device: VmbusDevice) -> Sleeper[None]:
        """The function goes first, then the channel is closed."""
        if device.pci is not None:
            self._pci.unplug(device.pci)
            self._domains.free(device.pci.domain)
            device.pci = None
        yield from super().remove(device)
