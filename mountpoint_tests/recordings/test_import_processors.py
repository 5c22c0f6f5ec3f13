"""What was recorded of processors, memory and firmware is shown again, and nothing made up."""

from __future__ import annotations

import pytest

import fakeproc
from fakeproc.profiles import imported
from recordings.machines import CPU, as_directory

NODE = "sys/devices/system/node"
DMI = "sys/class/dmi/id"
PARAGRAPH = "processor\t: {}\nvendor_id\t: GenuineIntel\nmodel name\t: {}\ncpu MHz\t\t: {}\n\n"


def topology(cpu, core, siblings, package=0):
    top = f"{CPU}/cpu{cpu}/topology"
    return {
        f"{top}/core_id": f"{core}\n",
        f"{top}/physical_package_id": f"{package}\n",
        f"{top}/thread_siblings": f"{siblings:x}\n",
    }


# Four CPUs; neighbours are siblings, but are cores of their own: AMD's compute units.
FOUR = {f"{CPU}/online": "0-3\n", f"{CPU}/possible": "0-3\n"}
for _cpu in range(4):
    FOUR |= topology(_cpu, _cpu, 3 if _cpu < 2 else 12)


def machine(files, tmp_path):
    return fakeproc.Machine(as_directory(FOUR | files, tmp_path))


def shown(files, tmp_path):
    """The same files of the imported machine."""
    guest = machine(files, tmp_path)
    return {name: guest.read(f"/{name}") for name in files}


@pytest.mark.parametrize(
    "files",
    [
        {f"{CPU}/vulnerabilities/meltdown": "Mitigation: PTI\n"},
        {f"{CPU}/cpu{n}/topology/core_id": f"{n}\n" for n in range(4)},
        {f"{CPU}/cpu{n}/topology/thread_siblings": "3\n" for n in range(2)},
        {f"{CPU}/cpu{n}/topology/die_id": f"{n // 2}\n" for n in range(4)},
        {f"{CPU}/cpu{n}/cpufreq/cpuinfo_max_freq": f"{3000000 + n}\n" for n in range(4)},
        {  # chosen by the hardware, below the lowest that can be asked for
            f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "3000000\n",
            f"{CPU}/cpu0/cpufreq/cpuinfo_min_freq": "400000\n",
            f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "399899\n",
        },
        {f"{CPU}/cpufreq/boost": "1\n"},
        {
            f"{CPU}/cpu{n}/cpufreq/{file}": text
            for n in (2, 3)
            for file, text in {"cpuinfo_max_freq": "2000\n", "related_cpus": "2 3\n"}.items()
        },
        {  # of old kernels: a mask alone
            f"{CPU}/cpu{n}/cache/index0/{file}": text
            for n in range(4)
            for file, text in {
                "level": "2\n", "type": "Unified\n", "size": "512K\n",
                "shared_cpu_map": "3\n" if n < 2 else "c\n",
            }.items()
        },
        {f"{NODE}/node{n}/cpumap": f"{3 << 2 * n:x}\n" for n in (0, 1)},
        {
            f"{NODE}/node0/cpumap": "f\n",
            f"{NODE}/node0/hugepages/hugepages-64kB/nr_hugepages": "0\n",
            f"{NODE}/node0/hugepages/hugepages-1048576kB/nr_hugepages": "16\n",
        },
        {"sys/devices/cpu_core/cpus": "0-1\n", "sys/devices/cpu_atom/cpus": "2-3\n"},
        {f"{DMI}/product_name": "XA320 V2 \n", f"{DMI}/bios_version": ".0b\r\n"},
        {f"{DMI}/board_asset_tag": "\n", f"{DMI}/product_serial": "0001\n"},
    ],
)  # fmt: skip
def test_what_was_recorded_is_shown_again(tmp_path, files):
    assert shown(files, tmp_path) == files


@pytest.mark.parametrize(
    "path",
    [
        f"{CPU}/vulnerabilities",
        f"{CPU}/cpu0/cpufreq",
        f"{CPU}/cpu0/cpu_capacity",
        f"{CPU}/cpu0/topology/core_cpus",
        f"{CPU}/cpu0/topology/package_cpus_list",
        f"{CPU}/cpu0/topology/die_id",
        f"{CPU}/cpu0/topology/cluster_cpus",
        f"{CPU}/cpufreq/boost",
        f"{CPU}/smt",
        NODE,
        DMI,
        "sys/devices/virtual/dmi",
        "sys/firmware/dmi",
    ],
)
def test_what_an_old_kernel_lacks_is_not_there(tmp_path, path):
    guest = machine({}, tmp_path)
    directory, _, name = path.rpartition("/")
    assert not guest.exists(f"/{path}")
    assert not guest.exists(f"/{directory}") or name not in guest.list(f"/{directory}")


@pytest.mark.parametrize("path", [f"{NODE}/node0/meminfo", f"{NODE}/node0/hugepages"])
def test_memory_that_nobody_recorded_is_not_made_up(tmp_path, path):
    guest = machine({f"{NODE}/node0/cpumap": "f\n"}, tmp_path)
    assert guest.exists(f"/{NODE}/node0/cpulist")
    assert not guest.exists(f"/{path}")


def test_a_processor_that_nobody_recorded_has_no_name(tmp_path):
    assert "model name\t: \n" in machine({}, tmp_path).read("/proc/cpuinfo")


def test_the_kernel_as_hwloc_gathers_it(tmp_path):
    uname = "OSName: Linux\nOSRelease: 5.3.0-28-generic\nOSVersion: #30 SMP\n"
    guest = machine({"proc/hwloc-nofile-info": uname}, tmp_path)
    version = guest.read("/proc/version")
    assert version.startswith("Linux version 5.3.0-28-generic (")
    assert version.endswith(") #30 SMP\n")


def test_lists_are_worked_out_of_masks(tmp_path):
    guest = machine({f"{NODE}/node0/cpumap": "f\n"}, tmp_path)
    top = f"/{CPU}/cpu1/topology"
    assert guest.read(f"{top}/thread_siblings_list") == "0-1\n"
    assert guest.read(f"{top}/core_siblings_list") == "0-3\n"
    assert guest.read(f"/{NODE}/node0/cpulist") == "0-3\n"


@pytest.mark.parametrize(
    ("masks", "lists", "believed"),
    [
        ("3 3 c c", "0-3 0-3 0-3 0-3", "3 3 c c"),  # masks that agree, as lscpu reads them
        ("3 3 f c", "0-1 0-1 2-3 2-3", "3 3 c c"),  # one mask that the others contradict
        ("f f f f", "0-1 0-1 2-3 2-3", "f f f f"),
    ],
)
def test_masks_and_lists_that_contradict_each_other(tmp_path, masks, lists, believed):
    files = {}
    for cpu, (mask, cpus) in enumerate(zip(masks.split(), lists.split(), strict=True)):
        top = f"{CPU}/cpu{cpu}/cache/index0"
        files |= {
            f"{top}/level": "3\n", f"{top}/type": "Unified\n",
            f"{top}/shared_cpu_map": f"{mask}\n", f"{top}/shared_cpu_list": f"{cpus}\n",
        }  # fmt: skip
    guest = machine(files, tmp_path)
    maps = [guest.read(f"/{CPU}/cpu{cpu}/cache/index0/shared_cpu_map").strip() for cpu in range(4)]
    assert maps == believed.split()


def test_processors_that_differ_are_groups(tmp_path):
    cpuinfo = "".join(
        PARAGRAPH.format(cpu, name, mhz)
        for cpu, (name, mhz) in enumerate(
            [("Big ", "3000.000"), ("Big ", "2999.500"), ("Small", "800.000"), ("Small", "800.000")]
        )
    )
    source = as_directory(FOUR | {"proc/cpuinfo": cpuinfo}, tmp_path)
    profile, _, _ = imported([source])
    assert [group.cpus for group in profile.cpus.groups] == [{0, 1}, {2, 3}]
    lines = fakeproc.Machine(profile).read("/proc/cpuinfo").splitlines()
    assert [line.partition(": ")[2] for line in lines if line.startswith("model name")] == [
        "Big ", "Big ", "Small", "Small",
    ]  # fmt: skip
    assert [line.partition(": ")[2] for line in lines if line.startswith("cpu MHz")] == [
        "3000.000", "2999.500", "800.000", "800.000",
    ]  # fmt: skip


def test_arm_processors_by_their_main_id_register(tmp_path):
    register = f"{CPU}/cpu{{}}/regs/identification/midr_el1"
    files = {
        register.format(cpu): f"0x00000000411fd{part}\n" for cpu, part in enumerate((461, 470))
    }
    files["proc/cpuinfo"] = "".join(
        f"processor\t: {cpu}\nCPU implementer\t: 0x41\nCPU variant\t: 0x1\nCPU part\t: {part}\n"
        "CPU revision\t: 1\n\n"
        for cpu, part in enumerate(("0xd46", "0xd47", "0xd47", "0xd47"))
    )
    files |= {f"{CPU}/cpu{cpu}/topology/die_id": "-1\n" for cpu in range(4)}
    guest = machine(files, tmp_path)
    assert [guest.read(f"/{register.format(cpu)}") for cpu in range(3)] == [
        "0x00000000411fd461\n", "0x00000000411fd470\n", "0x00000000411fd471\n",
    ]  # fmt: skip
    assert "CPU part\t: 0xd46" in guest.read("/proc/cpuinfo").split("\n\n")[0]
    assert guest.read(f"/{CPU}/cpu1/topology/die_id") == "-1\n"
    assert guest.read(f"/{CPU}/cpu1/topology/die_cpus_list") == "1\n"


def test_a_compute_unit_stays_together_when_a_cpu_goes_and_comes(tmp_path):
    guest = machine({}, tmp_path)
    siblings = f"/{CPU}/cpu2/topology/thread_siblings_list"
    assert guest.read(siblings) == "2-3\n"
    guest.write(f"/{CPU}/cpu3/online", "0")
    assert guest.read(siblings) == "2\n"
    guest.write(f"/{CPU}/cpu3/online", "1")
    assert guest.read(siblings) == "2-3\n"


def test_cpus_that_only_the_hardware_coordinates_have_policies_of_their_own(tmp_path):
    files = {}
    for cpu in range(4):
        top = f"{CPU}/cpu{cpu}/cpufreq"
        files |= {f"{top}/cpuinfo_max_freq": "3000\n", f"{top}/affected_cpus": f"{cpu}\n"}
        files |= {f"{top}/scaling_cur_freq": f"{1000 + cpu}\n"}
    related = {f"{CPU}/cpu{cpu}/cpufreq/related_cpus": "0 1 2 3\n" for cpu in range(4)}
    guest = machine(files | related, tmp_path)
    assert {name: guest.read(f"/{name}") for name in files} == files


def test_cpus_of_one_policy_change_their_frequency_together(tmp_path):
    files = {}
    for cpu in range(4):
        top = f"{CPU}/cpu{cpu}/cpufreq"
        files |= {f"{top}/cpuinfo_max_freq": "3000\n", f"{top}/cpuinfo_min_freq": "1000\n"}
        files[f"{top}/related_cpus"] = "0 1\n" if cpu < 2 else "2 3\n"
    guest = machine(files, tmp_path)
    assert guest.list(f"/{CPU}/cpufreq") == ["policy0", "policy2"]
    guest.write(f"/{CPU}/cpu1/cpufreq/scaling_max_freq", "2000")
    assert guest.read(f"/{CPU}/cpu0/cpufreq/scaling_cur_freq") == "2000\n"
    guest.write(f"/{CPU}/cpu1/online", "0")
    assert guest.read(f"/{CPU}/cpufreq/policy0/affected_cpus") == "0\n"
    assert guest.read(f"/{CPU}/cpufreq/policy0/related_cpus") == "0 1\n"
