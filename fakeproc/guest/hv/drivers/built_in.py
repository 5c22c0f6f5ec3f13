"""The drivers of a distribution's kernel, in the order in which they register."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.hv.drivers.hv_pci import HvPci
from fakeproc.guest.hv.drivers.hv_sock import HvSock
from fakeproc.guest.hv.drivers.netvsc import Netvsc
from fakeproc.guest.hv.drivers.simple import KIB, SimpleDriver, ring_size
from fakeproc.guest.hv.drivers.storvsc import Storvsc
from fakeproc.guest.hv.drivers.uio import UioHvGeneric

if TYPE_CHECKING:
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.channel import Driver
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.guest.pci.functions import Pci
    from fakeproc.guest.personality import Version

__all__ = ["built_in_drivers"]


def built_in_drivers(ops: ChannelOps, cpus: Cpus, pci: Pci, version: Version) -> list[Driver]:
    """Every driver; `version.fcopy_driver` names the one that takes the file copy service."""
    utils = ("shutdown", "timesync", "heartbeat", "kvp", "vss")

    def has_fcopy(name: str) -> tuple[str, ...]:
        return ("fcopy",) if name == version.fcopy_driver else ()

    return [
        SimpleDriver(ops, "hv_utils", utils + has_fcopy("hv_utils"), ring_size(12 * KIB)),
        Storvsc(ops, cpus),
        SimpleDriver(ops, "hv_balloon", ("balloon",), ring_size(16 * KIB)),
        SimpleDriver(ops, "hid_hyperv", ("mouse",), ring_size(36 * KIB)),
        SimpleDriver(ops, "hyperv_keyboard", ("keyboard",), ring_size(36 * KIB)),
        SimpleDriver(ops, "hyperv_drm", ("framebuffer",), ring_size(256 * KIB)),
        Netvsc(ops, cpus, version.netvsc_channels),
        UioHvGeneric(ops, has_fcopy("uio_hv_generic")),
        HvPci(ops, pci, upwards=version.pci_domain_upwards),
        HvSock(ops),
    ]
