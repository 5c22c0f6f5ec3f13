"""queues/rx-<n> and tx-<n> of an interface: which CPUs handle what (RPS and XPS)."""

from __future__ import annotations

from errno import EINVAL, ENOENT, EOPNOTSUPP
from typing import NamedTuple

from fakeproc.files.subjects import mask_line
from fakeproc.files.sys.device import shows
from fakeproc.files.text.bitmap import parse_mask
from fakeproc.files.text.kstrtox import parse_unsigned
from fakeproc.files.tree import Attributes, Directory
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.net import NetQueue

__all__: list[str] = []

MOST_FLOWS = 1 << 27  # what `store_rps_dev_flow_table_cnt` can allocate


class QueueOf(NamedTuple):
    """A queue, and its kernel."""

    kernel: Kernel
    queue: NetQueue


RX = Attributes[QueueOf]()
TX = Attributes[QueueOf]()


@RX.show
def rps_cpus_show(it: QueueOf) -> str:
    """The CPUs that handle what comes in here; none: the one that was interrupted."""
    return mask_line(it.kernel, it.queue.cpus)


@RX.store
def rps_cpus_store(it: QueueOf, data: bytes) -> None:
    """`store_rps_map`: OSError EINVAL where all of them are isolated, or of no mask."""
    wanted = parse_mask(data, it.kernel.cpus.nr_cpu_ids)
    if wanted:
        wanted &= it.kernel.cpus.housekeeping_domain
        if not wanted:
            raise OSError(EINVAL, "every CPU of the mask is isolated, or is not possible")
    it.queue.cpus = wanted


@RX.show
def rps_flow_cnt_show(it: QueueOf) -> str:
    """Entries of the table of flows."""
    return f"{it.queue.flows}\n"


@RX.store
def rps_flow_cnt_store(it: QueueOf, data: bytes) -> None:
    """Rounded up to a power of two; OSError EINVAL for no number and for one too large."""
    count = parse_unsigned(data)
    if count > MOST_FLOWS:
        raise OSError(EINVAL, f"the table has {MOST_FLOWS} entries at most")
    it.queue.flows = 1 << (count - 1).bit_length() if count else 0


def _of_many(it: QueueOf) -> NetQueue:
    """The queue; OSError ENOENT where its interface has but one to send through."""
    if not it.queue.device.is_multiqueue:
        raise OSError(ENOENT, f"{it.queue.device.name} sends through one queue")
    return it.queue


@TX.show
def xps_cpus_show(it: QueueOf) -> str:
    """The CPUs that send through this queue; OSError ENOENT where it is the only one."""
    return mask_line(it.kernel, _of_many(it).cpus)


@TX.store
def xps_cpus_store(it: QueueOf, data: bytes) -> None:
    """`netif_set_xps_queue`; OSError EINVAL for no mask, ENOENT where it is the only queue."""
    _of_many(it).cpus = parse_mask(data, it.kernel.cpus.nr_cpu_ids) & it.kernel.cpus.possible


@TX.show
def traffic_class_show(it: QueueOf) -> str:
    """Class 0, the only one; OSError ENOENT where this is the only queue."""
    _of_many(it)
    return "0\n"


@TX.show
def tx_maxrate_show(_it: QueueOf) -> str:
    """Mb/s; 0: without a limit."""
    return "0\n"


@TX.store
def tx_maxrate_store(_it: QueueOf, _data: bytes) -> None:
    """OSError EOPNOTSUPP: no driver here has `ndo_set_tx_maxrate`."""
    raise OSError(EOPNOTSUPP, "the driver cannot limit a queue")


@TX.show
def tx_timeout_show(_it: QueueOf) -> str:
    """How often sending took too long."""
    return "0\n"


@shows(NetQueue)
def net_queue_files(kernel: Kernel, queue: NetQueue) -> Directory:
    """The directory of one queue."""
    group = RX if queue.direction == "rx" else TX
    return Directory((group.on(QueueOf(kernel, queue), queue),))
