"""The guest's processors: which there are, which run, who shares what.

A set of CPUs is an integer, bit n for CPU n, here and everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fakeproc.timeline import RwSemaphore

if TYPE_CHECKING:
    from fakeproc.profiles.boot_parameters import BootParameters
    from fakeproc.profiles.schema import Cpus as CpuProfile

__all__ = ["Cpus", "cpu_mask", "cpus_in", "first_cpu", "next_cpu"]


def cpus_in(mask: int) -> Iterator[int]:
    """The CPUs of a set, ascending (`for_each_cpu`)."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def first_cpu(mask: int) -> int | None:
    """The lowest CPU of a set (`cpumask_first`)."""
    return (mask & -mask).bit_length() - 1 if mask else None


def next_cpu(after: int, mask: int) -> int | None:
    """The lowest CPU above `after`, or else the lowest of all (`cpumask_next_wrap`)."""
    above = mask >> (after + 1) << (after + 1)
    return first_cpu(above or mask)


def cpu_mask(cpus: frozenset[int] | range) -> int:
    """The set of these CPUs."""
    return sum(1 << cpu for cpu in cpus)


class Cpus:
    """`cpu_possible_mask`, `cpu_present_mask`, `cpu_online_mask`, and the topology.

    `hotplug_lock` is `cpu_hotplug_lock`: who comes or goes has it as the writer, and
    `cpus_read_lock()` keeps all CPUs as they are.
    """

    def __init__(self, profile: CpuProfile, boot: BootParameters) -> None:
        self.profile = profile
        self.hotplug_lock = RwSemaphore()
        self.nr_cpu_ids = profile.possible
        self.possible = (1 << profile.possible) - 1
        self.present = (1 << (profile.present or profile.possible)) - 1
        self.online = self.present & ~cpu_mask(profile.offline)
        # housekeeping_cpumask(HK_TYPE_MANAGED_IRQ) and (HK_TYPE_DOMAIN)
        isolated = {
            "managed_irq": profile.isolated.managed_irq,
            "domain": profile.isolated.domain,
        } | boot.isolated
        self.housekeeping_managed_irq = self.possible & ~cpu_mask(isolated["managed_irq"])
        self.housekeeping_domain = self.possible & ~cpu_mask(isolated["domain"])
        # `tick_nohz_full_mask`; None where the parameter is not given
        self.nohz_full = None if boot.nohz_full is None else cpu_mask(boot.nohz_full)
        self._per_core = profile.threads_per_core
        self._per_package = profile.possible // profile.packages
        self._per_node = profile.possible // profile.nodes

    @property
    def modalias(self) -> str:
        """`cpu_modalias`: what udev loads modules for, without the features."""
        cpu = self.profile
        if cpu.vendor == "ARM":
            return "cpu:type:aarch64:feature:"
        vendor = {"GenuineIntel": 0, "AuthenticAMD": 2}.get(cpu.vendor, 0xFFFF)
        return f"cpu:type:x86,ven{vendor:04X}fam{cpu.family:04X}mod{cpu.model:04X}:feature:"

    def is_online(self, cpu: int) -> bool:
        """Whether a CPU runs."""
        return bool(self.online >> cpu & 1)

    def package_of(self, cpu: int) -> int:
        """`physical_package_id`."""
        return cpu // self._per_package

    def core_of(self, cpu: int) -> int:
        """`core_id`, counted within the package."""
        return cpu % self._per_package // self._per_core

    def node_of(self, cpu: int) -> int:
        """`cpu_to_node`."""
        return cpu // self._per_node

    def core_mask(self, cpu: int) -> int:
        """The possible CPUs of one core."""
        return self._block(cpu, self._per_core)

    def package_mask(self, cpu: int) -> int:
        """The possible CPUs of one package."""
        return self._block(cpu, self._per_package)

    def node_mask(self, node: int) -> int:
        """The possible CPUs of one node."""
        return self._block(node * self._per_node, self._per_node)

    @property
    def nodes(self) -> range:
        """The NUMA nodes."""
        return range(self.profile.nodes)

    def _block(self, cpu: int, size: int) -> int:
        return ((1 << size) - 1) << cpu // size * size
