"""Memory in a profile: how much each NUMA node has, and how far they are from each other."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from fakeproc.profiles.cpu_sets import CpuSet, NodeNumber
from fakeproc.profiles.errors import ContradictionError
from fakeproc.profiles.fields import Table

__all__ = ["Memory", "Node"]

Distance = Annotated[int, Field(ge=1, le=255)]
MAX_KIB = 1 << 36  # 64 TiB
PageKib = Annotated[int, Field(ge=4, le=1 << 34)]
Pages = Annotated[int, Field(ge=0, le=MAX_KIB)]


class Memory(Table):
    """The guest's memory, the same in every node that does not say otherwise."""

    mib_per_node: int = Field(default=16384, gt=0, le=MAX_KIB >> 10)  # MiB
    kib_per_node: int | None = Field(default=None, gt=0, le=MAX_KIB)  # KiB, where MiB do not do

    @property
    def node_kib(self) -> int:
        """KiB of a node."""
        return self.mib_per_node * 1024 if self.kib_per_node is None else self.kib_per_node

    @model_validator(mode="after")
    def _check(self) -> Memory:
        default = Memory.model_fields["mib_per_node"].default
        if self.kib_per_node is not None and self.mib_per_node != default:
            raise ContradictionError(("kib_per_node",), "mib_per_node is given, too")
        return self


class Node(Table):
    """A NUMA node, in place of `cpus.nodes`; every node has a table of its own then."""

    number: NodeNumber  # its number: they need not be 0, 1, 2
    # Its CPUs; one that is in several nodes belongs to the first, as with numa=fake.
    cpus: CpuSet = frozenset()
    mib: int | None = Field(default=None, ge=0, le=MAX_KIB >> 10)  # MiB; default: as in [memory]
    kib: int | None = Field(default=None, ge=0, le=MAX_KIB)  # KiB; 0 is a node without memory
    # How far the memory of each node is, in the order of their numbers; default: 10 and 20.
    distances: tuple[Distance, ...] = ()
    movable: bool = False  # whether its memory is for movable pages only
    # Huge pages by their size in KiB, all unused; default: the sizes that the processors have, and
    # no pages.
    hugepages: dict[PageKib, Pages] | None = None

    @model_validator(mode="after")
    def _check(self) -> Node:
        if self.mib is not None and self.kib is not None:
            raise ContradictionError(("kib",), "mib is given, too")
        return self
