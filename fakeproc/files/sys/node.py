"""/sys/devices/system/node: `drivers/base/node.c`."""

from __future__ import annotations

from errno import EINVAL
from typing import NamedTuple

from fakeproc.files.kernels.architectures import architecture_files
from fakeproc.files.kernels.versions import shown
from fakeproc.files.memory import (
    INTERLEAVED,
    allocations,
    node_counters,
    usage,
)
from fakeproc.files.subjects import Node, list_line, mask_line
from fakeproc.files.sys.cpu_topology import list_size, mask_size
from fakeproc.files.sys.device import link, shows
from fakeproc.files.text.kstrtox import parse_int
from fakeproc.files.tree import Attributes, Directory, Listing, Symlink, constant
from fakeproc.guest.base.cpu import NodeDevice, NodeRoot
from fakeproc.guest.cpus import cpu_mask, cpus_in
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.numa import HUGE_PAGE_KIB

__all__: list[str] = []

# `node_read_meminfo`: its lines, and the values of /proc/meminfo; the rest is none.
MEMINFO = """
MemTotal MemFree MemUsed SwapCached Active Inactive Active(anon) Inactive(anon) Active(file)
Inactive(file) Unevictable Mlocked Dirty Writeback FilePages Mapped AnonPages Shmem KernelStack
PageTables SecPageTables NFS_Unstable Bounce WritebackTmp KReclaimable Slab SReclaimable
SUnreclaim AnonHugePages ShmemHugePages ShmemPmdMapped FileHugePages FilePmdMapped
"""


class HugePages(NamedTuple):
    """The huge pages of one size in a node."""

    kernel: Kernel
    node: int
    kib: int

    @property
    def pages(self) -> int:
        """How many the node has."""
        return self.kernel.numa.nodes[self.node].hugepages[self.kib]


ROOT = Attributes[Kernel]()
NODE = Attributes[Node]()
HUGE_PAGES = Attributes[HugePages]()


# /sys/devices/system/node


@ROOT.show
def online_show(kernel: Kernel) -> str:
    """The nodes that are there; they stay when their CPUs go."""
    return list_line(cpu_mask(kernel.cpus.nodes))


@ROOT.show
def possible_show(kernel: Kernel) -> str:
    """The nodes that may ever be there."""
    return list_line(cpu_mask(kernel.numa.possible))


@ROOT.show
def has_cpu_show(kernel: Kernel) -> str:
    """The nodes with a CPU that runs."""
    cpus = kernel.cpus
    return list_line(sum(1 << n for n in cpus.nodes if cpus.node_mask(n) & cpus.online))


@ROOT.show
def has_memory_show(kernel: Kernel) -> str:
    """The nodes with memory."""
    return list_line(cpu_mask(kernel.numa.with_memory))


@ROOT.show
def has_normal_memory_show(kernel: Kernel) -> str:
    """The nodes with memory that the kernel itself can use."""
    return list_line(cpu_mask(kernel.numa.with_normal_memory))


@ROOT.show
def has_generic_initiator_show(_kernel: Kernel) -> str:
    """The nodes of devices alone: none."""
    return list_line(0)


@shows(NodeRoot)
def node_root_files(kernel: Kernel, device: NodeRoot) -> Directory:
    """/sys/devices/system/node."""
    return Directory((ROOT.on(kernel, device),))


# nodeK


def _online(it: Node) -> int:
    """The CPUs of a node that run."""
    return it.kernel.cpus.node_mask(it.node) & it.kernel.cpus.online


@NODE.show(size=lambda it: mask_size(it.kernel), is_bitmap=True)
def cpumap_show(it: Node) -> str:
    """Its CPUs that run."""
    return mask_line(it.kernel, _online(it))


@NODE.show(size=lambda it: list_size(it.kernel), is_bitmap=True)
def cpulist_show(it: Node) -> str:
    """The same as a list."""
    return list_line(_online(it))


@NODE.show
def distance_show(it: Node) -> str:
    """How far its memory is, and that of the others."""
    return " ".join(map(str, it.kernel.numa.nodes[it.node].distances)) + "\n"


@NODE.show(name="meminfo")
def node_meminfo_show(it: Node) -> str:
    """How its memory is used."""
    use = usage(it.kernel, it.node)
    lines = [
        f"Node {it.node} {name + ':':<16s}{use.get(name, 0):8d} kB" for name in MEMINFO.split()
    ]
    pages = it.kernel.numa.nodes[it.node].hugepages.get(HUGE_PAGE_KIB, 0)
    huge = {"HugePages_Total:": pages, "HugePages_Free:": pages, "HugePages_Surp:": 0}
    lines += [f"Node {it.node} {name:<16s} {number:5d}" for name, number in huge.items()]
    return "\n".join(lines) + "\n"


@NODE.show
def numastat_show(it: Node) -> str:
    """Where pages were asked for, and where they were found."""
    pages = allocations(it.kernel, it.node)
    return (
        f"numa_hit {pages}\nnuma_miss 0\nnuma_foreign 0\n"
        f"interleave_hit {INTERLEAVED if pages else 0}\nlocal_node {pages}\nother_node 0\n"
    )


@NODE.show
def vmstat_show(it: Node) -> str:
    """Its share of /proc/vmstat."""
    return "".join(f"{name} {count}\n" for name, count in node_counters(it.kernel, it.node).items())


@NODE.store
def compact_store(_it: Node, _data: bytes) -> None:
    """Gather free pages; whatever is written, it is tried."""


@NODE.store(visible=lambda it: "reclaim" in shown(it.kernel).node_files)
def reclaim_store(_it: Node, data: bytes) -> None:
    """Reclaim so much memory (`user_proactive_reclaim`): all that is asked for can be had.

    Raises OSError EINVAL for what does not begin with a size (`memparse`).
    """
    if not data[:1].isdigit():
        raise OSError(EINVAL, "not a size in bytes")


@HUGE_PAGES.show
def nr_hugepages_show(it: HugePages) -> str:
    """The pages of the pool."""
    return f"{it.pages}\n"


@HUGE_PAGES.store
def nr_hugepages_store(_it: HugePages, data: bytes) -> None:
    """Ask for a pool, of which nothing can be had; OSError EINVAL for no number.

    That is what the kernel does where memory is in pieces: it says so only in
    the number that is read afterwards.
    """
    if parse_int(data) < 0:
        raise OSError(EINVAL, "fewer than no pages")


@HUGE_PAGES.show
def free_hugepages_show(it: HugePages) -> str:
    """Those that nobody uses: all."""
    return f"{it.pages}\n"


@HUGE_PAGES.show
def surplus_hugepages_show(_it: HugePages) -> str:
    """Those beyond the size of the pool."""
    return "0\n"


def _huge_pages(it: Node) -> Directory:
    return Directory(
        entries={
            f"hugepages-{kib}kB": Directory((HUGE_PAGES.on(HugePages(*it, kib)),))
            for kib in it.kernel.numa.nodes[it.node].hugepages
        }
    )


def _optional(kernel: Kernel) -> dict[str, Directory]:
    """The directories that not every kernel has."""
    found = {}
    if "memory_failure" in shown(kernel).node_files:
        failures = ("delayed", "failed", "ignored", "recovered", "total")
        found["memory_failure"] = Directory(entries={name: constant("0\n") for name in failures})
    if architecture_files(kernel).has_sgx_directory:
        found["x86"] = Directory()  # the guest has no memory for enclaves
    return found


@shows(NodeDevice)
def node_files(kernel: Kernel, device: NodeDevice) -> Directory:
    """/sys/devices/system/node/nodeK."""
    cpus = kernel.cpus
    it = Node(kernel, device.number)

    def own() -> list[str]:
        return [f"cpu{cpu}" for cpu in cpus_in(cpus.node_mask(it.node) & cpus.present)]

    def cpu(name: str) -> Symlink | None:
        found = kernel.cpu_bus.devices.get(name)
        if found is None or not cpus.node_mask(it.node) >> found.number & 1:
            return None
        return link(device, found)

    return Directory(
        (NODE.on(it, device),),
        {
            "hugepages": _huge_pages(it),
            **_optional(kernel),
        },
        (Listing(Symlink, own, cpu),),
    )
