"""The drivers of a distribution's kernel, in the order of registration, and their devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.hv.device_types import HV_UNKNOWN, DeviceType, index_by_class
from fakeproc.guest.hv.drivers import hv_pci, netvsc, storvsc, uio, utils
from fakeproc.series import Patch

if TYPE_CHECKING:
    from uuid import UUID

    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.channel import Driver
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.guest.net import Net
    from fakeproc.guest.pci.functions import Pci
    from fakeproc.guest.scsi import Scsi
    from fakeproc.guest.uio import Uio
    from fakeproc.personality import Personality

__all__ = ["built_in_drivers", "device_type"]

_NO_DRIVER = DeviceType(0x4, "netdirect", "netdirect", perf=True)
_BY_CLASS = index_by_class(
    *storvsc.DEVICE_TYPES,
    *netvsc.DEVICE_TYPES,
    *hv_pci.DEVICE_TYPES,
    *uio.DEVICE_TYPES,
    *utils.DEVICE_TYPES,
    _NO_DRIVER,
)


def device_type(class_id: UUID) -> DeviceType:
    """The row of a class GUID (`hv_get_dev_type`), or HV_UNKNOWN."""
    return _BY_CLASS.get(class_id, HV_UNKNOWN)


def built_in_drivers(
    ops: ChannelOps,
    cpus: Cpus,
    pci: Pci,
    scsi: Scsi,
    net: Net,
    user_space: Uio,
    personality: Personality,
) -> list[Driver]:
    """Every driver but that of sockets.

    `version.fcopy_driver` names the one that takes the file copy service.
    """
    version, patches = personality.version, personality.series.patches
    return [
        utils.utils(ops, fcopy=version.fcopy_driver == "hv_utils"),
        storvsc.Storvsc(ops, cpus, scsi, names_irqs=Patch.NAME_DISKS in patches),
        utils.balloon(ops),
        utils.mouse(ops),
        utils.keyboard(ops),
        utils.display(ops),
        netvsc.Netvsc(ops, cpus, net, version.netvsc_channels, personality.netvsc_names),
        uio.UioHvGeneric(ops, user_space, fcopy=version.fcopy_driver == "uio_hv_generic"),
        hv_pci.HvPci(
            ops,
            pci,
            upwards=version.pci_domain_upwards,
            names_irqs=Patch.NAME_PCI in patches,
        ),
    ]
