"""A SCSI host of hv_storvsc, as `drivers/scsi/scsi_sysfs.c` shows it to lsscsi."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.files.sys.power import device_power_directory
from fakeproc.files.sys.uevent import synthetic_uevent
from fakeproc.files.tree import Attributes, Directory, Symlink, constant
from fakeproc.guest.hv.drivers.storvsc import scsi_host

if TYPE_CHECKING:
    from fakeproc.guest.hv.channel import VmbusDevice
    from fakeproc.guest.kernel import Kernel

__all__ = ["scsi_host_directory", "scsi_hosts"]

HOST = Attributes[int]()

# drivers/scsi/storvsc_drv.c: scsi_driver, and what its probe sets.
STORVSC_HOST = {
    "active_mode": "Initiator\n",
    "can_queue": "1015\n",
    "cmd_per_lun": "2048\n",
    "host_busy": "0\n",
    "host_reset": "",
    "nr_hw_queues": "2\n",
    "proc_name": "storvsc_host\n",
    "prot_capabilities": "0\n",
    "prot_guard_type": "0\n",
    "sg_prot_tablesize": "0\n",
    "sg_tablesize": "514\n",
    "state": "running\n",
    "supported_mode": "Initiator\n",
    "use_blk_mq": "1\n",
}


@HOST.show
def unique_id_show(_host: int) -> str:
    """0: the driver numbers nothing."""
    return "0\n"


@HOST.show
def uevent_show(_host: int) -> str:
    """Nothing: a host has no driver and no modalias."""
    return ""


@HOST.store
def uevent_store(_host: int, data: bytes) -> None:
    """A synthetic uevent; OSError EINVAL for an unknown action."""
    synthetic_uevent(data)


def scsi_hosts(kernel: Kernel) -> dict[int, VmbusDevice]:
    """The VMBus devices that are SCSI hosts, by host number."""
    return {
        number: device
        for device in kernel.vmbus.devices.values()
        if (number := scsi_host(device)) is not None
    }


def scsi_host_directory(kernel: Kernel, device: VmbusDevice) -> Directory:
    """host<n>/ below the controller's device directory."""
    number = scsi_host(device) or 0
    up = "../" * (kernel.profile.vmbus.parent.count("/") + 4)
    class_device = Directory(
        (HOST.on(number),),
        {
            **{name: constant(text) for name, text in STORVSC_HOST.items()},
            "device": Symlink(f"../../../host{number}"),
            "power": device_power_directory(),
            "subsystem": Symlink(f"{up}../../class/scsi_host"),
        },
    )
    return Directory(
        entries={
            "power": device_power_directory(),
            "scsi_host": Directory(entries={f"host{number}": class_device}),
            "subsystem": Symlink(f"{up}bus/scsi"),
            "uevent": constant("DEVTYPE=scsi_host\n"),
        },
        owner=device,
    )
