"""Where each processor lies: package, die, cluster, core, node, and who shares a cache.

What a profile says in its short form, or of each CPU by itself, is one table
here: a `Place` for every possible CPU.  Sets of CPUs are integers, and are made
once, so that asking for one costs the same on every machine.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from fakeproc.profiles.schema import Cache, CpuGroup, Cpus, Profile

__all__ = ["Place", "SharedCache", "Topology"]


# What cluster_id shows where there is none: -1, BAD_APICID on x86; None where nobody asked.
_NO_CLUSTER = frozenset({None, -1, 0xFFFF})


class Place(NamedTuple):
    """Where one CPU lies, in the firmware's numbers; None where it gives none."""

    package: int
    die: int | None
    cluster: int | None
    core: int
    apicid: int
    node: int | None  # the NUMA node; None where no node has the CPU
    capacity: int = 1024
    kind: str | None = None  # of a hybrid processor
    compute_unit: int | None = None  # whose CPUs are siblings, whatever core they are
    policy: int | None = None  # of cpufreq; None where the CPU has one of its own


class SharedCache:
    """One entry of the profile's caches: who shares each, and what number it has."""

    def __init__(self, profile: Cache, sets: Sequence[int]) -> None:
        self.profile = profile
        self._mask = {cpu: cpus for cpus in sets for cpu in _bits(cpus)}
        ids = range(len(sets)) if profile.ids is None else profile.ids
        self._id = {_lowest(cpus): number for cpus, number in zip(sets, ids, strict=False)}

    def mask(self, cpu: int) -> int:
        """The possible CPUs that use the same one; 0 for a CPU that has none."""
        return self._mask.get(cpu, 0)

    def id_of(self, cpu: int) -> int | None:
        """`cache_id`; None where the processor gives none."""
        return self._id.get(_lowest(self.mask(cpu)))


class Topology:
    """All places of a machine, and the sets of CPUs that they make."""

    def __init__(self, profile: Profile) -> None:
        cpus = profile.cpus
        self.has_numa = bool(profile.node_numbers)
        self.nodes: list[int] = profile.node_numbers or [0]
        self.places = _explicit(profile) if cpus.groups else _short(profile)
        self.node_masks = self._masks_of_nodes(profile)
        self._package = self._sets(lambda at: at.package)
        self._die = self._sets(_die)
        self._core = self._sets(_core)
        self._node = self._sets(lambda at: at.node)
        self._cluster = self._sets(
            lambda at: None if at.cluster in _NO_CLUSTER else (at.package, at.cluster)
        )
        self.caches = [self._shared(cache) for cache in cpus.caches]

    def package_mask(self, cpu: int) -> int:
        """The possible CPUs of one package."""
        return self._package[cpu]

    def die_mask(self, cpu: int) -> int:
        """The possible CPUs of one die."""
        return self._die[cpu]

    def core_mask(self, cpu: int) -> int:
        """The possible CPUs of one core."""
        return self._core[cpu]

    def cores_in(self, cpus: int) -> int:
        """How many cores have a CPU among these; each CPU's paragraph of cpuinfo asks."""
        return sum(1 for core in {*self._core.values()} if core & cpus)

    def cluster_mask(self, cpu: int) -> int | None:
        """The possible CPUs of one cluster; None where the firmware tells of none."""
        return self._cluster.get(cpu)

    @property
    def threads_per_core(self) -> int:
        """Of the core that has the most."""
        return max(mask.bit_count() for mask in self._core.values())

    def _sets(self, key: Callable[[Place], Hashable]) -> dict[int, int]:
        """For each CPU those with the same key; a key of None is none."""
        masks: defaultdict[Hashable, int] = defaultdict(int)
        for cpu, place in self.places.items():
            masks[key(place)] |= 1 << cpu
        return {
            cpu: masks[key(place)] for cpu, place in self.places.items() if key(place) is not None
        }

    def _masks_of_nodes(self, profile: Profile) -> dict[int, int]:
        if profile.nodes:
            return {node.number: sum(1 << cpu for cpu in node.cpus) for node in profile.nodes}
        masks = dict.fromkeys(self.nodes, 0)
        for cpu, place in self.places.items():
            masks[self.nodes[0] if place.node is None else place.node] |= 1 << cpu
        return masks

    def _shared(self, cache: Cache) -> SharedCache:
        """The CPUs that share each, by their lowest APIC ID, or as the profile orders them."""
        having = self.places.keys() if cache.cpus is None else cache.cpus
        kept = sum(1 << cpu for cpu in having)
        if not isinstance(cache.shared_by, str):
            return SharedCache(
                cache, [sum(1 << c for c in cpus) & kept for cpus in cache.shared_by]
            )
        by = {
            "cpu": {cpu: 1 << cpu for cpu in self.places},
            "core": self._core,
            "cluster": self._cluster,
            "die": self._die,
            "package": self._package,
            "node": self._node,
            "all": dict.fromkeys(self.places, kept),
        }[cache.shared_by]
        apicid = {
            by.get(cpu, 1 << cpu) & kept: self.places[cpu].apicid
            for cpu in sorted(having, key=lambda cpu: -self.places[cpu].apicid)
        }
        order = _lowest if cache.ids is not None else apicid.__getitem__
        return SharedCache(cache, sorted(apicid, key=order))


def _die(at: Place) -> Hashable:
    """`topology_die_cpumask`: a CPU whose die has no number is alone."""
    return (at.package, at.die) if at.die != -1 else at


def _core(at: Place) -> Hashable:
    """`match_smt`: what makes two CPUs threads of one core."""
    if at.compute_unit is not None:
        return at.package, at.compute_unit
    return at.package, at.die, at.node, at.cluster, at.core


def _bits(mask: int) -> Iterator[int]:
    while mask:
        yield _lowest(mask)
        mask &= mask - 1


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _short(profile: Profile) -> dict[int, Place]:
    """CPUs divided evenly: those present at boot, and round again those that may come later."""
    cpus, nodes = profile.cpus, profile.node_numbers
    present = sorted(cpus.present_cpus)
    later = sorted(cpus.possible_cpus - cpus.present_cpus)
    number, threads = len(present), cpus.threads_per_core
    per_package = number // cpus.packages
    position = _numbering(cpus, number)
    places = {}
    for index, cpu in enumerate((*present, *later)):
        around, at = divmod(index, number)
        at = position(at)
        core = at % per_package // threads + around * (per_package // threads)
        places[cpu] = Place(
            package=at // per_package,
            die=None,
            cluster=None,
            core=core,
            apicid=at + around * number,
            node=nodes[at * len(nodes) // number] if nodes and not profile.nodes else None,
        )
    return _on_nodes(profile, places)


def _numbering(cpus: Cpus, number: int) -> Callable[[int], int]:
    """From the number of a CPU to its place, counted by package, core and thread."""
    threads, packages = cpus.threads_per_core, cpus.packages
    cores = number // threads

    def cores_first(cpu: int) -> int:
        thread, core = divmod(cpu, cores)
        return core * threads + thread

    def packages_first(cpu: int) -> int:
        thread, index = divmod(cpu, cores)
        core, package = divmod(index, packages)
        return (package * (cores // packages) + core) * threads + thread

    if cpus.numbering == "cores":
        return cores_first
    return packages_first if cpus.numbering == "packages" else lambda cpu: cpu


def _explicit(profile: Profile) -> dict[int, Place]:
    """Each CPU where its group says; one of no group is a core of its own in the first package."""
    cpus = profile.cpus
    places = {cpu: place for group in cpus.groups for cpu, place in _of_group(group)}
    first = min(place.package for place in places.values())
    taken = 1 + max(place.core for place in places.values())
    free = 1 + max(place.apicid for place in places.values())
    for index, cpu in enumerate(sorted(cpus.possible_cpus - places.keys())):
        places[cpu] = Place(first, None, None, taken + index, free + index, None)
    if not profile.nodes:
        numbers, order = profile.node_numbers, sorted(places)
        present = len(cpus.present_cpus)
        for index, cpu in enumerate(order):
            node = numbers[index % present * len(numbers) // present] if numbers else None
            places[cpu] = places[cpu]._replace(node=node)
    return _on_nodes(profile, places)


def _of_group(group: CpuGroup) -> Iterator[tuple[int, Place]]:
    for index, cpu in enumerate(sorted(group.cpus)):

        def said(numbers: tuple[int, ...] | None, at: int = index) -> int | None:
            return None if numbers is None else numbers[at % len(numbers)]

        core, apicid = said(group.core), said(group.apicid)
        yield (
            cpu,
            Place(
                package=group.package[index % len(group.package)],
                die=said(group.die),
                cluster=said(group.cluster),
                core=index if core is None else core,
                apicid=cpu if apicid is None else apicid,
                node=None,
                capacity=group.capacity[index % len(group.capacity)],
                kind=group.kind,
                compute_unit=said(group.compute_unit),
                policy=said(group.policy),
            ),
        )


def _on_nodes(profile: Profile, places: dict[int, Place]) -> dict[int, Place]:
    """The same with the nodes of [[nodes]], of which the first that has a CPU is its own."""
    for node in reversed(profile.nodes):
        for cpu in node.cpus:
            places[cpu] = places[cpu]._replace(node=node.number)
    return places
