"""Files of /proc that say what machine this is and how it fares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.files.kernels.architectures import architecture_files
from fakeproc.files.kernels.versions import shown
from fakeproc.files.memory import PAGE_KIB, counters_of_all, has_giga_pages, usage_of_all
from fakeproc.files.text.records import end_of_line, end_of_paragraph
from fakeproc.files.tree import Attributes, EndOfRecord
from fakeproc.guest.accounting import USER_HZ
from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.numa import HUGE_PAGE_KIB
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SYSTEM"]

SYSTEM = Attributes[Kernel]()

# `meminfo_proc_show`: its lines up to the huge pages.  Usual configurations have all of them.
MEMINFO = """
MemTotal MemFree MemAvailable Buffers Cached SwapCached Active Inactive Active(anon)
Inactive(anon) Active(file) Inactive(file) Unevictable Mlocked SwapTotal SwapFree Zswap Zswapped
Dirty Writeback AnonPages Mapped Shmem KReclaimable Slab SReclaimable SUnreclaim KernelStack
PageTables SecPageTables NFS_Unstable Bounce WritebackTmp CommitLimit Committed_AS VmallocTotal
VmallocUsed VmallocChunk Percpu HardwareCorrupted AnonHugePages ShmemHugePages ShmemPmdMapped
FileHugePages FilePmdMapped Balloon
"""
HUGE_PAGES = ("HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp")
SMALL_PAGES_KIB = 192 * 1024  # of the direct map: what its large pages were split for
PERCPU_KIB = 1024  # of a CPU, for variables that each has for itself
VMALLOC_KIB = 24 * 1024  # in use


@SYSTEM.show
def cmdline_show(kernel: Kernel) -> str:
    """`fs/proc/cmdline.c`."""
    return f"{kernel.profile.command_line}\n"


def _cpuinfo_records(kernel: Kernel) -> EndOfRecord | None:
    """x86 shows a CPU at a time, arm64 all of them (`arch/*/kernel: c_start`)."""
    return end_of_paragraph if architecture_files(kernel).cpuinfo_has_records else None


@SYSTEM.show(records=_cpuinfo_records)
def cpuinfo_show(kernel: Kernel) -> str:
    """`arch/*/kernel: c_show` of cpuinfo, one paragraph an online CPU."""
    describe = architecture_files(kernel).cpuinfo
    return "".join(
        "\n".join((*describe(kernel, cpu), "", "")) for cpu in cpus_in(kernel.cpus.online)
    )


@SYSTEM.show
def loadavg_show(_kernel: Kernel) -> str:
    """`fs/proc/loadavg.c`: one process runs, the one that asks."""
    return "0.00 0.01 0.00 1/182 1000\n"


def _line(name: str, kib: int) -> str:
    """`show_val_kb`; the longest name has a narrower number, as it has no call of that."""
    label = f"{name}:"
    return f"{label:<15} {kib:8d} kB" if len(label) <= 16 else f"{label:<18} {kib:5d} kB"


@SYSTEM.show
def meminfo_show(kernel: Kernel) -> str:
    """`fs/proc/meminfo.c`."""
    architecture, cpus = architecture_files(kernel), kernel.cpus
    use = usage_of_all(kernel) | {
        "VmallocTotal": architecture.vmalloc_total_kib,
        "VmallocUsed": VMALLOC_KIB,
        "Percpu": PERCPU_KIB * cpus.possible.bit_count(),
    }
    names = MEMINFO.split()
    if not shown(kernel).has_balloon:
        names.remove("Balloon")
    lines = [_line(name, use.get(name, 0)) for name in names]
    pools = [node.hugepages for node in kernel.numa.nodes.values()]
    pages = sum(pool.get(HUGE_PAGE_KIB, 0) for pool in pools)
    in_all = sum(kib * number for pool in pools for kib, number in pool.items())
    huge = dict.fromkeys(HUGE_PAGES, 0) | {"HugePages_Total": pages, "HugePages_Free": pages}
    lines += [f"{name + ':':<18} {number:5d}" for name, number in huge.items()]
    lines += [_line("Hugepagesize", HUGE_PAGE_KIB), _line("Hugetlb", in_all)]
    if architecture.has_direct_map:
        lines += _direct_map(kernel, use["MemTotal"])
    return "\n".join(lines) + "\n"


def _direct_map(kernel: Kernel, total: int) -> Iterator[str]:
    """`arch/x86/mm/pat/set_memory.c: arch_report_meminfo`: how the kernel maps all memory."""
    small = min(total, SMALL_PAGES_KIB)
    sizes = {"DirectMap4k": small, "DirectMap2M": total - small}
    if has_giga_pages(kernel):
        sizes["DirectMap1G"] = max(0, (total - small) // (1 << 20) - 1) << 20
        sizes["DirectMap2M"] -= sizes["DirectMap1G"]
    for name, kib in sizes.items():
        yield _line(name, kib)


@SYSTEM.show
def uptime_show(kernel: Kernel) -> str:
    """`fs/proc/uptime.c`: seconds since boot, and seconds that all CPUs were idle."""
    elapsed = kernel.timeline.now
    nanoseconds = sum(kernel.accounting.times(cpu).idle for cpu in cpus_in(kernel.cpus.possible))
    idle = nanoseconds * USER_HZ // SECOND
    hundredths = elapsed * USER_HZ // SECOND
    return (
        f"{hundredths // USER_HZ}.{hundredths % USER_HZ:02d}"
        f" {idle // USER_HZ}.{idle % USER_HZ:02d}\n"
    )


@SYSTEM.show
def version_show(kernel: Kernel) -> str:
    """`fs/proc/version.c`."""
    return f"Linux version {kernel.version}\n"


# Events that happen on a guest that does little, by the second, and since its boot.
EVENTS_A_SECOND = {"pgpgout": 12, "pgalloc_normal": 400, "pgfree": 400, "pgfault": 350}
EVENTS_OF_BOOT = {"pgalloc_dma32": 2000, "pgmajfault": 400}


@SYSTEM.show(records=lambda _: end_of_line)
def vmstat_show(kernel: Kernel) -> str:
    """`mm/vmstat.c`: the sums over the nodes, then the events."""
    seconds = kernel.timeline.now // SECOND
    use = usage_of_all(kernel)
    dirtyable = (use["MemFree"] + use["Cached"]) // PAGE_KIB
    events = {
        "nr_dirty_threshold": dirtyable * 20 // 100,  # vm.dirty_ratio
        "nr_dirty_background_threshold": dirtyable * 10 // 100,
        "pgpgin": use["Cached"],
        **EVENTS_OF_BOOT,
        **{name: seconds * rate for name, rate in EVENTS_A_SECOND.items()},
    }
    counters = counters_of_all(kernel)
    has_direct_map = architecture_files(kernel).has_direct_map
    counters |= {
        name: events.get(name, 0)
        for name in shown(kernel).event_counters
        if has_direct_map or not name.startswith("direct_map_")
    }
    return "".join(f"{name} {count}\n" for name, count in counters.items())
