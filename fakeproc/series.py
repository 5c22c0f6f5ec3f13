"""The series "[RFC 00/12] Hyper-V guests use Linux IRQs for channel interrupts", patch by patch.

What a guest does with the series follows from the set of patches that are
applied; nothing else asks which they are.  A patch may be left out where no
other patch that is applied needs it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["ALL_PATCHES", "NEEDS", "SERIES", "Patch", "Series", "missing_patch", "without"]


class Patch(IntEnum):
    """A patch by its number, named after what it does."""

    DROP_UNSUPPORTED = 1  # drops offers that only Windows has a driver for
    GUARD_SYSFS_GROUP = 2  # removes a channel's files only where they were created
    NAME_IRQS = 3  # gives each channel a name for its interrupt
    NAME_PCI = 4  # vpci:<domain> for a PCI pass-through
    NAME_DISKS = 5  # pri@storvsc<host> and sub@storvsc<host>
    COUNT_IF_HANDLED = 6  # a flow handler for arm64 that counts what it has handled
    IRQ_DOMAIN = 7  # the domain and the chip of the channels' interrupts
    MAP_RELIDS = 8  # an interrupt for each channel, from its offer on
    REQUEST_IRQS = 9  # the interrupt has an action, and counts, while the channel is open
    SET_AFFINITY = 10  # a channel moves when the affinity is written
    WAIT_FOR_MODIFY = 11  # a CPU that goes offline waits for moves that are under way
    SYNIC_ONLINE = 12  # no channel moves to a CPU that is going offline


ALL_PATCHES = frozenset(Patch)

# What a patch cannot do without.  Two more would not compile alone, for a line that the
# emulation leaves out with the other patch, because that shows what the other one is for:
# patch 7 installs patch 6's handler on arm64, patch 9 passes patch 3's name to request_irq()
# (without it NULL, which the kernel prints as `(null)`).
NEEDS: dict[Patch, frozenset[Patch]] = {
    Patch.NAME_PCI: frozenset({Patch.NAME_IRQS}),  # fills its buffer
    Patch.NAME_DISKS: frozenset({Patch.NAME_IRQS}),
    Patch.MAP_RELIDS: frozenset({Patch.IRQ_DOMAIN}),  # maps in its domain
    Patch.REQUEST_IRQS: frozenset({Patch.MAP_RELIDS}),  # requests channel->irq
    Patch.SET_AFFINITY: frozenset({Patch.MAP_RELIDS}),  # finds the channel by its IRQ
    Patch.WAIT_FOR_MODIFY: frozenset({Patch.SET_AFFINITY}),  # counts what it sends
    Patch.SYNIC_ONLINE: frozenset({Patch.SET_AFFINITY}),  # filters what it picks from
}


@dataclass(frozen=True, slots=True)
class Series:
    """What was done with the series."""

    patches: frozenset[Patch] = ALL_PATCHES
    # As posted, patch 10 lets target_cpu_store return what irq_set_affinity
    # does: 0 for success, so that write(2) returns 0 and `echo` never ends.
    store_returns_count: bool = True
    # As posted, patch 9 requests the IRQ in __vmbus_open and frees it only
    # when the relid is unmapped, so that a second open gives EBUSY.
    frees_on_close: bool = True
    # The reviewer's proposal of 4 June 2024: control messages have an interrupt of
    # their own below the top-level one, which counts nothing and is hidden.
    messages_have_irq: bool = False

    @property
    def applied(self) -> bool:
        """Whether any of it is."""
        return bool(self.patches)

    def top_counts_channels(self, *, arm64: bool) -> bool:
        """Whether the top-level interrupt counts what it found for channels too.

        Patch 9 has the callers count only where a control message was found;
        on arm64 patch 6's flow handler does that counting.
        """
        if self.messages_have_irq:
            return False
        counted = {Patch.REQUEST_IRQS, Patch.COUNT_IF_HANDLED} if arm64 else {Patch.REQUEST_IRQS}
        return not counted <= self.patches


SERIES = {
    "absent": Series(frozenset()),
    "as meant": Series(),
    "as posted": Series(store_returns_count=False, frees_on_close=False),
    "as reviewed": Series(messages_have_irq=True),
}


def missing_patch(patches: Collection[int]) -> tuple[int, int] | None:
    """The first patch of a set that needs another which is not in it, and that other one."""
    for patch in sorted(patches):
        for needed in sorted(NEEDS.get(Patch(patch), ())):
            if needed not in patches:
                return int(patch), int(needed)
    return None


def without(patches: Collection[int], left_out: Collection[int]) -> frozenset[int]:
    """A set of patches without some of them, and without what needs these."""
    kept = frozenset(int(patch) for patch in patches) - frozenset(left_out)
    while (missing := missing_patch(kept)) is not None:
        kept -= {missing[0]}
    return kept
