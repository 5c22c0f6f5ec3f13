"""What the files of one kernel show that those of another do not: nothing else asks for a version.

Each version is stated by its differences from the one before, with the release
and, where it is known, the commit that made them.  What a kernel *does* otherwise
is in `fakeproc/personality.py`; a version has a row in both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from fakeproc.files.kernels import hotplug_states as states
from fakeproc.files.kernels import memory_counters as memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakeproc.guest.kernel import Kernel

__all__ = ["SHOWN", "Shown", "shown"]

InterruptsLayout: TypeAlias = Literal["6.1", "6.13", "7.2"]


@dataclass(frozen=True, slots=True)
class Shown:
    """How the files of one version look."""

    # /proc/interrupts
    interrupts_layout: InterruptsLayout
    arm64_ipis: Literal["6.1", "6.10", "6.12"]  # which IPIs arm64 has
    # /proc/irq
    unsettable_affinity_mode: int
    nlink_counts_files: bool  # of directories in procfs
    # /sys/devices/system/cpu
    cpu_files: frozenset[str]  # beyond those of 6.1, on x86
    arm64_cpu_files: frozenset[str]  # the same on arm64
    nohz_full_null: frozenset[str]  # architectures that print (null) where it is not set
    hotplug_states: Mapping[str, str]  # by architecture
    counts_dies_together: bool  # topology/die_id, over all packages
    # /sys/devices/system/node/nodeN
    node_files: frozenset[str]  # beyond those of 6.1
    # /proc/vmstat, nodeN/vmstat and /proc/meminfo
    node_counters: tuple[str, ...]  # the names in nodeN/vmstat, and first in /proc/vmstat
    event_counters: tuple[str, ...]  # the names behind those in /proc/vmstat
    has_balloon: bool  # whether /proc/meminfo has that line
    schedstat_version: int  # the first line of /proc/schedstat
    # channels/<relid>
    ring_is_attribute: bool  # `ring` belongs to the group
    index_is_unsigned: bool  # out_read_index and out_write_index
    vulnerabilities: frozenset[str]  # beyond those of 6.1


# In Debian's 6.1 as recorded, by way of the stable kernels; all later kernels have them.
_BACKPORTED = frozenset({"indirect_target_selection", "tsa", "vmscape"})

V6_1 = Shown(
    interrupts_layout="6.1",
    arm64_ipis="6.1",
    unsettable_affinity_mode=0o644,
    nlink_counts_files=False,
    cpu_files=frozenset(),
    arm64_cpu_files=frozenset({"cpu_capacity"}),
    nohz_full_null=frozenset({"x86_64"}),
    hotplug_states={"x86_64": states.X86_6_1, "arm64": states.ARM64_6_1},
    counts_dies_together=False,
    node_files=frozenset(),
    node_counters=memory.NODE_6_1,
    event_counters=memory.EVENTS_6_1,
    has_balloon=False,
    schedstat_version=15,
    ring_is_attribute=False,
    index_is_unsigned=False,
    vulnerabilities=_BACKPORTED,
)
V6_10 = replace(
    V6_1,
    arm64_ipis="6.10",  # v6.7
    cpu_files=frozenset({"crash_hotplug"}),  # v6.6, "crash: hotplug support"; x86 only
    counts_dies_together=True,  # v6.9, the new parser of CPUID's topology
    # Not recorded: the numbers are those of 6.12.
    hotplug_states={"x86_64": states.X86_6_12, "arm64": states.ARM64_6_12},
    schedstat_version=16,  # v6.10, the kinds of idleness in another order
    node_counters=memory.NODE_6_10,
    event_counters=memory.EVENTS_6_10,
    node_files=frozenset({"memory_failure"}),  # v6.3, commit 44b8f8bf2438
)
V6_12 = replace(
    V6_10,
    arm64_ipis="6.12",
    unsettable_affinity_mode=0o444,  # v6.12, commit c7718e5c76d4
    nlink_counts_files=True,  # seen on 6.12.95; not on 6.12.117, nor on any other
    node_counters=memory.NODE_6_12,
    event_counters=memory.EVENTS_6_12,
    cpu_files=V6_10.cpu_files | {"enabled"},  # v6.11
    arm64_cpu_files=V6_10.arm64_cpu_files | {"enabled"},
    # By v6.12, as NR_CPUS grew: cpumasks are off the stack there, too.
    nohz_full_null=frozenset({"x86_64", "arm64"}),
)
V6_18 = replace(
    V6_12,
    interrupts_layout="6.13",  # v6.13, commit f9ed1f7c2e26
    nlink_counts_files=False,
    nohz_full_null=frozenset(),  # between v6.13 and v6.18
    cpu_files=V6_12.cpu_files | {"cpu_capacity"},  # by v6.18
    # Not recorded: the numbers are those of 7.2 on x86, of 6.12 on arm64.
    hotplug_states={"x86_64": states.X86_7_2, "arm64": states.ARM64_6_12},
    node_counters=memory.NODE_6_18,
    event_counters=memory.EVENTS_6_18,
    has_balloon=True,  # by v6.18
    schedstat_version=17,  # v6.15, names of domains and kinds of imbalances
    node_files=V6_12.node_files | {"reclaim"},  # v6.17
    ring_is_attribute=True,  # v6.16, "uio_hv_generic: Fix ring buffer sysfs creation path"
    index_is_unsigned=True,  # v6.18
    vulnerabilities=V6_12.vulnerabilities | {"ghostwrite", "old_microcode"},  # by v6.18
)
V7_2 = replace(
    V6_18,
    interrupts_layout="7.2",  # v7.2, irq-core-2026-06-13
    cpu_files=V6_18.cpu_files | {"housekeeping"},  # v6.19 or v7.0
    arm64_cpu_files=V6_18.arm64_cpu_files | {"housekeeping"},
)

SHOWN = {"6.1": V6_1, "6.10": V6_10, "6.12": V6_12, "6.18": V6_18, "7.2": V7_2}


def shown(kernel: Kernel) -> Shown:
    """How the files of a guest look."""
    return SHOWN[kernel.profile.kernel.version]
