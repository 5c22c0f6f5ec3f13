"""The memory of each NUMA node: how much, how far, and in which pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakeproc.profiles.schema import Profile

__all__ = ["HUGE_PAGE_KIB", "NodeMemory", "Numa"]

LOCAL_DISTANCE = 10
REMOTE_DISTANCE = 20
HUGE_PAGE_KIB, GIGA_PAGE_KIB = 2048, 1 << 20


@dataclass(frozen=True)
class NodeMemory:
    """One node's: `kib` in all, `distances` to every node in the order of their numbers.

    `movable` says that none of it is in ZONE_NORMAL.
    """

    kib: int
    distances: tuple[int, ...]
    movable: bool = False
    hugepages: dict[int, int] = field(default_factory=dict)  # pages by their size in KiB


class Numa:
    """Every node by its number; without NUMA there is one, which nobody sees."""

    def __init__(self, profile: Profile) -> None:
        numbers = profile.node_numbers or [0]
        sizes = [HUGE_PAGE_KIB]
        self.has_giga_pages = "pdpe1gb" in profile.cpus.flags.split()
        if self.has_giga_pages:
            sizes.append(GIGA_PAGE_KIB)
        default = profile.memory.node_kib
        none_used = dict.fromkeys(sizes, 0)
        self.nodes = {
            number: NodeMemory(default, _by_default(number, numbers), hugepages=none_used)
            for number in numbers
        }
        for node in profile.nodes:
            kib = node.kib if node.mib is None else node.mib * 1024
            self.nodes[node.number] = NodeMemory(
                default if kib is None else kib,
                node.distances or _by_default(node.number, numbers),
                node.movable,
                none_used if node.hugepages is None else node.hugepages,
            )
        stated = profile.cpus.possible_nodes
        self.possible = frozenset(range(max(numbers) + 1)) if stated is None else stated

    @property
    def with_memory(self) -> list[int]:
        """N_MEMORY: the nodes that have some."""
        return [number for number, node in self.nodes.items() if node.kib]

    @property
    def with_normal_memory(self) -> list[int]:
        """N_NORMAL_MEMORY: the nodes with memory that the kernel itself can use."""
        return [number for number in self.with_memory if not self.nodes[number].movable]


def _by_default(number: int, numbers: list[int]) -> tuple[int, ...]:
    return tuple(LOCAL_DISTANCE if other == number else REMOTE_DISTANCE for other in numbers)
