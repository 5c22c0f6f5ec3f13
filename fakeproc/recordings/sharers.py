"""Which CPUs share something, as each of them says: a mask and, on newer kernels, a list.

Where the two contradict each other, the one is believed that its members agree on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from fakeproc.recordings.cpu_lists import cpus_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fakeproc.recordings.tree import Recording

__all__ = ["sharers_of"]

Sets: TypeAlias = dict[int, frozenset[int]]


def sharers_of(
    recording: Recording, cpus: Iterable[int], mask_of: Callable[[int], str], list_suffix: str
) -> Sets:
    """For each CPU that says so, the CPUs that it shares with.

    `mask_of` is the path of a CPU's mask; that of the list is the same with the suffix, in
    place of "_map" where the name ends so.
    """
    by_mask: Sets = {}
    by_list: Sets = {}
    for cpu in cpus:
        path = mask_of(cpu)
        for found, text in (
            (by_mask, cpus_at(recording, "", path)),
            (by_list, cpus_at(recording, path.removesuffix("_map") + list_suffix)),
        ):
            if text is not None and cpu in text:
                found[cpu] = frozenset(text)
    sets = by_list | by_mask
    for cpu, stated in by_mask.items():
        listed = by_list.get(cpu, stated)
        if listed != stated and not _agreed(by_mask, stated) and _agreed(by_list, listed):
            sets[cpu] = listed
    return sets


def _agreed(sets: Sets, cpus: frozenset[int]) -> bool:
    return all(sets.get(cpu) == cpus for cpu in cpus)
