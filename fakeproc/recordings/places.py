"""Where each CPU of a recording lies: cpu<n>/topology."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from fakeproc.recordings.memory import nodes_of_cpus
from fakeproc.recordings.sharers import sharers_of

if TYPE_CHECKING:
    from fakeproc.recordings.findings import Findings
    from fakeproc.recordings.tree import Recording

__all__ = ["places_of"]

CPU = "sys/devices/system/cpu"

OfEach: TypeAlias = dict[int, int]  # a number by CPU


def places_of(recording: Recording, present: list[int], findings: Findings) -> dict[str, OfEach]:
    """The keys of [[cpus.groups]] that say where a CPU is, by CPU."""
    cores = _numbers(recording, present, "topology/core_id")
    if not cores:
        findings.missing.append("the topology of the CPUs")
        findings.assumed.append("one package, and a core for each CPU")
        return {"core": {cpu: at for at, cpu in enumerate(present)}}
    without = [cpu for cpu in present if cpu not in cores]
    if without:
        findings.assumed.append("cores of their own for CPUs without topology")
    highest = max(cores.values())
    cores |= {cpu: highest + at for at, cpu in enumerate(without, start=1)}
    packages = _numbers(recording, present, "topology/physical_package_id")
    found = {"core": cores, "package": dict.fromkeys(present, 0) | packages}
    for key, file, unknown in (
        ("die", "topology/die_id", 0),
        ("cluster", "topology/cluster_id", -1),
        ("capacity", "cpu_capacity", 1024),
    ):
        numbers = _numbers(recording, present, file)
        if numbers:
            found[key] = dict.fromkeys(present, unknown) | numbers
    return found | _compute_units(recording, present, found)


def _numbers(recording: Recording, present: list[int], file: str) -> OfEach:
    found = {cpu: recording.number(f"{CPU}/cpu{cpu}/{file}") for cpu in present}
    return {cpu: number for cpu, number in found.items() if number is not None}


def _siblings(recording: Recording, present: list[int], name: str) -> dict[int, frozenset[int]]:
    return sharers_of(recording, present, lambda cpu: f"{CPU}/cpu{cpu}/topology/{name}", "_list")


def _compute_units(
    recording: Recording, present: list[int], found: dict[str, OfEach]
) -> dict[str, OfEach]:
    """The units that siblings share, where the numbers of package, die, node and core do not."""
    siblings = _siblings(recording, present, "thread_siblings")
    siblings |= _siblings(recording, present, "core_cpus")  # the name since v5.3
    node = nodes_of_cpus(recording)
    by_numbers: dict[tuple[int | None, ...], set[int]] = {}
    places = {
        cpu: (
            *(found.get(key, {}).get(cpu) for key in ("package", "die", "cluster", "core")),
            node.get(cpu),
        )
        for cpu in siblings
    }
    for cpu, place in places.items():
        by_numbers.setdefault(place, set()).add(cpu)
    if all(by_numbers[places[cpu]] == cpus & siblings.keys() for cpu, cpus in siblings.items()):
        return {}
    units = {cpus: at for at, cpus in enumerate(dict.fromkeys(siblings.values()))}
    later = iter(range(len(units), len(units) + len(present)))
    return {
        "compute_unit": {
            cpu: units[siblings[cpu]] if cpu in siblings else next(later) for cpu in present
        }
    }
