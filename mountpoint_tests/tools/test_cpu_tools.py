"""Tools that show the guest's CPUs, caches and nodes, and switch CPUs off and on."""

from __future__ import annotations

import re

from .views import state


def table(printed: str) -> dict[str, str]:
    """`Key:   value` lines."""
    return {
        key.strip(): value.strip()
        for key, _, value in (line.partition(":") for line in printed.splitlines())
    }


def test_against_lscpu(looked_at, inside) -> None:
    shown = table(inside(looked_at, "lscpu"))
    online = state(looked_at)["cpus"]["online"]
    assert shown["CPU(s)"] == str(len(online))
    assert shown["On-line CPU(s) list"] == f"{online[0]}-{online[-1]}"
    assert shown["Model name"] == "Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz"
    assert (shown["Thread(s) per core"], shown["Core(s) per socket"]) == ("2", "4")
    assert (shown["Socket(s)"], shown["NUMA node0 CPU(s)"]) == ("1", "0-7")
    assert shown["L3 cache"] == "48 MiB (1 instance)"
    # What it asks the processor itself (cpuid) only --sysroot leaves out.
    of_files = table(inside(looked_at, "lscpu", "--sysroot", looked_at.root))
    assert of_files["On-line CPU(s) list"] == shown["On-line CPU(s) list"]
    assert "Hypervisor vendor" not in of_files


def test_against_lscpu_with_a_cpu_offline(mount_guest, inside) -> None:
    guest = mount_guest("--clock", "manual")
    (guest.proc / "irq/40/smp_affinity_list").write_text("0")
    (guest.sys / "devices/system/cpu/cpu7/online").write_text("0")
    rows = inside(guest, "lscpu", "--all", "--extended=CPU,ONLINE").splitlines()[1:]
    assert {int(cpu): shown == "yes" for cpu, shown in map(str.split, rows)} == {
        cpu: cpu in state(guest)["cpus"]["online"] for cpu in range(8)
    }
    assert table(inside(guest, "lscpu"))["Off-line CPU(s) list"] == "7"


def test_against_chcpu(mount_guest, inside) -> None:
    guest = mount_guest("--clock", "manual")
    inside(guest, "chcpu", "-d", "7", fails=True)
    assert 7 in state(guest)["cpus"]["online"]
    (guest.proc / "irq/40/smp_affinity_list").write_text("0")
    assert inside(guest, "chcpu", "-d", "7") == "CPU 7 disabled\n"
    assert state(guest)["cpus"]["online"] == [0, 1, 2, 3, 4, 5, 6]
    assert inside(guest, "chcpu", "-e", "7") == "CPU 7 enabled\n"
    assert 7 in state(guest)["cpus"]["online"]


def test_against_nproc(looked_at, inside) -> None:
    assert inside(looked_at, "nproc", "--all") == "8\n"  # without --all it asks the scheduler


def test_against_numactl(mount_guest, two_packages, looked_at, inside) -> None:
    assert "available: 1 nodes (0)\nnode 0 cpus: 0 1 2 3 4 5 6 7\n" in inside(
        looked_at, "numactl", "--hardware"
    )
    shown = inside(mount_guest("--profile", two_packages), "numactl", "--hardware")
    assert "node 0 cpus: 0 1 2 3\n" in shown
    assert "node 1 cpus: 4 5 6 7\n" in shown
    assert re.search(r"node distances:\nnode +0 +1 *\n +0: +10 +20 *\n +1: +20 +10", shown)
    sizes = re.findall(r"node \d size: (\d+) MB", shown)
    assert sizes == ["32768", "32768"]


def test_against_numactl_on_more_cpus_than_the_computer_has(mount_guest, inside) -> None:
    """libnuma sizes its masks by sched_getaffinity, which the guest answers."""
    largest = mount_guest("--profile", "hyperv-max", "--clock", "manual")
    shown = inside(largest, "numactl", "--hardware")
    cpus = re.findall(r"(?m)^node \d+ cpus: (.*)$", shown)
    assert [int(cpu) for line in cpus for cpu in line.split()] == [*range(2048)]


def test_against_lstopo(looked_at, inside) -> None:
    # Which CPUs one may run on is asked of the scheduler: --disallowed shows the others too.
    shown = inside(looked_at, "lstopo-no-graphics", "--disallowed", "--of", "console")
    assert re.findall(r"PU L#\d+ \(P#(\d+)\)", shown) == list("01234567")
    assert len(re.findall(r"Core L#", shown)) == 4
    assert "L3 L#0 (48MB)" in shown
    of_files = inside(looked_at, "lstopo-no-graphics", "--input", looked_at.root, "--of", "console")
    assert re.findall(r"PU L#\d+ \(P#(\d+)\)", of_files) == list("01234567")
