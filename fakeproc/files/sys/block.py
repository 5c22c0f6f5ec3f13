"""Disks: `block/genhd.c: disk_attrs`, `block/blk-sysfs.c: queue_attrs`, as sd.c fills them in.

A disk has no data and nobody reads it: what counts requests counts none.
"""

from __future__ import annotations

from fakeproc.files.sys.device import shows
from fakeproc.files.tree import Attributes, Directory, Listing, Symlink, constant
from fakeproc.guest.block import SECTOR, Gendisk
from fakeproc.guest.kernel import Kernel

__all__ = ["block_numbers"]

DISK = Attributes[Gendisk]()

# What every disk of a Hyper-V host says: sectors of 512 bytes on blocks of 4,096, that may spin.
DISK_CONSTANTS = {
    "alignment_offset": "0\n",
    "capability": "0\n",
    "discard_alignment": "0\n",
    "events": "\n",
    "events_async": "\n",
    "events_poll_msecs": "-1\n",
    "ext_range": "256\n",
    "hidden": "0\n",
    "inflight": "       0        0\n",
    "range": "16\n",
    "removable": "0\n",
    "ro": "0\n",
    "stat": " ".join(["       0"] * 17) + "\n",
}
QUEUE_CONSTANTS = {
    "add_random": "0\n",
    "chunk_sectors": "0\n",
    "dax": "0\n",
    "discard_granularity": "0\n",
    "discard_max_bytes": "0\n",
    "discard_max_hw_bytes": "0\n",
    "discard_zeroes_data": "0\n",
    "dma_alignment": "3\n",
    "fua": "0\n",
    "hw_sector_size": "512\n",
    "io_poll": "0\n",
    "io_poll_delay": "-1\n",
    "io_timeout": "180000\n",
    "iostats": "1\n",
    "logical_block_size": "512\n",
    "max_discard_segments": "1\n",
    "max_hw_sectors_kb": "512\n",
    "max_integrity_segments": "0\n",
    "max_sectors_kb": "512\n",
    "max_segment_size": "4096\n",
    "max_segments": "129\n",
    "minimum_io_size": "4096\n",
    "nomerges": "0\n",
    "nr_requests": "2048\n",
    "nr_zones": "0\n",
    "optimal_io_size": "0\n",
    "physical_block_size": "4096\n",
    "read_ahead_kb": "128\n",
    "rotational": "1\n",
    "rq_affinity": "1\n",
    "scheduler": "[none] mq-deadline\n",
    "stable_writes": "0\n",
    "virt_boundary_mask": "4095\n",
    "wbt_lat_usec": "0\n",
    "write_cache": "write back\n",
    "write_same_max_bytes": "0\n",
    "write_zeroes_max_bytes": "0\n",
    "zone_append_max_bytes": "0\n",
    "zone_write_granularity": "0\n",
    "zoned": "none\n",
}


@DISK.show
def dev_show(disk: Gendisk) -> str:
    """The numbers of /dev/sd<x>, major:minor."""
    return "{}:{}\n".format(*disk.devt)


@DISK.show
def diskseq_show(disk: Gendisk) -> str:
    """Its number among all disks that there were."""
    return f"{disk.sequence}\n"


@DISK.show
def size_show(disk: Gendisk) -> str:
    """Sectors of 512 bytes."""
    return f"{disk.size // SECTOR}\n"


@shows(Gendisk)
def disk_files(_kernel: Kernel, disk: Gendisk) -> Directory:
    """/sys/block/sd<x>, below its logical unit."""
    constants = {name: constant(text) for name, text in DISK_CONSTANTS.items()}
    queue = {name: constant(text) for name, text in QUEUE_CONSTANTS.items()}
    directories = {
        "holders": Directory(),
        "queue": Directory(entries=queue),
        "slaves": Directory(),
    }
    return Directory((DISK.on(disk),), {**constants, **directories})


def block_numbers(kernel: Kernel) -> Directory:
    """/sys/dev/block: every disk by its numbers."""
    path = "dev/block"

    def disks() -> dict[str, Gendisk]:
        found = kernel.devices.class_of("block").devices.values()
        return {"{}:{}".format(*each.devt): each for each in found if isinstance(each, Gendisk)}

    def make(name: str) -> Symlink | None:
        disk = disks().get(name)
        return None if disk is None else Symlink.between(path, disk.path)

    return Directory(listings=(Listing(Symlink, disks, make),))
