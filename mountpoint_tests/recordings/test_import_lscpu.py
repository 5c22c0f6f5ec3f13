"""lscpu's text or JSON is a source, alone or beside other texts."""

from __future__ import annotations

import json
import subprocess

import pytest
from programs import program

import fakeproc
from fakeproc.profiles import ProfileError, imported
from recordings.machines import CPU

# Two sockets of four cores with two threads each; bare metal, so second threads come last.
SERVER = """\
Architecture:                    x86_64
Address sizes:                   46 bits physical, 48 bits virtual
Byte Order:                      Little Endian
CPU(s):                          16
On-line CPU(s) list:             0-15
Vendor ID:                       GenuineIntel
Model name:                      Some Xeon
CPU family:                      6
Model:                           85
Thread(s) per core:              2
Core(s) per socket:              4
Socket(s):                       2
Stepping:                        7
Frequency boost:                 enabled
CPU(s) scaling MHz:              50%
CPU max MHz:                     3600.0000
CPU min MHz:                     1000.0000
BogoMIPS:                        5200.00
Flags:                           fpu sse2 ht
L1d cache:                       256 KiB (8 instances)
L2 cache:                        8 MiB (8 instances)
L3 cache:                        32 MiB (2 instances)
NUMA node(s):                    2
NUMA node0 CPU(s):               0-3,8-11
NUMA node1 CPU(s):               4-7,12-15
Vulnerability Meltdown:          Mitigation; PTI
Vulnerability Spec store bypass: Vulnerable
"""
ARM = """\
Architecture:           aarch64
CPU(s):                 4
On-line CPU(s) list:    0-2
Off-line CPU(s) list:   3
Vendor ID:              ARM
Model name:             Neoverse-N1
Thread(s) per core:     1
Core(s) per socket:     3
Socket(s):              1
Stepping:               r3p1
BogoMIPS:               50.00
Flags:                  fp asimd
L1d cache:              64K
"""
TABLE = (
    "           CPU0       CPU1       \n"
    " 24:          1          0   PCI-MSI   1-edge      nvme0q0\n"
)


def as_json(text):
    fields = [line.partition(":")[::2] for line in text.splitlines()]
    flat = [{"field": f"{field}:", "data": data.strip()} for field, data in fields]
    return json.dumps({"lscpu": [flat[0] | {"children": flat[1:4]}, *flat[4:]]})


def machine(tmp_path, *texts):
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"source{number}")
        paths[-1].write_text(text)
    return fakeproc.Machine(imported(paths)[0])


@pytest.mark.parametrize("form", [str, as_json])
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("online", "0-15\n"),
        ("cpu9/topology/thread_siblings_list", "1,9\n"),
        ("cpu9/topology/core_siblings_list", "0-3,8-11\n"),
        ("cpu12/topology/physical_package_id", "1\n"),
        ("cpu0/cache/index0/size", "32K\n"),
        ("cpu0/cache/index1/shared_cpu_list", "0,8\n"),
        ("cpu15/cache/index2/shared_cpu_list", "4-7,12-15\n"),
        ("cpu15/cpufreq/scaling_cur_freq", "1800000\n"),
        ("cpufreq/boost", "1\n"),
        ("vulnerabilities/meltdown", "Mitigation: PTI\n"),
    ],
)
def test_a_server(tmp_path, form, path, text):
    assert machine(tmp_path, form(SERVER)).read(f"/{CPU}/{path}") == text


def test_neighbours_are_threads_in_a_virtual_machine(tmp_path):
    guest = machine(tmp_path, SERVER + "Hypervisor vendor:               KVM\n")
    assert guest.read(f"/{CPU}/cpu9/topology/thread_siblings_list") == "8-9\n"


def test_an_arm_machine(tmp_path):
    guest = machine(tmp_path, ARM)
    assert guest.read(f"/{CPU}/cpu0/regs/identification/midr_el1") == "0x00000000413fd0c1\n"
    assert guest.read(f"/{CPU}/offline") == "3\n"
    assert guest.read(f"/{CPU}/cpu0/cache/index0/size") == "64K\n"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_beside_a_table_of_interrupts_and_cpuinfo(tmp_path, order):
    lscpu = SERVER.replace("CPU(s):                          16", "CPU(s): 2", 1)
    lscpu = lscpu.replace("0-15", "0-1", 1).partition("NUMA")[0]
    cpuinfo = (
        "processor\t: 0\nmodel name\t: Of cpuinfo\n\nprocessor\t: 1\nmodel name\t: Of cpuinfo\n"
    )
    texts = [lscpu, TABLE]
    guest = machine(tmp_path, *(texts[at] for at in order), cpuinfo)
    assert guest.read("/proc/interrupts").startswith(TABLE)
    assert guest.read(f"/{CPU}/cpu0/topology/thread_siblings_list") == "0-1\n"
    assert guest.read("/proc/cpuinfo").count("Of cpuinfo") == 2


def test_lscpu_prints_it_again(tmp_path, mount_guest):
    source = tmp_path / "lscpu.txt"
    source.write_text(SERVER)
    profile = tmp_path / "server.toml"
    profile.write_text(imported([source])[1])
    mounted = mount_guest("--profile", str(profile))
    printed = subprocess.run(
        [program("lscpu"), "--sysroot", mounted.root], capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    fields = dict(line.split(":", 1) for line in printed.splitlines())
    fields = {field: data.strip() for field, data in fields.items()}
    wanted = dict(line.split(":", 1) for line in SERVER.splitlines())
    assert {field: fields.get(field) for field in wanted} == {
        field: data.strip() for field, data in wanted.items()
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Architecture: ppc64le\nCPU(s): 4\n", "a machine of ppc64le"),
        ("{", "no JSON"),
        ('{"cpus": []}', "JSON, but not what lscpu -J prints"),
        ("Architecture: x86_64\nOn-line CPU(s) list: 0-9999\n", "of more than 8192"),
        ("Architecture: x86_64\nOn-line CPU(s) list: some\n", "source0: lscpu: "),
    ],
)
def test_what_is_refused(tmp_path, text, why):
    with pytest.raises(ProfileError) as refused:
        machine(tmp_path, text)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)
