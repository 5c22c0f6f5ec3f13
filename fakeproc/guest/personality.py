"""What differs from kernel to kernel, as data: the guest asks no version numbers.

A field says what a kernel does; its comment says since when, by which commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import EIO

__all__ = ["RFC", "Personality"]


@dataclass(frozen=True, slots=True)
class Personality:
    """How one kernel, with or without the series, behaves."""

    # Before v6.12, commit eb29369fa543, a write to an affinity that user space
    # may not set gave EIO, since then EPERM.
    unsettable_affinity_errno: int
    # netvsc asked for 8 channels until v6.12, which asks for max(16, default RSS queues).
    netvsc_channels: int
    # VMBus protocol versions that the guest tries, best first (`vmbus_versions`).
    vmbus_versions: tuple[tuple[int, int], ...]


RFC = Personality(
    unsettable_affinity_errno=EIO,
    netvsc_channels=8,
    vmbus_versions=((5, 3), (5, 2), (5, 1), (5, 0), (4, 1), (4, 0), (3, 0), (2, 4)),
)
