"""The NUMA nodes of a recording and their memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fakeproc.cpu_lists import as_list
from fakeproc.recordings.cpu_lists import cpus_at

if TYPE_CHECKING:
    from fakeproc.recordings.findings import Findings
    from fakeproc.recordings.tree import Recording

__all__ = ["memory_of", "nodes_of_cpus"]

NODE = "sys/devices/system/node"
_PAGES = re.compile(r"hugepages-[1-9]\d{0,9}kB")
_TOTAL = re.compile(r"MemTotal:\s*(\d{1,15}) kB")


def memory_of(recording: Recording, present: list[int], findings: Findings) -> dict[str, Any]:
    """The tables `nodes` and `memory`."""
    numbers = recording.numbered(NODE, "node")
    total = _total(recording, "proc/meminfo")
    if not numbers and recording.is_directory("sys/devices/system/cpu/cpu0/topology"):
        findings.found.append("no NUMA nodes")
        return {"memory": {"kib_per_node": total}} if total else {}
    if not numbers:
        findings.missing.append("NUMA nodes")
        if not total:
            findings.assumed.append("16 GiB of memory")
            return {}
        findings.found.append(f"{total} KiB of memory")
        findings.assumed.append("one node")
        return {"memory": {"kib_per_node": total}}
    nodes = [_node(recording, number, numbers, present) for number in numbers]
    findings.found.append(f"{len(nodes)} NUMA nodes")
    unknown = [node for node in nodes if "kib" not in node]
    if unknown:
        rest = max(0, (total or 16 << 20) - sum(node.get("kib", 0) for node in nodes))
        findings.assumed.append(f"{rest // len(unknown)} KiB in each node without meminfo")
        for node in unknown:
            node["kib"] = rest // len(unknown)
    return {"nodes": nodes}


def nodes_of_cpus(recording: Recording) -> dict[int, int]:
    """The node of each CPU, the first that has it."""
    return {
        cpu: number
        for number in reversed(recording.numbered(NODE, "node"))
        for cpu in _cpus(recording, f"{NODE}/node{number}")
    }


def _cpus(recording: Recording, top: str) -> list[int]:
    cpus = cpus_at(recording, f"{top}/cpulist", f"{top}/cpumap")
    return recording.numbered(top, "cpu") if cpus is None else cpus


def _node(
    recording: Recording, number: int, numbers: list[int], present: list[int]
) -> dict[str, Any]:
    top = f"{NODE}/node{number}"
    cpus = _cpus(recording, top)
    node: dict[str, Any] = {"number": number, "cpus": as_list(sorted({*cpus} & {*present}))}
    kib = _total(recording, f"{top}/meminfo")
    if kib is not None:
        node["kib"] = kib
    sizes = [name for name in recording.names(f"{top}/hugepages") if _PAGES.fullmatch(name)]
    if sizes:
        pages = (recording.number(f"{top}/hugepages/{name}/nr_hugepages") for name in sizes)
        node["hugepages"] = {
            name[len("hugepages-") : -len("kB")]: number or 0
            for name, number in zip(sizes, pages, strict=True)
        }
    distances = (recording.line(f"{top}/distance") or "").split()
    if len(distances) == len(numbers) and all(word.isdecimal() for word in distances):
        node["distances"] = [int(word) for word in distances]
    return node


def _total(recording: Recording, path: str) -> int | None:
    match = _TOTAL.search(recording.text(path) or "")
    return int(match[1]) if match else None
