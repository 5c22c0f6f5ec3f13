"""cpuN/topology and cpuN/cache: `drivers/base/topology.c` and `drivers/base/cacheinfo.c`.

Both are there while the CPU is online, and name only CPUs that are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fakeproc.files.kernels.architectures import architecture_files
from fakeproc.files.kernels.versions import shown
from fakeproc.files.subjects import Cpu, list_line, mask_line
from fakeproc.files.sys.device import shows
from fakeproc.files.tree import Attributes, Directory
from fakeproc.guest.base.cacheinfo import CacheDevice
from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.topology import SharedCache
from fakeproc.pages import PAGE_SIZE

__all__ = ["list_size", "mask_size", "topology_directory"]


def mask_size(kernel: Kernel) -> int:
    """CPUMAP_FILE_MAX_BYTES (`include/linux/cpumask.h`): st_size of a binary mask."""
    return max(PAGE_SIZE, kernel.profile.kernel.max_cpus * 9 // 32)


def list_size(kernel: Kernel) -> int:
    """CPULIST_FILE_MAX_BYTES: st_size of a binary list, the longest that NR_CPUS can need."""
    return max(PAGE_SIZE, kernel.profile.kernel.max_cpus * 7 // 2)


BAD_APICID = 0xFFFF  # no cluster: arch/x86/include/asm/apicdef.h


class CpuCache(NamedTuple):
    """One cache, seen from a processor that uses it."""

    kernel: Kernel
    cpu: int
    cache: SharedCache

    @property
    def shared(self) -> int:
        """The possible CPUs that use it."""
        return self.cache.mask(self.cpu)


TOPOLOGY = Attributes[Cpu]()
CACHE = Attributes[CpuCache]()


def _level_2(it: Cpu) -> int | None:
    """Who shares the cache that makes a cluster: `l2c_id`, which only Intel's are asked for."""
    cpus = it.kernel.cpus
    if cpus.model_of(it.cpu).vendor != "GenuineIntel":
        return None
    masks = (cache.mask(it.cpu) for cache in cpus.topology.caches if cache.profile.level == 2)
    return next(filter(None, masks), None)


def _core(it: Cpu) -> int:
    return it.kernel.cpus.core_mask(it.cpu)


def _package(it: Cpu) -> int:
    return it.kernel.cpus.package_mask(it.cpu)


def _die(it: Cpu) -> int:
    return it.kernel.cpus.topology.die_mask(it.cpu)


def _cluster(it: Cpu) -> int:
    stated = it.kernel.cpus.topology.cluster_mask(it.cpu)
    return stated or _level_2(it) or _core(it)


def _has_dies(it: Cpu) -> bool:
    """Up to v5.16 a kernel of any architecture shows -1 where it knows no dies."""
    return architecture_files(it.kernel).has_dies or it.kernel.cpus.place_of(it.cpu).die is not None


@TOPOLOGY.show
def physical_package_id_show(it: Cpu) -> str:
    """The number of the package."""
    return f"{it.kernel.cpus.place_of(it.cpu).package}\n"


@TOPOLOGY.show(visible=_has_dies)
def die_id_show(it: Cpu) -> str:
    """The number of the die; where each package is one, that of the package on newer kernels."""
    place = it.kernel.cpus.place_of(it.cpu)
    if place.die is not None:
        return f"{place.die}\n"
    return f"{place.package if shown(it.kernel).counts_dies_together else 0}\n"


@TOPOLOGY.show
def cluster_id_show(it: Cpu) -> str:
    """The cluster's number, or the first APIC ID of those that share the second-level cache."""
    cpus = it.kernel.cpus
    stated = cpus.place_of(it.cpu).cluster
    if stated is not None:
        return f"{stated}\n"
    level_2 = _level_2(it)
    if level_2 is None:
        return f"{BAD_APICID}\n"
    return f"{min(cpus.place_of(cpu).apicid for cpu in cpus_in(level_2))}\n"


@TOPOLOGY.show
def core_id_show(it: Cpu) -> str:
    """The number of the core, counted within the package."""
    return f"{it.kernel.cpus.place_of(it.cpu).core}\n"


def _define_siblings(
    name: str, cpus: Callable[[Cpu], int], visible: Callable[[Cpu], bool] | None = None
) -> None:
    """`define_siblings_read_func`: the online ones of some CPUs, as a mask and as a list."""

    @TOPOLOGY.show(name=name, size=lambda it: mask_size(it.kernel), visible=visible, is_bitmap=True)
    def mask_show(it: Cpu) -> str:
        return mask_line(it.kernel, cpus(it) & it.kernel.cpus.online)

    @TOPOLOGY.show(
        name=f"{name}_list", size=lambda it: list_size(it.kernel), visible=visible, is_bitmap=True
    )
    def list_show(it: Cpu) -> str:
        return list_line(cpus(it) & it.kernel.cpus.online)


_define_siblings("thread_siblings", _core)
_define_siblings("core_cpus", _core)
_define_siblings("core_siblings", _package)
_define_siblings("cluster_cpus", _cluster)
_define_siblings("die_cpus", _die, _has_dies)
_define_siblings("package_cpus", _package)


def topology_directory(kernel: Kernel, cpu: int) -> Directory:
    """/sys/devices/system/cpu/cpuN/topology."""
    return Directory((TOPOLOGY.on(Cpu(kernel, cpu)),))


def _known(name: str) -> Callable[[CpuCache], bool]:
    """`cache_default_attrs_is_visible`: a number that is 0 is one that nobody knows."""
    return lambda it: bool(getattr(it.cache.profile, name))


@CACHE.show(visible=lambda it: it.cache.id_of(it.cpu) is not None)
def id_show(it: CpuCache) -> str:
    """Its number among those of its kind."""
    return f"{it.cache.id_of(it.cpu)}\n"


@CACHE.show
def level_show(it: CpuCache) -> str:
    """1 for the one next to the core."""
    return f"{it.cache.profile.level}\n"


@CACHE.show
def type_show(it: CpuCache) -> str:
    """What it holds."""
    return f"{it.cache.profile.type}\n"


@CACHE.show(visible=_known("line_bytes"))
def coherency_line_size_show(it: CpuCache) -> str:
    """The bytes of a line."""
    return f"{it.cache.profile.line_bytes}\n"


@CACHE.show(visible=_known("number_of_sets"))
def number_of_sets_show(it: CpuCache) -> str:
    """The sets of `ways_of_associativity` lines each."""
    return f"{it.cache.profile.number_of_sets}\n"


@CACHE.show(visible=_known("partition"))
def physical_line_partition_show(it: CpuCache) -> str:
    """The lines behind one tag."""
    return f"{it.cache.profile.partition}\n"


@CACHE.show(visible=_known("ways"))
def ways_of_associativity_show(it: CpuCache) -> str:
    """The lines of a set."""
    return f"{it.cache.profile.ways}\n"


@CACHE.show(visible=_known("size_kib"))
def size_show(it: CpuCache) -> str:
    """Its size, in KiB whatever it is."""
    return f"{it.cache.profile.size_kib}K\n"


@CACHE.show
def shared_cpu_map_show(it: CpuCache) -> str:
    """The online CPUs that use it."""
    return mask_line(it.kernel, it.shared & it.kernel.cpus.online)


@CACHE.show
def shared_cpu_list_show(it: CpuCache) -> str:
    """The same as a list."""
    return list_line(it.shared & it.kernel.cpus.online)


@shows(CacheDevice)
def cache_files(kernel: Kernel, device: CacheDevice) -> Directory:
    """/sys/devices/system/cpu/cpuN/cache/indexM."""
    return Directory((CACHE.on(CpuCache(kernel, device.cpu, device.cache), device),))
