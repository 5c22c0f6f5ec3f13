"""What the files of one architecture show that those of another do not.

Nothing else in `files/` asks for an architecture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.files.kernels.cpuinfo import arm64_cpuinfo, x86_cpuinfo
from fakeproc.files.kernels.interrupts_rows import arm64_rows, x86_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakeproc.files.kernels.interrupts_rows import ArchRow
    from fakeproc.files.kernels.versions import Shown
    from fakeproc.guest.kernel import Kernel

__all__ = ["ARCHITECTURES", "ArchitectureFiles", "architecture_files"]


@dataclass(frozen=True, slots=True)
class ArchitectureFiles:
    """How the files of one architecture look."""

    cpuinfo: Callable[[Kernel, int], Iterator[str]]  # the lines of one CPU
    cpuinfo_has_records: bool  # one record of its seq_file a CPU, not one for all of them
    interrupts_rows: Callable[[Kernel], tuple[ArchRow, ...]]
    shows_level: bool  # /proc/interrupts says Level or Edge (CONFIG_GENERIC_IRQ_SHOW_LEVEL)
    has_dies: bool  # topology/die_* (arch/*/include/asm/topology.h defines topology_die_id)
    has_identification: bool  # cpuN/regs/identification
    crash_notes_size: int  # bytes: the registers with an ELF note around them
    has_sgx_directory: bool  # nodeN/x86 (`arch_node_dev_group`)
    vmalloc_total_kib: int  # the room for vmalloc() in kernel addresses
    has_direct_map: bool  # /proc/meminfo: DirectMap4k and so on (`arch_report_meminfo`)
    clips_nr_irqs: bool  # the label of /proc/interrupts is as wide as arch_probe_nr_irqs()'s clip
    cpu_files: Callable[[Shown], frozenset[str]]


ARCHITECTURES = {
    "x86_64": ArchitectureFiles(
        cpuinfo=x86_cpuinfo,
        cpuinfo_has_records=True,
        interrupts_rows=x86_rows,
        shows_level=False,
        has_dies=True,
        has_identification=False,
        crash_notes_size=368,
        has_sgx_directory=True,
        vmalloc_total_kib=34_359_738_367,
        has_direct_map=True,
        clips_nr_irqs=True,
        cpu_files=lambda shown: shown.cpu_files,
    ),
    "arm64": ArchitectureFiles(
        cpuinfo=arm64_cpuinfo,
        cpuinfo_has_records=False,
        interrupts_rows=arm64_rows,
        shows_level=True,
        has_dies=False,
        has_identification=True,
        crash_notes_size=424,
        has_sgx_directory=False,
        vmalloc_total_kib=133_141_626_880,
        has_direct_map=False,
        clips_nr_irqs=False,
        cpu_files=lambda shown: shown.arm64_cpu_files,
    ),
}


def architecture_files(kernel: Kernel) -> ArchitectureFiles:
    """How the files of a guest look."""
    return ARCHITECTURES[kernel.profile.architecture]
