"""The guest's processors: which there are, which run, who shares what.

A set of CPUs is an integer, bit n for CPU n, here and everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from fakeproc.guest.topology import Topology
from fakeproc.locking import RwSemaphore

if TYPE_CHECKING:
    from fakeproc.guest.topology import Place
    from fakeproc.profiles.schema import Cpus as CpuProfile
    from fakeproc.profiles.schema import Profile

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


def cpu_mask(cpus: Iterable[int]) -> int:
    """The set of these CPUs."""
    return sum(1 << cpu for cpu in cpus)


class Cpus:
    """`cpu_possible_mask`, `cpu_present_mask`, `cpu_online_mask`, and the topology.

    `hotplug_lock` is `cpu_hotplug_lock`: who comes or goes has it as the writer, and
    `cpus_read_lock()` keeps all CPUs as they are.
    """

    def __init__(self, machine: Profile) -> None:
        profile, boot = machine.cpus, machine.boot_parameters
        self.profile = profile
        self.topology = Topology(machine)
        self.hotplug_lock = RwSemaphore()
        self.nr_cpu_ids = profile.nr_cpu_ids
        self.possible = cpu_mask(profile.possible_cpus)
        self.present = cpu_mask(profile.present_cpus)
        # `bringup_nonboot_cpus`: the first of those that are present, `maxcpus=` in all
        booted = cpu_mask(list(cpus_in(self.present))[: boot.maxcpus])
        self.online = booted & ~cpu_mask(profile.offline)
        self._models = profile.models()
        self._is_arm64 = machine.architecture == "arm64"
        # What smt/control is at first, where anything says so; the key may be of a later moment.
        self.smt = profile.smt
        has_threads = self.topology.threads_per_core > 1
        if boot.nosmt and has_threads and profile.smt is None and not self._is_arm64:
            self.smt = boot.nosmt
            self.online &= cpu_mask(cpu for cpu in cpus_in(booted) if self.is_primary(cpu))
        # housekeeping_cpumask(HK_TYPE_MANAGED_IRQ) and (HK_TYPE_DOMAIN)
        self.housekeeping_managed_irq = self._housekeeping(boot.isolated.get("managed_irq"))
        self.housekeeping_domain = self._housekeeping(boot.isolated.get("domain"))
        # `tick_nohz_full_mask`, which never has the CPU that boots (`tick_nohz_init`); None
        # where the parameter is not given
        self.nohz_full = None if boot.nohz_full is None else cpu_mask(boot.nohz_full - {0})

    def _housekeeping(self, isolated: frozenset[int] | None) -> int:
        """`housekeeping_setup`: the others; where none of them is present, the CPU that boots."""
        others = self.possible & ~cpu_mask(isolated or ())
        return others if others & self.present else others | 1

    @property
    def modalias(self) -> str:
        """`cpu_modalias`: what udev loads modules for, without the features."""
        cpu = self.profile
        if self._is_arm64:
            return "cpu:type:aarch64:feature:"
        vendor = {"GenuineIntel": 0, "AuthenticAMD": 2}.get(cpu.vendor, 0xFFFF)
        return f"cpu:type:x86,ven{vendor:04X}fam{cpu.family:04X}mod{cpu.model:04X}:feature:"

    def is_online(self, cpu: int) -> bool:
        """Whether a CPU runs."""
        return bool(self.online >> cpu & 1)

    def model_of(self, cpu: int) -> CpuProfile:
        """What processor a CPU is: the keys of [cpus], or what its group has for itself."""
        return self._models.get(cpu, self.profile)

    def place_of(self, cpu: int) -> Place:
        """Where a CPU lies."""
        return self.topology.places[cpu]

    def node_of(self, cpu: int) -> int:
        """`cpu_to_node`; of a CPU that no node has, the first."""
        node = self.topology.places[cpu].node
        return self.nodes[0] if node is None else node

    def is_primary(self, cpu: int) -> bool:
        """`topology_is_primary_thread`."""
        return first_cpu(self.core_mask(cpu)) == cpu

    def core_mask(self, cpu: int) -> int:
        """The possible CPUs of one core."""
        return self.topology.core_mask(cpu)

    def package_mask(self, cpu: int) -> int:
        """The possible CPUs of one package."""
        return self.topology.package_mask(cpu)

    def node_mask(self, node: int) -> int:
        """The possible CPUs of one node."""
        return self.topology.node_masks[node]

    @property
    def nodes(self) -> list[int]:
        """The NUMA nodes, ascending; one that nobody sees where the kernel has no NUMA."""
        return self.topology.nodes
