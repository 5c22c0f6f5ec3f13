"""Files of /proc that say what machine this is and how it fares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.files.kernels.architectures import architecture_files
from fakeproc.files.text.records import end_of_line, end_of_paragraph
from fakeproc.files.tree import Attributes, EndOfRecord
from fakeproc.guest.accounting import USER_HZ
from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.kernel import Kernel
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    pass

__all__ = ["SYSTEM", "meminfo"]

SYSTEM = Attributes[Kernel]()

# How the memory of a guest that does little is used, in parts of a thousand.
MEMORY_USE = {
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


@SYSTEM.show
def cmdline_show(kernel: Kernel) -> str:
    """`fs/proc/cmdline.c`."""
    return f"{kernel.profile.kernel.cmdline}\n"


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


@SYSTEM.show
def meminfo_show(kernel: Kernel) -> str:
    """`fs/proc/meminfo.c`."""
    nodes = len(kernel.cpus.nodes)
    return "".join(
        f"{name + ':':<15s} {kib:8d} kB\n" for name, kib in meminfo(kernel, nodes).items()
    )


def meminfo(kernel: Kernel, nodes: int) -> dict[str, int]:
    """How `nodes` nodes' memory is used, in KiB, under the names of /proc/meminfo."""
    total = kernel.profile.memory.mib_per_node * 1024 * nodes
    use = {name: total * share // 1000 for name, share in MEMORY_USE.items()}
    return {
        "MemTotal": total,
        "MemFree": use["free"],
        "MemAvailable": use["free"] + use["cached"],
        "Buffers": use["buffers"],
        "Cached": use["cached"],
        "SwapCached": 0,
        "Active": use["active"],
        "Inactive": use["inactive"],
        "Active(anon)": use["anonymous"],
        "Inactive(anon)": 0,
        "Active(file)": use["active"] - use["anonymous"],
        "Inactive(file)": use["inactive"],
        "Unevictable": 0,
        "Mlocked": 0,
        "SwapTotal": 0,
        "SwapFree": 0,
        "Dirty": 0,
        "Writeback": 0,
        "AnonPages": use["anonymous"],
        "Mapped": use["mapped"],
        "Shmem": 0,
        "KReclaimable": use["slab_reclaimable"],
        "Slab": use["slab"],
        "SReclaimable": use["slab_reclaimable"],
        "SUnreclaim": use["slab"] - use["slab_reclaimable"],
        "KernelStack": 4096,
        "PageTables": 8192,
        "CommitLimit": total // 2,
        "Committed_AS": use["anonymous"],
        "HugePages_Total": 0,
        "HugePages_Free": 0,
        "HugePages_Rsvd": 0,
        "HugePages_Surp": 0,
        "Hugepagesize": 2048,
        "Hugetlb": 0,
    }


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


@SYSTEM.show(records=lambda _: end_of_line)
def vmstat_show(kernel: Kernel) -> str:
    """`mm/vmstat.c`: the counters that vmstat, sar and top look for."""
    pages = {name: kib // 4 for name, kib in meminfo(kernel, len(kernel.cpus.nodes)).items()}
    seconds = kernel.timeline.now // SECOND
    counters = {
        "nr_free_pages": pages["MemFree"],
        "nr_inactive_anon": pages["Inactive(anon)"],
        "nr_active_anon": pages["Active(anon)"],
        "nr_inactive_file": pages["Inactive(file)"],
        "nr_active_file": pages["Active(file)"],
        "nr_anon_pages": pages["AnonPages"],
        "nr_mapped": pages["Mapped"],
        "nr_file_pages": pages["Cached"] + pages["Buffers"],
        "nr_dirty": 0,
        "nr_writeback": 0,
        "nr_slab_reclaimable": pages["SReclaimable"],
        "nr_slab_unreclaimable": pages["SUnreclaim"],
        "pgpgin": pages["Cached"] * 4,
        "pgpgout": seconds * 12,
        "pswpin": 0,
        "pswpout": 0,
        "pgfree": seconds * 400,
        "pgfault": seconds * 350,
        "pgmajfault": 400,
        "oom_kill": 0,
    }
    return "".join(f"{name} {value}\n" for name, value in counters.items())
