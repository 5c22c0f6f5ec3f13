"""What one kernel does that another does not, as data: nothing else asks for a version.

Two facts make a personality: the kernel's version, and what was done with the
series (`series.py`).  Each version is stated by its differences from the one before, with
the release and, where it is known, the commit that made them.  What its files look
like is in `files/kernels/versions.py`; a version has a row in both.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from errno import EIO, EPERM
from typing import Literal, TypeAlias

from fakeproc.series import SERIES, Patch, Series

__all__ = ["SERIES_VERSION", "VERSIONS", "NetvscNames", "Personality", "Version", "personality"]

# What interrupts of network adapters are called: all `netvsc`; those of sub-channels after
# interface and queue, and the primary's from its second opening on; all of them.
NetvscNames: TypeAlias = Literal["as posted", "sub-channels", "all"]

_PROTOCOLS = ((5, 3), (5, 2), (5, 1), (5, 0), (4, 1), (4, 0), (3, 0), (2, 4))


@dataclass(frozen=True, slots=True)
class Version:
    """How one version of Linux behaves, the series aside."""

    # Interrupts
    row_needs_action: bool  # else a row with a count stays when its action goes
    counts_tlb_in_intr: bool  # whether `intr` sums every row of the architecture
    unsettable_affinity_errno: int
    has_cleanup_vector: bool  # x86: one vector of each CPU frees those of before a move
    retries_migration: bool  # an interrupt that finds no vector in its mask goes to any CPU
    # CPUs
    boot_cpu_has_target: bool  # cpu0/hotplug/target is not 0 before its first move
    freezes_downwards: bool  # a hibernation takes the highest CPU down first
    bool_takes_enable: bool  # kstrtobool: e(nable) and d(isable)
    cpu0_hotplug: bool  # whether this boot parameter gives x86's cpu0 an `online`
    smt_takes_number: bool  # smt/control: threads a core
    # VMBus
    vmbus_versions: tuple[tuple[int, int], ...]
    netvsc_channels: int | None  # None: max(16, half the cores)
    fcopy_driver: str
    parses_before_version: bool  # target_cpu_store, without patch 10
    rebinds_when_offlining: bool  # channels are moved off a CPU that goes offline
    # vPCI
    pci_msi_chip: str  # {address} is the function's
    pci_domain_upwards: bool  # on a collision: the next above, not the lowest


@dataclass(frozen=True, slots=True)
class Personality:
    """A kernel: its version, and the series."""

    version: Version
    series: Series
    rebinds_when_offlining: bool  # else it refuses to take a CPU that channels interrupt
    netvsc_names: NetvscNames  # of the interrupts of network adapters, with patch 3


V6_1 = Version(
    row_needs_action=False,
    counts_tlb_in_intr=False,
    unsettable_affinity_errno=EIO,
    has_cleanup_vector=True,
    retries_migration=False,
    boot_cpu_has_target=False,
    freezes_downwards=False,
    bool_takes_enable=False,
    cpu0_hotplug=True,
    smt_takes_number=False,
    vmbus_versions=_PROTOCOLS,
    netvsc_channels=8,
    fcopy_driver="hv_utils",
    parses_before_version=False,
    rebinds_when_offlining=False,
    pci_msi_chip="Hyper-V PCIe MSI",
    pci_domain_upwards=False,
)
V6_10 = replace(
    V6_1,
    has_cleanup_vector=False,  # v6.6, "Replace IRQ_MOVE_CLEANUP_VECTOR with a timer"
    retries_migration=True,  # v6.10, "Retry with cpu_online_mask when migration fails"
    cpu0_hotplug=False,  # v6.5, "x86/smp: Make CPU0 not hotpluggable"
    boot_cpu_has_target=True,  # by v6.12
    smt_takes_number=True,  # v6.6, commit 7f48405c3c34
    # v6.11, commit 540588772ed0, of the day the series was posted.  A freed
    # VMBus interrupt leaves no row: the recorded runs of the series have it so.
    row_needs_action=True,
    fcopy_driver="uio_hv_generic",  # v6.10, commit ec314f61e4fc
)
V6_12 = replace(
    V6_10,
    unsettable_affinity_errno=EPERM,  # v6.12, commit eb29369fa543
    netvsc_channels=None,  # v6.12
    freezes_downwards=True,  # v6.11, "Make freeze_secondary_cpus() iterate in reverse"
)
V6_18 = replace(
    V6_12,
    bool_takes_enable=True,  # v6.16
    parses_before_version=True,  # v6.15, with vmbus_channel_set_cpu
    rebinds_when_offlining=True,  # v6.15, "hv_synic_cleanup: rebind channels"
    pci_msi_chip="HV-PCI-MSIX-{address}",  # v6.17, "Switch to msi_create_parent_irq_domain"
)
V7_2 = replace(
    V6_18,
    counts_tlb_in_intr=True,  # v7.2, irq-core-2026-06-13
    vmbus_versions=((6, 0), *_PROTOCOLS),  # v6.19, confidential VMBus
    pci_domain_upwards=True,  # between v6.13 and v7.2
)

SERIES_VERSION = "6.10"  # the kernel that the series was posted on
VERSIONS = {"6.1": V6_1, "6.10": V6_10, "6.12": V6_12, "6.18": V6_18, "7.2": V7_2}


def personality(
    version: str,
    series: str,
    patches: Collection[int] | None = None,
    offlining: str | None = None,
    netvsc_names: NetvscNames = "as posted",
) -> Personality:
    """The kernel of a profile; KeyError for one that is not known.

    `patches` are those of the series that are applied, all where it is None.
    `offlining` is "rebind" or "refuse": what becomes of a CPU that channels
    interrupt; None is what the version does, but with the series it refuses,
    as patch 12 has it.
    """
    found, done = VERSIONS[version], SERIES[series]
    if patches is not None:
        done = replace(done, patches=frozenset(Patch(number) for number in patches))
    rebinds = found.rebinds_when_offlining and not done.applied
    if offlining is not None:
        rebinds = offlining == "rebind"
    names = netvsc_names if Patch.NAME_IRQS in done.patches else "as posted"
    return Personality(found, done, rebinds, names)
