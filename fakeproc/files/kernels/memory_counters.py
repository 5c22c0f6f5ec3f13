"""The names of the memory's counters, by kernel version: `mm/vmstat.c: vmstat_text`.

`NODE_*` are those of zones, NUMA and nodes, which node<n>/vmstat shows; `EVENTS_*`
follow them in /proc/vmstat.  The node's are recorded on 6.1.192; those of 6.18 on
6.18.44.  What lies between is stated by its difference.
"""

from __future__ import annotations

__all__ = [
    "EVENTS_6_1",
    "EVENTS_6_10",
    "EVENTS_6_12",
    "EVENTS_6_18",
    "NODE_6_1",
    "NODE_6_10",
    "NODE_6_12",
    "NODE_6_18",
]


def _names(words: str) -> tuple[str, ...]:
    return tuple(words.split())


def _after(names: tuple[str, ...], name: str, *new: str) -> tuple[str, ...]:
    """The same with new names behind one."""
    at = names.index(name) + 1
    return (*names[:at], *new, *names[at:])


def _without(names: tuple[str, ...], *gone: str) -> tuple[str, ...]:
    return tuple(name for name in names if name not in gone)


NODE_6_1 = _names("""
nr_free_pages nr_zone_inactive_anon nr_zone_active_anon nr_zone_inactive_file nr_zone_active_file
nr_zone_unevictable nr_zone_write_pending nr_mlock nr_bounce nr_zspages nr_free_cma numa_hit
numa_miss numa_foreign numa_interleave numa_local numa_other nr_inactive_anon nr_active_anon
nr_inactive_file nr_active_file nr_unevictable nr_slab_reclaimable nr_slab_unreclaimable
nr_isolated_anon nr_isolated_file workingset_nodes workingset_refault_anon workingset_refault_file
workingset_activate_anon workingset_activate_file workingset_restore_anon workingset_restore_file
workingset_nodereclaim nr_anon_pages nr_mapped nr_file_pages nr_dirty nr_writeback
nr_writeback_temp nr_shmem nr_shmem_hugepages nr_shmem_pmdmapped nr_file_hugepages
nr_file_pmdmapped nr_anon_transparent_hugepages nr_vmscan_write nr_vmscan_immediate_reclaim
nr_dirtied nr_written nr_throttled_written nr_kernel_misc_reclaimable nr_foll_pin_acquired
nr_foll_pin_released nr_kernel_stack nr_page_table_pages nr_sec_page_table_pages nr_swapcached
pgpromote_success pgpromote_candidate
""")
# By v6.10: demotions are counted by node.
NODE_6_10 = (*NODE_6_1, "pgdemote_kswapd", "pgdemote_direct", "pgdemote_khugepaged")
NODE_6_12 = _after(NODE_6_10, "nr_sec_page_table_pages", "nr_iommu_pages")  # v6.11
# By v6.18: no bounce buffers, no temporary pages of FUSE.
NODE_6_18 = (
    *_after(
        _after(
            _without(NODE_6_12, "nr_bounce", "nr_writeback_temp"),
            "nr_free_pages",
            "nr_free_pages_blocks",
        ),
        "pgpromote_candidate",
        "pgpromote_candidate_nrl",
    ),
    "pgdemote_proactive",
    "nr_hugetlb",
    "nr_balloon_pages",
    "nr_kernel_file_pages",
)

EVENTS_6_18 = _names("""
nr_dirty_threshold nr_dirty_background_threshold nr_memmap_pages nr_memmap_boot_pages pgpgin
pgpgout pswpin pswpout pgalloc_dma pgalloc_dma32 pgalloc_normal pgalloc_movable pgalloc_device
allocstall_dma allocstall_dma32 allocstall_normal allocstall_movable allocstall_device pgskip_dma
pgskip_dma32 pgskip_normal pgskip_movable pgskip_device pgfree pgactivate pgdeactivate pglazyfree
pgfault pgmajfault pglazyfreed pgrefill pgreuse pgsteal_kswapd pgsteal_direct pgsteal_khugepaged
pgsteal_proactive pgscan_kswapd pgscan_direct pgscan_khugepaged pgscan_proactive
pgscan_direct_throttle pgscan_anon pgscan_file pgsteal_anon pgsteal_file zone_reclaim_success
zone_reclaim_failed pginodesteal slabs_scanned kswapd_inodesteal kswapd_low_wmark_hit_quickly
kswapd_high_wmark_hit_quickly pageoutrun pgrotated drop_pagecache drop_slab oom_kill
numa_pte_updates numa_huge_pte_updates numa_hint_faults numa_hint_faults_local numa_pages_migrated
pgmigrate_success pgmigrate_fail thp_migration_success thp_migration_fail thp_migration_split
compact_migrate_scanned compact_free_scanned compact_isolated compact_stall compact_fail
compact_success compact_daemon_wake compact_daemon_migrate_scanned compact_daemon_free_scanned
htlb_buddy_alloc_success htlb_buddy_alloc_fail unevictable_pgs_culled unevictable_pgs_scanned
unevictable_pgs_rescued unevictable_pgs_mlocked unevictable_pgs_munlocked unevictable_pgs_cleared
unevictable_pgs_stranded thp_fault_alloc thp_fault_fallback thp_fault_fallback_charge
thp_collapse_alloc thp_collapse_alloc_failed thp_file_alloc thp_file_fallback
thp_file_fallback_charge thp_file_mapped thp_split_page thp_split_page_failed
thp_deferred_split_page thp_underused_split_page thp_split_pmd thp_scan_exceed_none_pte
thp_scan_exceed_swap_pte thp_scan_exceed_share_pte thp_split_pud thp_zero_page_alloc
thp_zero_page_alloc_failed thp_swpout thp_swpout_fallback balloon_inflate balloon_deflate
balloon_migrate swap_ra swap_ra_hit swpin_zero swpout_zero ksm_swpin_copy cow_ksm zswpin zswpout
zswpwb direct_map_level2_splits direct_map_level3_splits direct_map_level2_collapses
direct_map_level3_collapses nr_unstable
""")
EVENTS_6_12 = _without(
    EVENTS_6_18,
    "pgsteal_proactive",
    "pgscan_proactive",
    "zone_reclaim_success",
    "swpin_zero",
    "swpout_zero",
    "direct_map_level2_collapses",
    "direct_map_level3_collapses",
)
EVENTS_6_10 = _without(
    EVENTS_6_12, "nr_memmap_pages", "nr_memmap_boot_pages", "thp_underused_split_page"
)
# Demotions are events yet; khugepaged and a zone of devices are not counted.
EVENTS_6_1 = _after(
    _without(
        EVENTS_6_10,
        "pgalloc_device",
        "allocstall_device",
        "pgskip_device",
        "pgsteal_khugepaged",
        "pgscan_khugepaged",
        "zswpwb",
        "ksm_swpin_copy",
        "cow_ksm",
    ),
    "pgsteal_direct",
    "pgdemote_kswapd",
    "pgdemote_direct",
)
