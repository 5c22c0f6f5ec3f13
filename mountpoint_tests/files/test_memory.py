"""What memory is used for: the keys of each kernel, and that the files agree with each other."""

from pathlib import Path

import pytest
from model.guests import text

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.profiles.kernels import with_kernel
from fakeproc.timeline import SECOND

COUNTERS = Path(__file__).parent.parent / "golden" / "stock" / "counters"
NODE = "/sys/devices/system/node"
VERSIONS = ("6.1", "6.12", "6.18", "7.2")

# The Rust crate procfs 0.14 takes a /proc/meminfo without one of these for broken.
REQUIRED_BY_PROCFS = """
MemTotal MemFree Buffers Cached SwapCached Active Inactive SwapTotal SwapFree Dirty Writeback
Mapped Slab Committed_AS VmallocTotal VmallocUsed VmallocChunk
"""
USUAL = """
Percpu AnonHugePages ShmemHugePages ShmemPmdMapped DirectMap4k DirectMap2M Bounce WritebackTmp
"""


def machine(name="hyperv-2socket", kernel="6.12"):
    return Machine(with_kernel(profiles.load(name), kernel), "manual")


def table(source):
    """The lines of a file of names and numbers."""
    rows = [line.replace(":", "").split() for line in source.splitlines()]
    return {name: int(number) for name, number, *_ in rows}


def node_table(source):
    rows = [line.replace(":", "").split()[2:] for line in source.splitlines()]
    return {name: int(number) for name, number, *_ in rows}


@pytest.mark.parametrize("kernel", VERSIONS)
def test_meminfo_lacks_no_line_that_readers_want(kernel):
    keys = table(text(machine(kernel=kernel), "/proc/meminfo")).keys()
    assert keys >= set(REQUIRED_BY_PROCFS.split()) | set(USUAL.split())
    assert ("Balloon" in keys) == (kernel in {"6.18", "7.2"})


def test_lines_of_meminfo_byte_by_byte():
    lines = text(machine(), "/proc/meminfo").splitlines()
    for line in (
        "SwapCached:            0 kB",
        "VmallocTotal:   34359738367 kB",
        "HardwareCorrupted:     0 kB",
        "ShmemHugePages:        0 kB",
        "HugePages_Total:       0",
        "Hugepagesize:       2048 kB",
        "Hugetlb:               0 kB",
    ):
        assert line in lines


def test_the_direct_map_is_all_memory_and_x86s_alone():
    use = table(text(machine(), "/proc/meminfo"))
    mapped = [kib for name, kib in use.items() if name.startswith("DirectMap")]
    assert sum(mapped) == use["MemTotal"]
    assert min(mapped) > 0
    arm64 = machine("hyperv-arm64")
    assert "DirectMap4k" not in text(arm64, "/proc/meminfo")
    assert "direct_map_" not in text(arm64, "/proc/vmstat")


@pytest.mark.parametrize("file", ["vmstat", "meminfo"])
@pytest.mark.parametrize("capture", ["x86-8cpu-2numa-6.1", "arm64-4cpu-6.1"])
def test_names_in_the_files_of_a_node_are_those_recorded(capture, file):
    name = "hyperv-arm64" if capture.startswith("arm64") else "hyperv-2socket"
    ours = text(machine(name, "6.1"), f"{NODE}/node0/{file}")
    names = table(ours) if file == "vmstat" else node_table(ours)
    assert list(names) == (COUNTERS / f"{capture}-node-{file}.txt").read_text().split()


# What the recorded kernel of 6.18 was built without, and ours with: CONFIG_MEMORY_FAILURE.
WITHOUT = {"meminfo": {"HardwareCorrupted"}, "vmstat": set()}


@pytest.mark.parametrize("file", ["vmstat", "meminfo"])
def test_names_in_proc_are_those_recorded_on_6_18(file):
    names = list(table(text(machine(kernel="6.18"), f"/proc/{file}")))
    recorded = (COUNTERS / f"x86-6.18-proc-{file}.txt").read_text().split()
    assert [name for name in names if name not in WITHOUT[file]] == recorded
    assert WITHOUT[file] <= set(names)


@pytest.mark.parametrize("kernel", VERSIONS)
def test_vmstat_is_the_sum_of_the_nodes_and_then_the_events(kernel):
    guest = machine(kernel=kernel)
    guest.advance(100 * SECOND)
    whole = table(text(guest, "/proc/vmstat"))
    nodes = [table(text(guest, f"{NODE}/node{node}/vmstat")) for node in (0, 1)]
    assert list(whole)[: len(nodes[0])] == list(nodes[0])
    assert {name: whole[name] for name in nodes[0]} == {
        name: nodes[0][name] + nodes[1][name] for name in nodes[0]
    }
    assert list(whole)[-1] == "nr_unstable"
    assert {"pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault", "pgfree"} <= set(
        whole
    )


@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        ("nr_bounce", {"6.1", "6.12"}),
        ("nr_iommu_pages", {"6.12", "6.18", "7.2"}),
        ("nr_balloon_pages", {"6.18", "7.2"}),
        ("nr_memmap_pages", {"6.12", "6.18", "7.2"}),
        ("pgsteal_khugepaged", {"6.12", "6.18", "7.2"}),
        ("swpin_zero", {"6.18", "7.2"}),
    ],
)
def test_counters_that_some_kernels_have(name, kernels):
    have = {kernel for kernel in VERSIONS if name in text(machine(kernel=kernel), "/proc/vmstat")}
    assert have == kernels


def test_demotions_moved_from_the_events_to_the_nodes():
    old, new = machine(kernel="6.1"), machine(kernel="6.12")
    for guest in (old, new):
        assert "pgdemote_kswapd" in table(text(guest, "/proc/vmstat"))
    assert "pgdemote_kswapd" not in table(text(old, f"{NODE}/node0/vmstat"))
    assert "pgdemote_kswapd" in table(text(new, f"{NODE}/node0/vmstat"))


def test_proc_and_the_nodes_tell_of_the_same_memory():
    guest = machine()
    whole = table(text(guest, "/proc/meminfo"))
    nodes = [node_table(text(guest, f"{NODE}/node{node}/meminfo")) for node in (0, 1)]
    for name in ("MemTotal", "MemFree", "Active", "AnonPages", "Slab", "KernelStack"):
        assert whole[name] == nodes[0][name] + nodes[1][name], name
    assert whole["MemFree"] // 4 == table(text(guest, "/proc/vmstat"))["nr_free_pages"]


def test_nothing_that_is_counted_falls():
    guest = machine()
    before = table(text(guest, "/proc/vmstat"))
    guest.advance(60 * SECOND)
    after = table(text(guest, "/proc/vmstat"))
    assert all(after[name] >= before[name] for name in before)
    assert after["pgfault"] > before["pgfault"]
