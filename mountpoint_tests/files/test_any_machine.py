"""Machines that no short form can state: every view of them says the same."""

from __future__ import annotations

import pytest
from model.guests import node_at, read, text, write

from fakeproc import profiles
from fakeproc.files.tree import Directory
from fakeproc.machine import Machine
from fakeproc.profiles import ProfileError

CPU = "/sys/devices/system/cpu"
NODE = "/sys/devices/system/node"


def machine(toml: str) -> Machine:
    return Machine(profiles.parse(f'description = "a test"\n{toml}', "any.toml", "any"), "manual")


def refusal(toml: str) -> str:
    with pytest.raises(ProfileError) as refused:
        profiles.parse(f'description = "a test"\n{toml}', "any.toml", "any")
    return str(refused.value)


def topology(guest: Machine, cpu: int, *names: str) -> list[str]:
    return [text(guest, f"{CPU}/cpu{cpu}/topology/{name}").strip() for name in names]


# Numbering -----------------------------------------------------------------------------------

NUMBERINGS = [
    # numbering, and of CPU 1: package, core, threads of its core, CPUs of its package, node
    ("threads", ["0", "0", "0-1", "0-3", "0"]),
    ("cores", ["0", "1", "1,5", "0-1,4-5", "0"]),
    ("packages", ["1", "0", "1,5", "1,3,5,7", "1"]),
]
SHORT = "[cpus]\npossible = 8\npackages = 2\nthreads_per_core = 2\nnodes = 2\n"


@pytest.mark.parametrize(("numbering", "of_cpu_1"), NUMBERINGS)
def test_neighbours_in_number_need_not_be_neighbours(numbering, of_cpu_1):
    guest = machine(f'{SHORT}numbering = "{numbering}"\n')
    names = ("physical_package_id", "core_id", "thread_siblings_list", "core_siblings_list")
    found = topology(guest, 1, *names)
    node = next(n for n in (0, 1) if node_at(guest, f"{CPU}/cpu1/node{n}") is not None)
    assert [*found, str(node)] == of_cpu_1
    assert text(guest, f"{NODE}/node{node}/cpulist").strip() == of_cpu_1[3]


def test_siblings_apart_go_and_come_back_with_smt_control():
    guest = machine(f'hyperv = false\n{SHORT}numbering = "cores"\n[kernel]\nversion = "6.12"\n')
    assert write(guest, f"{CPU}/smt/control", b"off") == 3
    assert text(guest, f"{CPU}/online") == "0-3\n"
    assert topology(guest, 1, "thread_siblings_list") == ["1"]
    assert write(guest, f"{CPU}/smt/control", b"on") == 2
    assert text(guest, f"{CPU}/online") == "0-7\n"
    assert topology(guest, 1, "thread_siblings_list") == ["1,5"]


# Which CPUs there are ------------------------------------------------------------------------


def test_gaps_in_present():
    guest = machine('[cpus]\npossible = 12\npresent = "0-3,8-11"\n')
    assert text(guest, f"{CPU}/present") == "0-3,8-11\n"
    assert text(guest, f"{CPU}/possible") == "0-11\n"
    assert text(guest, f"{CPU}/offline") == "4-7\n"
    assert node_at(guest, f"{CPU}/cpu4") is None
    assert node_at(guest, f"{CPU}/cpu8") is not None
    header = text(guest, "/proc/interrupts").splitlines()[0]
    assert header.split() == ["CPU0", "CPU1", "CPU2", "CPU3", "CPU8", "CPU9", "CPU10", "CPU11"]
    assert text(guest, "/proc/irq/default_smp_affinity") == "fff\n"


def test_gaps_in_possible_leave_the_masks_wide():
    guest = machine('[cpus]\npossible = "0-3,8-11"\n')
    assert text(guest, f"{CPU}/possible") == "0-3,8-11\n"
    assert text(guest, "/proc/irq/default_smp_affinity") == "f0f\n"
    assert write(guest, f"{CPU}/cpu9/online", b"0") == 1
    assert text(guest, f"{CPU}/online") == "0-3,8,10-11\n"


def test_more_possible_than_present_leaves_packages_and_nodes_whole():
    guest = machine("[cpus]\npossible = 128\npresent = 16\npackages = 2\nnodes = 2\n")
    assert topology(guest, 15, "physical_package_id", "package_cpus_list") == ["1", "8-15"]
    assert text(guest, f"{NODE}/node1/cpulist") == "8-15\n"
    assert text(guest, f"{NODE}/has_cpu") == "0-1\n"


def test_a_machine_without_cpu_0():
    guest = machine('hyperv = false\n[cpus]\npossible = 4\noffline = "0"\n')
    assert text(guest, f"{CPU}/online") == "1-3\n"
    assert "cpu0 " not in text(guest, "/proc/stat").replace("cpu ", "")
    assert text(guest, "/proc/interrupts").split()[0] == "CPU1"
    assert write(guest, f"{CPU}/cpu3/online", b"0") == 1
    assert text(guest, f"{CPU}/online") == "1-2\n"


def test_a_cpu_is_plugged_in_and_out():
    guest = machine('[cpus]\npossible = "0-7"\npresent = 4\npackages = 2\nnodes = 2\n')
    before = len(guest.kernel.uevents.events)
    assert write(guest, "/host/cpu", b"add 5-6") == 7
    assert text(guest, f"{CPU}/present") == "0-3,5-6\n"
    assert text(guest, f"{CPU}/online") == "0-3\n"
    assert text(guest, f"{CPU}/cpu6/online") == "0\n"
    events = list(guest.kernel.uevents.events)[before:]
    assert [(e.action, e.devpath) for e in events if e.action == "add"] == [
        ("add", "/devices/system/cpu/cpu5"), ("add", "/devices/system/cpu/cpu6"),
    ]  # fmt: skip
    assert write(guest, f"{CPU}/cpu6/online", b"1") == 1
    assert topology(guest, 6, "physical_package_id", "core_siblings_list") == ["1", "2-3,6"]
    assert node_at(guest, f"{NODE}/node1/cpu6") is not None
    assert text(guest, f"{NODE}/node1/cpulist") == "2-3,6\n"
    assert "CPU6" in text(guest, "/proc/interrupts").splitlines()[0]
    assert write(guest, "/host/cpu", b"remove 6") == 8
    assert node_at(guest, f"{CPU}/cpu6") is None
    assert node_at(guest, f"{NODE}/node1/cpu6") is None
    assert text(guest, f"{CPU}/present") == "0-3,5\n"
    assert text(guest, "/host/cpu") == "present 0-3,5 of 0-7\n"


@pytest.mark.parametrize(
    ("said", "errno"),
    [
        (b"add 8", "EINVAL"), (b"add", "EINVAL"), (b"plug 5", "EINVAL"), (b"add 5-", "EINVAL"),
        (b"add 3", "EBUSY"), (b"add 5,3", "EBUSY"), (b"remove 0", "EBUSY"), (b"remove 5", "EBUSY"),
    ],
)  # fmt: skip
def test_what_cannot_be_plugged_changes_nothing(said, errno):
    guest = machine("[cpus]\npossible = 8\npresent = 4\n")
    assert write(guest, "/host/cpu", said) == errno
    assert text(guest, f"{CPU}/present") == "0-3\n"


# CPUs one by one -----------------------------------------------------------------------------

HYBRID = """
hyperv = false
[cpus]
possible = 8
caches = [
  { level = 1, type = "Data", size_kib = 48, ways = 12, cpus = "0-3" },
  { level = 1, type = "Data", size_kib = 32, ways = 8, cpus = "4-7" },
  { level = 2, type = "Unified", size_kib = 1280, ways = 10, cpus = "0-3" },
  { level = 2, type = "Unified", size_kib = 2048, ways = 16, shared_by = ["4-7"], ids = [6] },
  { level = 3, type = "Unified", size_kib = 24576, ways = 12, shared_by = "all" },
]
[[cpus.groups]]
cpus = "0-3"
core = [0, 0, 4, 4]
apicid = [0, 1, 8, 9]
kind = "core"
khz = 3_000_000
min_khz = 800_000
max_khz = 4_900_000
base_khz = 3_600_000
[[cpus.groups]]
cpus = "4-7"
core = "24-27"
apicid = [48, 50, 52, 54]
kind = "atom"
capacity = 600
"""


def test_a_hybrid_processor():
    guest = machine(f'{HYBRID}[kernel]\nversion = "6.18"\nseries = "absent"\n')
    assert topology(guest, 3, "core_id", "core_cpus_list", "cluster_cpus_list", "cluster_id") == [
        "4", "2-3", "2-3", "8",
    ]  # fmt: skip
    assert topology(guest, 5, "core_id", "core_cpus_list", "cluster_cpus_list", "cluster_id") == [
        "25", "5", "4-7", "48",
    ]  # fmt: skip

    def caches(cpu):
        names = ("level", "size", "shared_cpu_list", "id")
        return [
            [text(guest, f"{CPU}/cpu{cpu}/cache/index{index}/{name}").strip() for name in names]
            for index in range(3)
        ]

    assert caches(3) == [
        ["1", "48K", "2-3", "1"], ["2", "1280K", "2-3", "1"], ["3", "24576K", "0-7", "0"],
    ]  # fmt: skip
    assert caches(5) == [
        ["1", "32K", "5", "1"], ["2", "2048K", "4-7", "6"], ["3", "24576K", "0-7", "0"],
    ]  # fmt: skip
    assert text(guest, f"{CPU}/cpu5/cpu_capacity") == "600\n"
    assert text(guest, "/sys/devices/cpu_core/cpus") == "0-3\n"
    assert text(guest, "/sys/bus/event_source/devices/cpu_atom/cpus") == "4-7\n"
    assert write(guest, f"{CPU}/cpu6/online", b"0") == 1
    assert text(guest, "/sys/devices/cpu_atom/cpus") == "4-5,7\n"
    assert write(guest, f"{CPU}/cpu6/online", b"1") == 1
    paragraphs = text(guest, "/proc/cpuinfo").split("\n\n")
    assert "cpu MHz\t\t: 3000.000" in paragraphs[3]
    assert "apicid\t\t: 9" in paragraphs[3]
    assert "cpu MHz\t\t: 2793.438" in paragraphs[5]


def test_frequencies_are_cut_to_what_the_hardware_can_do():
    guest = machine(HYBRID)
    policy = f"{CPU}/cpu2/cpufreq"
    shown = ("cpuinfo_min_freq", "cpuinfo_max_freq", "base_frequency", "scaling_cur_freq")
    assert [text(guest, f"{policy}/{name}") for name in shown] == [
        "800000\n", "4900000\n", "3600000\n", "3000000\n",
    ]  # fmt: skip
    for written, read_back in ((b"2000000", "2000000\n"), (b"9000000", "4900000\n")):
        assert write(guest, f"{policy}/scaling_max_freq", written) == 7
        assert text(guest, f"{policy}/scaling_max_freq") == read_back
    assert write(guest, f"{policy}/scaling_max_freq", b"fast") == "EINVAL"
    assert write(guest, f"{policy}/scaling_governor", b"ondemand") == "EINVAL"
    assert node_at(guest, f"{CPU}/cpu5/cpufreq") is None
    assert write(guest, f"{CPU}/cpu2/online", b"0") == 1
    assert read(guest, f"{CPU}/cpufreq/policy2/cpuinfo_max_freq") == "EBUSY"


def test_arm_clusters_with_numbers_of_the_firmware():
    guest = machine("""
        architecture = "arm64"
        hyperv = false
        [cpus]
        possible = 16
        bogomips = 200
        [[cpus.groups]]
        cpus = "0-7"
        package = 36
        cluster = [138, 138, 138, 138, 654, 654, 654, 654]
        [[cpus.groups]]
        cpus = "8-15"
        package = 8442
        cluster = [138, 138, 138, 138, 654, 654, 654, 654]
        core = "100-107"
        capacity = 512
        midr = 0x410fd034
        """)
    names = ("physical_package_id", "cluster_id", "core_id", "cluster_cpus_list", "package_cpus")
    assert topology(guest, 5, *names) == ["36", "654", "5", "4-7", "00ff"]
    assert topology(guest, 13, *names) == ["8442", "654", "105", "12-15", "ff00"]
    assert text(guest, f"{CPU}/cpu13/cpu_capacity") == "512\n"
    assert read(guest, f"{CPU}/cpu13/regs/identification/midr_el1") == b"0x00000000410fd034\n"
    last = text(guest, "/proc/cpuinfo").rstrip().split("\n\n")[-1]
    assert "BogoMIPS\t: 200.00" in last
    assert "CPU part\t: 0xd03" in last
    assert text(guest, f"{CPU}/modalias") == "cpu:type:aarch64:feature:\n"


# Nodes ---------------------------------------------------------------------------------------

NODES = """
hyperv = false
[cpus]
possible = 8
possible_nodes = "0,8,255"
[[nodes]]
number = 0
cpus = "0-1,4-5"
kib = 129839104
distances = [10, 40, 80]
hugepages = { 2048 = 7, 1048576 = 1 }
[[nodes]]
number = 8
cpus = "2-3,6-7"
kib = 0
distances = [40, 10, 80]
[[nodes]]
number = 255
mib = 15360
movable = true
distances = [80, 80, 10]
"""


def test_nodes_with_gaps_without_memory_and_without_cpus():
    guest = machine(NODES)
    shown = ("online", "possible", "has_cpu", "has_memory", "has_normal_memory")
    assert [text(guest, f"{NODE}/{name}").strip() for name in shown] == [
        "0,8,255", "0,8,255", "0,8", "0,255", "0",
    ]  # fmt: skip
    assert text(guest, f"{NODE}/node8/distance") == "40 10 80\n"
    assert text(guest, f"{NODE}/node8/cpulist") == "2-3,6-7\n"
    assert text(guest, f"{NODE}/node255/cpulist") == "\n"
    totals = {n: text(guest, f"{NODE}/node{n}/meminfo").splitlines()[0] for n in (0, 8, 255)}
    assert [line.split()[-2] for line in totals.values()] == ["129839104", "0", "15728640"]
    meminfo = text(guest, "/proc/meminfo")
    assert f"MemTotal:       {129839104 + 15728640} kB" in meminfo
    assert "HugePages_Total:       7" in meminfo
    assert f"{7 * 2048 + (1 << 20)} kB" in meminfo
    pool = f"{NODE}/node0/hugepages/hugepages-1048576kB/nr_hugepages"
    assert text(guest, pool) == "1\n"
    assert node_at(guest, f"{CPU}/cpu6/node8") is not None
    assert write(guest, f"{CPU}/cpu6/online", b"0") == 1
    assert text(guest, f"{NODE}/node8/cpulist") == "2-3,7\n"


def test_numbers_of_nodes_in_the_short_form():
    guest = machine('[cpus]\npossible = 8\nnodes = "0,8"\n')
    assert text(guest, f"{NODE}/online") == "0,8\n"
    assert text(guest, f"{NODE}/possible") == "0-8\n"
    assert text(guest, f"{NODE}/node8/cpulist") == "4-7\n"
    assert text(guest, f"{NODE}/node8/distance") == "20 10\n"


def test_a_kernel_without_numa_has_no_nodes():
    guest = machine("[cpus]\npossible = 2\nnodes = 0\n")
    assert node_at(guest, NODE) is None
    assert node_at(guest, "/sys/bus/node") is None
    assert "MemTotal:       16777216 kB" in text(guest, "/proc/meminfo")


# Interrupts ----------------------------------------------------------------------------------

IRQS = """
hyperv = false
pic = true
nr_irqs = 1560
io_apic_inputs = 72
arch_rows = [
  { label = "NMI", text = "Non-maskable interrupts" },
  { label = "PND", text = "Performance pending work" },
  { label = "ERR" },
]
[cpus]
possible = 4
[kernel]
version = "6.1"
series = "absent"
[[irqs]]
irq = 9
hwirq = 9
flow = "fasteoi"
actions = ["acpi", "acpi"]
[[irqs]]
irq = 64
chip = "xen-percpu"
flow = "virq"
per_cpu = true
actions = ["timer0"]
counts = [2844203322]
[[irqs]]
irq = 73
chip = "Hyper-V PCIe MSI"
hwirq = 1703491403776
flow = "edge"
actions = ["virtio0-config"]
affinity = "0"
effective = "1,3"
hint = "2"
counts = { 3 = 5 }
[[irqs]]
irq = 74
hwirq = 3
actions = ["hidden"]
directory = false
[arch]
PND = [1, 2, 3, 4]
ERR = [7]
"""


def test_rows_of_any_chip():
    rows = text(machine(IRQS), "/proc/interrupts").splitlines()
    assert rows[1:] == [
        "   9:          0          0          0          0   IO-APIC    9-fasteoi   acpi, acpi",
        "  64: 2844203322          0          0          0  xen-percpu     -virq      timer0",
        "  73:          0          0          0          5  Hyper-V PCIe MSI 1703491403776-edge"
        "      virtio0-config",
        "  74:          0          0          0          0   IO-APIC    3  hidden",
        " NMI:          0          0          0          0   Non-maskable interrupts",
        " PND:          1          2          3          4   Performance pending work",
        " ERR:          7",
    ]


def test_directories_of_interrupts():
    guest = machine(IRQS)
    directory = node_at(guest, "/proc/irq")
    assert isinstance(directory, Directory)
    numbers = sorted(int(name) for name, _ in directory.children() if name.isdigit())
    assert numbers == [*range(16), 64, 73]
    shown = ("smp_affinity", "effective_affinity_list", "affinity_hint")
    assert [text(guest, f"/proc/irq/73/{name}").strip() for name in shown] == ["1", "1,3", "4"]
    assert [text(guest, f"/proc/irq/64/{name}").strip() for name in shown] == ["f", "", "0"]
    assert write(guest, "/proc/irq/64/smp_affinity", b"1") == "EIO"
    assert read(guest, "/sys/kernel/irq/64/hwirq") == b""
    # The second PIC's line, as recorded on a PC without Hyper-V.
    assert text(guest, "/sys/kernel/irq/2/chip_name") == "XT-PIC\n"
    assert text(guest, "/proc/irq/2/effective_affinity_list") == "\n"


def test_an_interrupt_that_each_cpu_has_counts_on_each():
    guest = machine(f"{IRQS}".replace('actions = ["timer0"]', 'actions = ["timer0"]\nrate = 10'))
    guest.advance(10**9)
    assert text(guest, "/sys/kernel/irq/64/per_cpu_count") == "2844203332,10,10,10\n"


def test_a_machine_that_is_no_guest_of_hyperv():
    guest = machine("hyperv = false\ntimer_rate = 100\n[cpus]\npossible = 2\n")
    guest.advance(10**9)
    table = text(guest, "/proc/interrupts").splitlines()[1:]
    rows = {line.split(":")[0].strip(): line for line in table}
    assert not {"HYP", "HRE", "HVS"} & rows.keys()
    assert rows["LOC"].split()[1:3] == ["100", "100"]
    assert node_at(guest, "/sys/bus/vmbus") is None
    assert node_at(guest, "/sys/module/hv_vmbus") is None
    assert write(guest, "/host/offer", b"scsi") == "EINVAL"
    assert write(guest, f"{CPU}/cpu1/online", b"0") == 1


def test_a_channel_starts_on_the_cpu_that_the_profile_says():
    guest = machine("""
        [cpus]
        possible = 4
        [[vmbus.devices]]
        class = "netvsc"
        instance = "0022486b-1fa4-0022-486b-1fa40022486b"
        relid = 2
        target_cpu = 3
        rate = 10
        subchannels = [{ relid = 3, target_cpu = 2 }]
        """)
    targets = [guest.kernel.vmbus.channels[relid].target_cpu for relid in (2, 3)]
    assert targets == [3, 2]
    irq = guest.kernel.vmbus.channels[2].desc.irq
    assert text(guest, f"/proc/irq/{irq}/effective_affinity_list") == "3\n"
    guest.advance(10**9)
    assert text(guest, f"/sys/kernel/irq/{irq}/per_cpu_count") == "0,0,0,10\n"


# Contradictions ------------------------------------------------------------------------------

CONTRADICTIONS = [
    ("[cpus]\npossible = 8\npresent = '0-8'", 4, "cpus.present", "CPU 8"),
    ("[cpus]\npossible = '1-3'", 2, "cpus.present", "CPU 0"),
    ("[cpus]\npossible = '3-1'", 3, "cpus.possible", "a set such as"),
    ("[cpus]\npossible = 4\noffline = '0-3'", 4, "cpus.offline", "no CPU online"),
    ("[cpus]\npossible = 4\n[[cpus.groups]]\ncpus = '0-2'", 4, "cpus.groups", "CPU 3"),
    (
        "[cpus]\npossible = 4\n[[cpus.groups]]\ncpus = '0-3'\n[[cpus.groups]]\ncpus = [3]",
        7, "cpus.groups[1].cpus", "CPU 3",
    ),
    (
        "[cpus]\npossible = 4\npackages = 2\n[[cpus.groups]]\ncpus = '0-3'",
        4, "cpus.packages", "groups",
    ),
    (
        "[cpus]\npossible = 4\n[[cpus.groups]]\ncpus = '0-3'\ncore = '0-2'",
        6, "cpus.groups[0].core", "3 numbers",
    ),
    (
        "[cpus]\npossible = 4\n[[cpus.groups]]\ncpus = '0-3'\napicid = '0-1'",
        6, "cpus.groups[0].apicid", "CPUs 0 and 2",
    ),
    ("[cpus]\npossible = 4\nnodes = 2\n[[nodes]]\nnumber = 0", 4, "cpus.nodes", "[[nodes]]"),
    ("[cpus]\npossible = 4\n[[nodes]]\nnumber = 1\ncpus = '4'", 6, "nodes[0].cpus", "CPU 4"),
    (
        "[cpus]\npossible = 4\n[[nodes]]\nnumber = 1\n[[nodes]]\nnumber = 0",
        7, "nodes[1].number", "order",
    ),
    (
        "[cpus]\npossible = 4\n[[nodes]]\nnumber = 1\ndistances = [10, 20]",
        6, "nodes[0].distances", "2 distances",
    ),
    ("[cpus]\npossible = 4\n[[nodes]]\nnumber = 1\nkib = 0", 4, "nodes[0]", "memory"),
    ("[cpus]\npossible = 4\n[[nodes]]\nnumber = 1\nkib = 1\nmib = 1", 6, "nodes[0].kib", "mib"),
    ("hyperv = false\n[cpus]\npossible = 4\n[[irqs]]\nirq = 1\nhint = '7'", 7, "irqs[0].hint", "7"),
    (
        "[cpus]\npossible = 4\n[[irqs]]\nirq = 1\nper_cpu = true\nmanaged = true",
        7, "irqs[0].managed", "per_cpu",
    ),
    ("arch_rows = [{ label = 'A:B' }]\n[cpus]\npossible = 4", 2, "arch_rows[0].label", "pattern"),
    ("[cpus]\npossible = 4\n[arch]\nPND = [1]", 5, "arch.PND", "no row"),
]  # fmt: skip


@pytest.mark.parametrize(("toml", "line", "key", "says"), CONTRADICTIONS)
def test_a_contradiction_is_named_with_line_and_key(toml, line, key, says):
    sentence = refusal(toml)
    assert sentence.startswith(f"any.toml, line {line}: {key}"), sentence
    assert says in sentence


@pytest.mark.parametrize("toml", [HYBRID, NODES, IRQS, f'{SHORT}numbering = "cores"'])
def test_a_profile_that_was_written_out_is_the_same(toml):
    profile = profiles.parse(f'description = "a test"\n{toml}', "any.toml", "any")
    assert profiles.parse(profiles.dump(profile), "any.toml", "any") == profile
