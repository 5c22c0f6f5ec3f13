"""A SCSI host of hv_storvsc, as `drivers/scsi/scsi_sysfs.c` shows it to lsscsi."""

from __future__ import annotations

from fakeproc.files.sys.device import shows
from fakeproc.files.tree import Attributes, Directory, constant
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.scsi import ScsiHostClassDevice

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
