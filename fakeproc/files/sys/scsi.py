"""A SCSI host of hv_storvsc and its disks, as `drivers/scsi/scsi_sysfs.c` shows them to lsscsi."""

from __future__ import annotations

from fakeproc.files.sys.device import shows
from fakeproc.files.tree import Attributes, Directory, constant
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.scsi import ScsiDevice, ScsiDiskClassDevice, ScsiHostClassDevice

__all__: list[str] = []

HOST = Attributes[ScsiHostClassDevice]()

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

# What a virtual disk of Hyper-V answers to INQUIRY, and what the mid layer keeps of it.
UNIT = {
    "device_blocked": "0\n",
    "device_busy": "0\n",
    "eh_timeout": "10\n",
    "iocounterbits": "32\n",
    "iodone_cnt": "0x0\n",
    "ioerr_cnt": "0x0\n",
    "iorequest_cnt": "0x0\n",
    "iotmo_cnt": "0x0\n",
    "modalias": "scsi:t-0x00\n",
    "model": "Virtual Disk    \n",
    "queue_depth": "2048\n",
    "queue_type": "none\n",
    "rev": "1.0 \n",
    "scsi_level": "6\n",
    "state": "running\n",
    "timeout": "180\n",
    "type": "0\n",
    "vendor": "Msft    \n",
}
# sd.c: sd_disk_attrs.
DISK = {
    "FUA": "0\n",
    "allow_restart": "1\n",
    "app_tag_own": "0\n",
    "cache_type": "write back\n",
    "max_medium_access_timeouts": "2\n",
    "max_retries": "5\n",
    "max_write_same_blocks": "0\n",
    "protection_mode": "none\n",
    "protection_type": "0\n",
    "provisioning_mode": "full\n",
    "thin_provisioning": "0\n",
    "zeroing_mode": "write\n",
    "zoned_cap": "none\n",
}


@HOST.show
def unique_id_show(_host: ScsiHostClassDevice) -> str:
    """0: the driver numbers nothing."""
    return "0\n"


@shows(ScsiHostClassDevice)
def scsi_host_files(_kernel: Kernel, host: ScsiHostClassDevice) -> Directory:
    """host<n>/scsi_host/host<n> below the controller's device directory."""
    return Directory(
        (HOST.on(host),), {name: constant(text) for name, text in STORVSC_HOST.items()}
    )


@shows(ScsiDevice)
def scsi_device_files(_kernel: Kernel, _unit: ScsiDevice) -> Directory:
    """<host>:0:0:<unit> below the target."""
    return Directory(entries={name: constant(text) for name, text in UNIT.items()})


@shows(ScsiDiskClassDevice)
def scsi_disk_files(_kernel: Kernel, _disk: ScsiDiskClassDevice) -> Directory:
    """scsi_disk/<host>:0:0:<unit> below the unit."""
    return Directory(entries={name: constant(text) for name, text in DISK.items()})
