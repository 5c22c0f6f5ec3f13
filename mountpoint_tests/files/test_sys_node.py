"""/sys/devices/system/node."""

import errno
import re

import pytest
from model.guests import sys_node

from fakeproc import profiles
from fakeproc.files.tree import Attribute
from fakeproc.machine import Machine

NODE = "/devices/system/node"


def tree_of(*keys):
    text = "\n".join(('description = "a test"', "[cpus]", *keys))
    return Machine(profiles.parse(text, "test.toml", "test"), "manual")


def text_of(root, path):
    node = sys_node(root, f"{NODE}/{path}")
    assert isinstance(node, Attribute), path
    return node.show().decode()


@pytest.fixture(scope="module")
def sample():
    return Machine(profiles.load("hyperv-gen2"), "manual")


@pytest.mark.parametrize(
    ("path", "mode", "size", "text"),
    [
        ("online", 0o444, None, "0\n"),
        ("possible", 0o444, None, "0\n"),
        ("has_cpu", 0o444, None, "0\n"),
        ("has_memory", 0o444, None, "0\n"),
        ("has_normal_memory", 0o444, None, "0\n"),
        ("has_generic_initiator", 0o444, None, "\n"),
        ("uevent", 0o644, None, ""),
        ("node0/cpumap", 0o444, 4096, "ff\n"),
        ("node0/cpulist", 0o444, 28672, "0-7\n"),
        ("node0/distance", 0o444, None, "10\n"),
        ("node0/uevent", 0o644, None, ""),
        ("node0/memory_failure/total", 0o444, None, "0\n"),
        ("node0/hugepages/hugepages-2048kB/nr_hugepages", 0o644, None, "0\n"),
        ("node0/hugepages/hugepages-1048576kB/free_hugepages", 0o444, None, "0\n"),
    ],
)
def test_files_of_the_sample_guest(sample, path, mode, size, text):
    node = sys_node(sample, f"{NODE}/{path}")
    assert (node.mode, node.size) == (mode, size)
    assert text_of(sample, path) == text


def test_two_nodes():
    root = tree_of("possible = 8", "nodes = 2", "offline = [1, 4, 5, 6, 7]")
    assert text_of(root, "online") == "0-1\n"
    assert text_of(root, "has_cpu") == "0\n"
    assert text_of(root, "node0/cpumap") == "0d\n"
    assert text_of(root, "node0/cpulist") == "0,2-3\n"
    assert text_of(root, "node1/cpumap") == "00\n"
    assert text_of(root, "node1/cpulist") == "\n"
    assert text_of(root, "node0/distance") == "10 20\n"
    assert text_of(root, "node1/distance") == "20 10\n"
    # The links stay when the CPUs go.
    assert sys_node(root, f"{NODE}/node1/cpu7").target == "../../cpu/cpu7"
    assert sys_node(root, f"{NODE}/node1/cpu3") is None
    assert sys_node(root, "/devices/system/cpu/cpu7/node1").target == "../../node/node1"
    assert sys_node(root, f"{NODE}/node2") is None
    assert sys_node(root, NODE).nlink == 5
    assert [name for name, _ in sys_node(root, "/bus/node/devices").children()] == [
        "node0",
        "node1",
    ]


def test_a_cpu_that_is_not_present_is_not_linked():
    root = tree_of("possible = 8", "present = 6", "nodes = 2")
    assert sys_node(root, f"{NODE}/node1/cpu5") is not None
    assert sys_node(root, f"{NODE}/node1/cpu6") is None
    # The nodes divide the CPUs that are there, and not those that may come.
    assert text_of(root, "node1/cpulist") == "3-5\n"


def test_meminfo():
    root = tree_of("possible = 2", "nodes = 2", "[memory]", "mib_per_node = 1024")
    lines = text_of(root, "node1/meminfo").splitlines()
    assert lines[:3] == [
        "Node 1 MemTotal:        1048576 kB",
        "Node 1 MemFree:          650116 kB",
        "Node 1 MemUsed:          398460 kB",
    ]
    assert lines[-3:] == [
        "Node 1 HugePages_Total:     0",
        "Node 1 HugePages_Free:      0",
        "Node 1 HugePages_Surp:      0",
    ]
    # `numactl -H` and `libnuma` read these with sscanf().
    assert all(re.fullmatch(r"Node 1 \S+: +\d+ kB", line) for line in lines[:-3])
    assert "Node 1 AnonHugePages:         0 kB" in lines


def test_counters(sample):
    numastat = dict(line.split() for line in text_of(sample, "node0/numastat").splitlines())
    vmstat = dict(line.split() for line in text_of(sample, "node0/vmstat").splitlines())
    assert list(numastat) == [
        "numa_hit",
        "numa_miss",
        "numa_foreign",
        "interleave_hit",
        "local_node",
        "other_node",
    ]
    assert numastat["numa_hit"] == vmstat["numa_hit"] == vmstat["numa_local"]
    assert len(vmstat) == 63
    memory = text_of(sample, "node0/meminfo")
    free = int(re.search(r"MemFree: +(\d+)", memory)[1])
    assert int(vmstat["nr_free_pages"]) == free // 4


def test_writes(sample):
    sys_node(sample, f"{NODE}/node0/compact").store(b"1\n")
    assert sys_node(sample, f"{NODE}/node0/compact").show is None
    pool = sys_node(sample, f"{NODE}/node0/hugepages/hugepages-2048kB/nr_hugepages")
    pool.store(b"8\n")
    for data in (b"x", b"-1"):
        with pytest.raises(OSError, match=r"number|fewer") as caught:
            pool.store(data)
        assert caught.value.errno == errno.EINVAL
