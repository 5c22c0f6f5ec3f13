"""The caches of a recording, and who shares each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fakeproc.cpu_lists import as_list
from fakeproc.recordings.sharers import sharers_of

if TYPE_CHECKING:
    from fakeproc.recordings.tree import Recording

__all__ = ["caches_of"]

CPU = "sys/devices/system/cpu"


def caches_of(recording: Recording, present: list[int]) -> list[dict[str, Any]]:
    """One entry for each kind of cache, in the order of index<n>."""
    kinds: dict[tuple[Any, ...], dict[str, tuple[int | None, list[int]]]] = {}
    indexes = {cpu: recording.numbered(f"{CPU}/cpu{cpu}/cache", "index") for cpu in present}
    shared_by = {
        index: _sharers(recording, present, index)
        for index in {index for of_cpu in indexes.values() for index in of_cpu}
    }
    for cpu in present:
        for index in indexes[cpu]:
            below = f"{CPU}/cpu{cpu}/cache/index{index}"
            level, holds = recording.number(f"{below}/level"), recording.line(f"{below}/type")
            sharers = shared_by[index].get(cpu)
            if level is None or holds not in {"Data", "Instruction", "Unified"} or sharers is None:
                continue
            shape = tuple(
                recording.number(f"{below}/{file}") or 0
                for file in (
                    "ways_of_associativity", "coherency_line_size", "number_of_sets",
                    "physical_line_partition",
                )
            )  # fmt: skip
            key = (index, level, holds, _kib(recording.line(f"{below}/size")), *shape)
            taken = kinds.setdefault(key, {})
            others = {other for _, others in taken.values() for other in others}
            if cpu not in others:
                mine = sorted(({cpu, *sharers} & {*present}) - others)
                taken[as_list(mine)] = (recording.number(f"{below}/id"), mine)
    caches = []
    for key, shared in sorted(kinds.items(), key=lambda item: item[0]):
        _, nearness, its_type, kib, ways, line, sets, partition = key
        ids = [number for number, _ in shared.values() if number is not None]
        caches.append(
            {
                "level": nearness, "type": its_type, "size_kib": kib, "ways": ways,
                "line_bytes": line, "sets": sets, "partition": partition, "shared_by": list(shared),
                "ids": ids if len(ids) == len(shared) else [],
            }
        )  # fmt: skip
    return caches


def _sharers(recording: Recording, present: list[int], index: int) -> dict[int, frozenset[int]]:
    def mask_of(cpu: int) -> str:
        return f"{CPU}/cpu{cpu}/cache/index{index}/shared_cpu_map"

    return sharers_of(recording, present, mask_of, "_list")


def _kib(text: str | None) -> int:
    match = re.fullmatch(r"(\d{1,9})([KM]?)", text or "")
    return int(match[1]) * (1024 if match[2] == "M" else 1) if match else 0
