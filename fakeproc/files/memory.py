"""How the guest's memory is used: one account, from which every file of /proc and /sys is told.

The guest does little, so that the shares are constant; what is counted grows with its time.
/proc shows the sums over the nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.files.kernels.versions import shown
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fakeproc.guest.kernel import Kernel

__all__ = [
    "INTERLEAVED",
    "PAGE_KIB",
    "allocations",
    "counters_of_all",
    "has_giga_pages",
    "node_counters",
    "usage",
    "usage_of_all",
]

PAGE_KIB = 4
INTERLEAVED = 512  # pages that were spread over the nodes while the kernel booted

# In parts of a thousand.
SHARES = {
    "free": 620,
    "buffers": 6,
    "cached": 290,
    "active": 80,
    "inactive": 210,
    "anonymous": 35,
    "mapped": 12,
    "slab_reclaimable": 9,
    "slab": 14,
}

# What vmstat counts in pages and meminfo shows in KiB.
IN_PAGES = {
    "nr_free_pages": "MemFree",
    "nr_free_pages_blocks": "MemFree",
    "nr_zone_inactive_anon": "Inactive(anon)",
    "nr_zone_active_anon": "Active(anon)",
    "nr_zone_inactive_file": "Inactive(file)",
    "nr_zone_active_file": "Active(file)",
    "nr_inactive_anon": "Inactive(anon)",
    "nr_active_anon": "Active(anon)",
    "nr_inactive_file": "Inactive(file)",
    "nr_active_file": "Active(file)",
    "nr_slab_reclaimable": "SReclaimable",
    "nr_slab_unreclaimable": "SUnreclaim",
    "nr_anon_pages": "AnonPages",
    "nr_mapped": "Mapped",
    "nr_file_pages": "FilePages",
    "nr_page_table_pages": "PageTables",
}


def usage(kernel: Kernel, node: int) -> dict[str, int]:
    """The use of a node's memory, in KiB, under the names of its meminfo."""
    total = kernel.numa.nodes[node].kib
    if not total:
        return {}
    use = {name: total * share // 1000 // PAGE_KIB * PAGE_KIB for name, share in SHARES.items()}
    return {
        "MemTotal": total,
        "MemFree": use["free"],
        "MemAvailable": use["free"] + use["cached"],
        "MemUsed": total - use["free"],
        "Buffers": use["buffers"],
        "Cached": use["cached"],
        "FilePages": use["cached"] + use["buffers"],
        "Active": use["active"],
        "Inactive": use["inactive"],
        "Active(anon)": use["anonymous"],
        "Active(file)": use["active"] - use["anonymous"],
        "Inactive(file)": use["inactive"],
        "AnonPages": use["anonymous"],
        "Mapped": use["mapped"],
        "KReclaimable": use["slab_reclaimable"],
        "Slab": use["slab"],
        "SReclaimable": use["slab_reclaimable"],
        "SUnreclaim": use["slab"] - use["slab_reclaimable"],
        "KernelStack": 4096,
        "PageTables": 8192,
        "CommitLimit": total // 2,
        "Committed_AS": use["anonymous"],
    }


def usage_of_all(kernel: Kernel) -> dict[str, int]:
    """The same of all nodes together."""
    return _sums(usage(kernel, node) for node in kernel.cpus.nodes)


def _sums(tables: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for table in tables:
        for name, number in table.items():
            total[name] = total.get(name, 0) + number
    return total


def allocations(kernel: Kernel, node: int) -> int:
    """The pages that were ever asked of one node, all by its own CPUs."""
    if not kernel.numa.nodes[node].kib:
        return 0
    return kernel.timeline.now // SECOND * 350 + 100_000


def counters_of_all(kernel: Kernel) -> dict[str, int]:
    """The counters of all nodes together, as /proc/vmstat begins."""
    return _sums(node_counters(kernel, node) for node in kernel.cpus.nodes)


def node_counters(kernel: Kernel, node: int) -> dict[str, int]:
    """The counters of one node, in the order of its vmstat."""
    use = usage(kernel, node)
    pages = allocations(kernel, node)
    counters = {name: use.get(line, 0) // PAGE_KIB for name, line in IN_PAGES.items()}
    counters |= {
        "numa_hit": pages,
        "numa_interleave": INTERLEAVED if use else 0,
        "numa_local": pages,
        "nr_kernel_stack": use.get("KernelStack", 0),  # the one that is counted in KiB
    }
    return {name: counters.get(name, 0) for name in shown(kernel).node_counters}


def has_giga_pages(kernel: Kernel) -> bool:
    """Whether the processors have pages of 1 GiB."""
    return kernel.numa.has_giga_pages
