"""/proc/schedstat: its version, its columns, and the domains of each CPU."""

import re

import pytest
from model.guests import default_guest, text, write

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.profiles.kernels import with_kernel

MANY = """
description = "two packages of four cores with two threads"
[kernel]
version = "7.2"
series = "absent"
[cpus]
possible = 16
packages = 2
nodes = 2
threads_per_core = 2
caches = [{ level = 3, type = "Unified", size_kib = 32768, ways = 16, shared_by = "package" }]
"""


def guest(toml):
    return Machine(profiles.parse(toml, "sched.toml", "sched"), "manual")


def domains(machine, cpu):
    """What stands behind domain<n> of a CPU, without the numbers."""
    of_cpu = re.split(r"^cpu", text(machine, "/proc/schedstat"), flags=re.MULTILINE)[1:]
    lines = next(each for each in of_cpu if each.startswith(f"{cpu} ")).splitlines()[1:]
    return [" ".join(word for word in line.split()[1:] if word != "0") for line in lines]


@pytest.mark.parametrize(
    ("kernel", "version", "numbers"),
    [("6.1", 15, 36), ("rfc", 16, 36), ("6.12", 16, 36), ("6.18", 17, 45), ("7.2", 17, 45)],
)
def test_version_and_columns(kernel, version, numbers):
    machine = Machine(with_kernel(profiles.load("hyperv-gen2"), kernel), "manual")
    lines = text(machine, "/proc/schedstat").splitlines()
    assert lines[0] == f"version {version}"
    assert re.fullmatch(r"timestamp \d+", lines[1])
    cpus = [line.split() for line in lines if line.startswith("cpu")]
    assert [words[0] for words in cpus] == [f"cpu{cpu}" for cpu in range(8)]
    assert {len(words) for words in cpus} == {10}
    found = [line.split() for line in lines if line.startswith("domain")]
    assert {len(words) for words in found} == {2 + (version >= 17) + numbers}


def test_each_level_is_wider_than_the_one_below():
    assert domains(guest(MANY), 5) == ["SMT 0030", "MC 00ff", "NUMA ffff"]


def test_a_node_is_a_level_by_its_distance():
    toml = MANY.replace("nodes = 2\n", "") + "".join(
        f'[[nodes]]\nnumber = {node}\ncpus = "{4 * node}-{4 * node + 3}"\nmib = 512\n'
        f"distances = {distances}\n"
        for node, distances in enumerate(
            ([10, 11, 20, 20], [11, 10, 20, 20], [20, 20, 10, 11], [20, 20, 11, 10])
        )
    )
    assert domains(guest(toml), 15) == ["SMT c000", "MC ff00", "NUMA ffff"]


def test_an_isolated_cpu_has_no_domain_and_is_in_none():
    machine = guest(MANY + "[cpus.isolated]\ndomain = [4, 5]\n")
    assert domains(machine, 5) == []
    assert domains(machine, 6) == ["SMT 00c0", "MC 00cf", "NUMA ffcf"]


def test_a_cpu_that_goes_leaves_its_lines_and_its_domains():
    machine = guest(MANY)
    assert write(machine, "/sys/devices/system/cpu/cpu4/online", b"0") == 1
    assert "\ncpu4 " not in text(machine, "/proc/schedstat")
    assert domains(machine, 5) == ["MC 00ef", "NUMA ffef"]


def test_time_grows_and_the_turns_are_half_of_the_context_switches():
    machine = default_guest()

    def columns():
        lines = [line.split() for line in text(machine, "/proc/schedstat").splitlines()]
        return {words[0]: [*map(int, words[1:])] for words in lines if words[0][:3] == "cpu"}

    def switches():
        return int(text(machine, "/proc/stat").split("ctxt ")[1].split()[0])

    before, switched = columns(), switches()
    machine.advance(100 * 10**9)
    after = columns()
    turns = sum(after[cpu][8] - before[cpu][8] for cpu in after)
    assert turns == pytest.approx((switches() - switched) / 2, abs=8)
    assert all(
        now >= then for cpu in after for now, then in zip(after[cpu], before[cpu], strict=True)
    )
