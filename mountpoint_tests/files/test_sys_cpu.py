"""/sys/devices/system/cpu, its bus, and what may be written to uevent files."""

import errno
import json
import re
from pathlib import Path

import pytest
from model.guests import stored, sys_node

from fakeproc import profiles
from fakeproc.files.sys.uevent import synthetic_uevent
from fakeproc.files.tree import Attribute, Directory, Symlink
from fakeproc.machine import Machine

CAPTURE = Path(__file__).parent.parent / "golden" / "stock_tree_cpu.jsonl"
CPU = "/devices/system/cpu"
BITMAP_FILES = ("thread_siblings", "core_cpus", "core_siblings", "cluster_cpus", "die_cpus")

# The machine that was captured: 2 packages of 2 cores with 2 threads, a node each.
CAPTURED = """
description = "the machine of the capture"
[cpus]
possible = 8
packages = 2
threads_per_core = 2
nodes = 2
caches = [
  { level = 1, type = "Data", size_kib = 32, ways = 8 },
  { level = 1, type = "Instruction", size_kib = 32, ways = 8 },
  { level = 2, type = "Unified", size_kib = 4096, ways = 16 },
  { level = 3, type = "Unified", size_kib = 16384, ways = 16, shared_by = "package" },
]
"""

# What the captured kernels have and this guest has not, and why.
ABSENT = {
    r"/power/(async|runtime_active_kids|runtime_enabled|runtime_usage)$": "PM_ADVANCED_DEBUG",
    r"/cpu/enabled$": "since 6.11",
    r"/firmware_node$": "the ACPI processor objects are not in the tree",
    r"/node0/memory\d+$": "the blocks of memory are not in the tree",
}
# What this guest has and the capture has not, and why.
EXTRA = {
    r"/hugepages-2048kB/": "deeper than the capture goes",
}


def machine_of(text):
    return Machine(profiles.parse(text, "test.toml", "test"), "manual")


def tree_of(text):
    return machine_of(text)


def cpus(**keys):
    lines = (f"{key} = {value}" for key, value in keys.items())
    return "\n".join(('description = "a test"', "[cpus]", *lines))


def text_of(root, path):
    node = sys_node(root, path)
    assert isinstance(node, Attribute), path
    return node.show().decode()


def write(root, path, data):
    """What the store returns, or the name of its errno."""
    try:
        stored(root, sys_node(root, path), data)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "OK"


def names(root, path):
    return {name for name, _ in sys_node(root, path).children()}


def shape(node):
    """Type, mode and st_size (or target, or nlink), as lstat(2) would show them."""
    if isinstance(node, Directory):
        return "d", node.mode, node.nlink
    if isinstance(node, Symlink):
        return "l", node.mode, node.target
    assert isinstance(node, Attribute)
    return "f", node.mode, 4096 if node.size is None else node.size


@pytest.fixture(scope="module")
def rows():
    with CAPTURE.open() as lines:
        return {row["path"].removeprefix("/sys"): row for row in map(json.loads, lines)}


@pytest.fixture(scope="module")
def captured():
    return tree_of(CAPTURED)


@pytest.fixture(scope="module")
def sample():
    return Machine(profiles.load("hyperv-gen2"), "manual")


def test_all_that_a_stock_kernel_has_is_there(captured, rows):
    wrong = {}
    for path, row in rows.items():
        node = sys_node(captured, path)
        if any(re.search(pattern, path) for pattern in ABSENT):
            assert node is None, path
            continue
        last = {"d": "nlink", "l": "link", "f": "size"}[row["type"]]
        expected = row["type"], int(row["mode"], 8), row[last]
        if node is None or shape(node) != expected:
            wrong[path] = node and shape(node), expected
    assert not wrong


def test_nothing_is_there_that_a_stock_kernel_has_not(captured, rows):
    def compare(path):
        node = sys_node(captured, path)
        if not isinstance(node, Directory):
            return
        for name, kind in node.children():
            child = f"{path}/{name}"
            assert isinstance(node.lookup(name), kind), child
            if re.fullmatch(r".*/(cpu[2-7]|node1)", child) and kind is Directory:
                continue  # the capture was cut to one of each
            if not any(re.search(pattern, child) for pattern in EXTRA):
                assert child in rows, child
            compare(child)

    for top in (CPU, "/devices/system/node", "/bus/cpu", "/bus/node"):
        compare(top)


def test_the_same_machine_reads_the_same(captured, rows):
    texts = {path: row["text"] for path, row in rows.items() if "text" in row}
    absent = [path for path in texts if any(re.search(pattern, path) for pattern in ABSENT)]
    ours = {path: text_of(captured, path) for path in texts if path not in absent}
    assert ours == {path: text for path, text in texts.items() if path not in absent}
    assert len(ours) > 150


@pytest.mark.parametrize(
    ("path", "mode", "size", "text"),
    [
        ("online", 0o444, 4096, "0-7\n"),
        ("possible", 0o444, 4096, "0-7\n"),
        ("present", 0o444, 4096, "0-7\n"),
        ("offline", 0o444, 4096, "\n"),
        ("isolated", 0o444, 4096, "\n"),
        ("nohz_full", 0o444, 4096, "  (null)\n"),
        ("kernel_max", 0o444, 4096, "8191\n"),
        ("crash_hotplug", 0o444, 4096, "0\n"),
        ("modalias", 0o444, 4096, "cpu:type:x86,ven0000fam0006mod006A:feature:\n"),
        ("uevent", 0o644, 4096, ""),
        ("smt/active", 0o444, 4096, "1\n"),
        ("smt/control", 0o644, 4096, "on\n"),
        ("vulnerabilities/meltdown", 0o444, 4096, "Not affected\n"),
        ("vulnerabilities/spec_store_bypass", 0o444, 4096, "Vulnerable\n"),
        ("cpu1/online", 0o644, 4096, "1\n"),
        ("cpu1/hotplug/state", 0o444, 4096, "236\n"),
        ("cpu1/hotplug/target", 0o644, 4096, "236\n"),
        ("cpu1/hotplug/fail", 0o644, 4096, "-1\n"),
        ("cpu1/crash_notes_size", 0o400, 4096, "368\n"),
        (
            "cpu1/uevent",
            0o644,
            4096,
            "DRIVER=processor\nMODALIAS=cpu:type:x86,ven0000fam0006mod006A:feature:\n\n",
        ),
        ("cpu5/topology/physical_package_id", 0o444, 4096, "0\n"),
        ("cpu5/topology/die_id", 0o444, 4096, "0\n"),
        ("cpu5/topology/core_id", 0o444, 4096, "2\n"),
        ("cpu5/topology/cluster_id", 0o444, 4096, "4\n"),
        ("cpu5/topology/thread_siblings", 0o444, 4096, "30\n"),
        ("cpu5/topology/thread_siblings_list", 0o444, 28672, "4-5\n"),
        ("cpu5/topology/core_siblings", 0o444, 4096, "ff\n"),
        ("cpu5/topology/package_cpus_list", 0o444, 28672, "0-7\n"),
        ("cpu5/cache/index0/id", 0o444, 4096, "2\n"),
        ("cpu5/cache/index0/size", 0o444, 4096, "48K\n"),
        ("cpu5/cache/index0/type", 0o444, 4096, "Data\n"),
        ("cpu5/cache/index0/number_of_sets", 0o444, 4096, "64\n"),
        ("cpu5/cache/index1/type", 0o444, 4096, "Instruction\n"),
        ("cpu5/cache/index2/shared_cpu_map", 0o444, 4096, "30\n"),
        ("cpu5/cache/index3/shared_cpu_list", 0o444, 4096, "0-7\n"),
        ("cpu5/cache/index3/number_of_sets", 0o444, 4096, "65536\n"),
        ("cpu5/cache/index3/uevent", 0o644, 4096, ""),
    ],
)
def test_files_of_the_sample_guest(sample, path, mode, size, text):
    assert shape(sys_node(sample, f"{CPU}/{path}")) == ("f", mode, size)
    assert text_of(sample, f"{CPU}/{path}") == text


def test_hotplug_states_are_in_order_and_know_hyperv(sample):
    lines = text_of(sample, f"{CPU}/hotplug/states").splitlines()
    assert all(re.fullmatch(r"[ \d]{3}: \S+", line) for line in lines)
    numbers = [int(line.partition(":")[0]) for line in lines]
    assert numbers == sorted(set(numbers))
    assert lines[0] == "  0: offline"
    assert lines[-1] == "236: online"
    assert "202: hyperv/vmbus:online" in lines


def test_links_lead_to_what_is_there(sample):
    def follow(directory, target):
        parts = [part for part in directory.split("/") if part]
        for part in target.split("/"):
            parts = parts[:-1] if part == ".." else [*parts, part]
        return sys_node(sample, "/" + "/".join(parts))

    for directory in (
        f"{CPU}/cpu0",
        "/bus/cpu/devices",
        "/bus/cpu/drivers/processor",
        "/bus/node/devices",
        "/devices/system/node/node0",
        "/devices/virtual/dmi/id",
    ):
        for name, kind in sys_node(sample, directory).children():
            if kind is Symlink:
                target = sys_node(sample, f"{directory}/{name}").target
                assert isinstance(follow(directory, target), Directory), f"{directory}/{name}"


# CPUs that are not there, not online, not shared


def test_a_cpu_that_is_not_present_has_no_directory():
    root = tree_of(cpus(possible=8, present=4))
    assert text_of(root, f"{CPU}/possible") == "0-7\n"
    assert text_of(root, f"{CPU}/present") == "0-3\n"
    assert text_of(root, f"{CPU}/offline") == "4-7\n"
    assert isinstance(sys_node(root, f"{CPU}/cpu3"), Directory)
    assert sys_node(root, f"{CPU}/cpu4") is None
    assert "cpu4" not in names(root, CPU)
    assert "cpu4" not in names(root, "/bus/cpu/devices")
    assert text_of(root, f"{CPU}/cpu0/topology/core_siblings") == "0f\n"


def test_an_offline_cpu_loses_what_it_shares_and_keeps_the_rest():
    text = CAPTURED.replace("possible = 8", "possible = 8\noffline = [7]")
    root = tree_of(text)
    online = names(tree_of(CAPTURED), f"{CPU}/cpu7")
    assert online - names(root, f"{CPU}/cpu7") == {"topology", "cache"}
    assert sys_node(root, f"{CPU}/cpu7/topology") is None
    assert sys_node(root, f"{CPU}/cpu7").nlink == 4
    assert text_of(root, f"{CPU}/cpu7/online") == "0\n"
    assert text_of(root, f"{CPU}/cpu7/hotplug/state") == "0\n"
    assert text_of(root, f"{CPU}/cpu7/hotplug/target") == "0\n"
    assert text_of(root, f"{CPU}/online") == "0-6\n"
    assert text_of(root, f"{CPU}/offline") == "7\n"
    for name in BITMAP_FILES[:2]:
        assert text_of(root, f"{CPU}/cpu6/topology/{name}") == "40\n"
        assert text_of(root, f"{CPU}/cpu6/topology/{name}_list") == "6\n"
    assert text_of(root, f"{CPU}/cpu6/topology/cluster_cpus") == "40\n"
    assert text_of(root, f"{CPU}/cpu5/topology/die_cpus_list") == "4-6\n"
    assert text_of(root, f"{CPU}/cpu6/cache/index0/shared_cpu_map") == "40\n"
    assert text_of(root, f"{CPU}/cpu5/cache/index3/shared_cpu_list") == "4-6\n"


def test_masks_are_as_wide_as_the_possible_cpus():
    root = tree_of(cpus(possible=40, packages=2))
    assert text_of(root, f"{CPU}/cpu0/topology/core_siblings") == "00,000fffff\n"
    assert text_of(root, f"{CPU}/cpu39/topology/core_siblings") == "ff,fff00000\n"
    assert text_of(root, f"{CPU}/cpu39/topology/core_siblings_list") == "20-39\n"
    assert text_of(root, f"{CPU}/nohz_full") == f"{' ' * 34}(null)\n"


def test_one_cpu():
    root = tree_of(cpus(possible=1))
    assert text_of(root, f"{CPU}/online") == "0\n"
    assert text_of(root, f"{CPU}/nohz_full") == "(null)\n"
    assert text_of(root, f"{CPU}/smt/control") == "notsupported\n"
    assert text_of(root, f"{CPU}/smt/active") == "0\n"
    assert text_of(root, f"{CPU}/cpu0/topology/cluster_cpus") == "1\n"


def test_without_a_second_level_cache_the_cluster_is_the_core():
    root = tree_of(cpus(possible=4, threads_per_core=2))
    assert text_of(root, f"{CPU}/cpu3/topology/cluster_id") == "65535\n"
    assert text_of(root, f"{CPU}/cpu3/topology/cluster_cpus_list") == "2-3\n"
    assert sys_node(root, f"{CPU}/cpu3/cache") is None


def test_isolated_cpus():
    root = tree_of(cpus(possible=8) + "\n[cpus.isolated]\ndomain = [2, 3, 6]\nmanaged_irq = [7]")
    assert text_of(root, f"{CPU}/isolated") == "2-3,6\n"


def test_cpu_0_cannot_go_offline(sample):
    assert sys_node(sample, f"{CPU}/cpu0/online") is None
    assert "online" not in names(sample, f"{CPU}/cpu0")
    assert isinstance(sys_node(sample, f"{CPU}/cpu0/hotplug/target"), Attribute)


@pytest.mark.parametrize(
    "name", ["cpu8", "cpu01", "cpu", "cpu-1", "cpu+1", "cpu1 ", "cpu\u0661", "0", f"cpu{9:0255}"]
)
def test_names_that_are_no_cpu(sample, name):
    for directory in (CPU, "/bus/cpu/devices", "/devices/system/node/node0"):
        assert sys_node(sample, f"{directory}/{name}") is None


@pytest.mark.timeout(20)
def test_2048_cpus():
    machine = machine_of(cpus(possible=2048, packages=4, threads_per_core=2, nodes=4))
    root = machine
    assert sum(name.startswith("cpu") for name in names(root, CPU)) == 2048 + 2
    assert sys_node(root, CPU).nlink == 2048 + 8
    assert text_of(root, f"{CPU}/cpu2047/topology/core_siblings_list") == "1536-2047\n"
    assert len(text_of(root, f"{CPU}/nohz_full")) == 2049
    assert text_of(root, f"{CPU}/smt/active") == "1\n"
    for cpu in range(2048):
        assert text_of(root, f"{CPU}/cpu{cpu}/topology/core_id") == f"{cpu % 512 // 2}\n"


# Writing

QUIET = """
description = "nothing interrupts"
[cpus]
possible = 4
threads_per_core = 2
"""


def test_offline_and_back():
    root = tree_of(QUIET)
    assert write(root, f"{CPU}/cpu3/online", b"0\n") == "OK"
    assert text_of(root, f"{CPU}/cpu3/online") == "0\n"
    assert text_of(root, f"{CPU}/cpu3/hotplug/state") == "0\n"
    assert text_of(root, f"{CPU}/online") == "0-2\n"
    assert sys_node(root, f"{CPU}/cpu3/topology") is None
    assert text_of(root, f"{CPU}/cpu2/topology/core_cpus_list") == "2\n"
    assert write(root, f"{CPU}/cpu3/online", b"offline") == "OK"
    assert write(root, f"{CPU}/cpu3/online", b"1\n") == "OK"
    assert text_of(root, f"{CPU}/online") == "0-3\n"


def test_a_cpu_that_a_channel_interrupts_stays():
    root = Machine(profiles.load("hyperv-gen2"), "manual")
    assert write(root, f"{CPU}/cpu1/online", b"0") == "EBUSY"
    assert text_of(root, f"{CPU}/cpu1/online") == "1\n"
    assert write(root, f"{CPU}/cpu1/online", b"1") == "OK"


@pytest.mark.parametrize("data", [b"2", b"o", b" 1", b"\n1", b"-1", b"enable", b"\0"])
def test_neither_online_nor_offline(sample, data):
    assert write(sample, f"{CPU}/cpu1/online", data) == "EINVAL"


@pytest.mark.parametrize(
    ("data", "result", "target"),
    [
        (b"236", "OK", "236\n"),
        (b"0", "OK", "0\n"),
        (b"0\n", "OK", "0\n"),
        (b"+0", "OK", "0\n"),
        (b"00", "OK", "0\n"),
        (b"1", "EINVAL", "236\n"),
        (b"-1", "EINVAL", "236\n"),
        (b"\n", "EINVAL", "236\n"),
        (b"x", "EINVAL", "236\n"),
        (b"100", "EINVAL", "236\n"),
        (b"99999", "EINVAL", "236\n"),
        (b"0x0", "EINVAL", "236\n"),
        (b" 0", "EINVAL", "236\n"),
        (b"232", "EINVAL", "236\n"),
        (b"4294967296", "ERANGE", "236\n"),
    ],
)
def test_target(data, result, target):
    root = tree_of(QUIET)
    assert write(root, f"{CPU}/cpu3/hotplug/target", data) == result
    assert text_of(root, f"{CPU}/cpu3/hotplug/target") == target
    assert text_of(root, f"{CPU}/cpu3/hotplug/state") == target
    # Whatever was done here, this file was not asked.
    assert text_of(root, f"{CPU}/cpu3/online") == "1\n"


@pytest.mark.parametrize(
    ("data", "result"),
    [(b"-1", "OK"), (b"0", "EINVAL"), (b"x", "EINVAL"), (b"50", "EINVAL"), (b"999", "EINVAL")],
)
def test_fail(sample, data, result):
    assert write(sample, f"{CPU}/cpu7/hotplug/fail", data) == result
    assert text_of(sample, f"{CPU}/cpu7/hotplug/fail") == "-1\n"


@pytest.mark.parametrize(
    ("data", "result"),
    [
        (b"on", "OK"),
        (b"on\n", "OK"),
        (b"2", "OK"),
        (b"bogus", "EINVAL"),
        (b"ON", "EINVAL"),
        (b"0", "EINVAL"),
        (b"3", "EINVAL"),
        (b"4294967296", "EINVAL"),
    ],
)
def test_smt_control(sample, data, result):
    assert write(sample, f"{CPU}/smt/control", data) == result
    assert text_of(sample, f"{CPU}/smt/control") == "on\n"


def test_smt_control_without_second_threads():
    root = tree_of(cpus(possible=2))
    assert write(root, f"{CPU}/smt/control", b"on") == "ENODEV"
    assert write(root, f"{CPU}/smt/control", b"bogus") == "ENODEV"


@pytest.mark.parametrize(
    ("path", "data", "result"),
    [
        ("/bus/cpu/drivers_autoprobe", b"1\n", "OK"),
        ("/bus/cpu/drivers_probe", b"cpu1\n", "OK"),
        ("/bus/cpu/drivers_probe", b"cpu8\n", "ENODEV"),
        ("/bus/node/drivers_probe", b"node0", "OK"),
        ("/bus/node/drivers_probe", b"cpu0", "ENODEV"),
        ("/bus/cpu/drivers/processor/bind", b"cpu1", "EBUSY"),
        ("/bus/cpu/drivers/processor/bind", b"\xff", "ENODEV"),
        ("/bus/cpu/drivers/processor/unbind", b"cpu8", "ENODEV"),
        (f"{CPU}/cpuidle/current_governor", b"menu\n", "OK"),
        (f"{CPU}/cpuidle/current_governor", b"teo", "EINVAL"),
        (f"{CPU}/cpu1/power/pm_qos_resume_latency_us", b"0", "OK"),
        (f"{CPU}/cpu1/power/pm_qos_resume_latency_us", b"x", "EINVAL"),
    ],
)
def test_other_writes(sample, path, data, result):
    assert write(sample, path, data) == result


def test_every_uevent_file_takes_actions_only(sample):
    seen = 0

    def look(path):
        nonlocal seen
        for name, kind in sys_node(sample, path).children():
            child = f"{path}/{name}"
            if kind is Directory:
                look(child)
            elif name == "uevent":
                seen += 1
                assert sys_node(sample, child).mode == (0o200 if path.startswith("/bus") else 0o644)
                assert write(sample, child, b"change\n") == "OK"
                assert write(sample, child, b"bogus") == "EINVAL"

    for top in ("/devices/system", "/devices/virtual", "/bus/cpu", "/bus/node"):
        look(top)
    cpus, nodes, machinechecks, dmi, buses = 1 + 8 * 6, 1 + 1, 1 + 8, 1, 2 + 1
    loopback = 1
    assert seen == cpus + nodes + machinechecks + dmi + buses + loopback


def test_a_cpu_is_unbound_from_its_driver_and_bound_again():
    """A CPU of the bus is a device like any other: `unbind_store`, `bind_store`."""
    root = tree_of(CAPTURED)
    driver = "/bus/cpu/drivers/processor"
    assert write(root, f"{driver}/unbind", b"cpu1") == "OK"
    assert sys_node(root, f"{driver}/cpu1") is None
    assert sys_node(root, f"{CPU}/cpu1/driver") is None
    assert text_of(root, f"{CPU}/cpu1/uevent").startswith("MODALIAS=")
    assert write(root, f"{driver}/unbind", b"cpu1") == "ENODEV"
    assert write(root, f"{driver}/bind", b"cpu1") == "OK"
    assert sys_node(root, f"{driver}/cpu1").target == "../../../../devices/system/cpu/cpu1"
    assert text_of(root, f"{CPU}/cpu1/uevent").startswith("DRIVER=processor\nMODALIAS=")


def test_machine_checks_are_set_for_all_cpus_at_once():
    """`store_int_with_restart` and its siblings write to `mca_cfg`, which is one."""
    root = tree_of(CAPTURED)
    top = "/devices/system/machinecheck"
    assert text_of(root, f"{top}/machinecheck0/check_interval") == "300\n"
    assert write(root, f"{top}/machinecheck0/check_interval", b"60\n") == "OK"
    assert text_of(root, f"{top}/machinecheck7/check_interval") == "60\n"
    assert write(root, f"{top}/machinecheck7/check_interval", b"4294967296") == "EINVAL"
    assert write(root, f"{top}/machinecheck7/ignore_ce", b"y") == "OK"
    assert text_of(root, f"{top}/machinecheck1/ignore_ce") == "1\n"
    assert write(root, f"{top}/machinecheck1/ignore_ce", b"maybe") == "EINVAL"
    assert sys_node(root, f"{top}/machinecheck1/subsystem").target == "../../../../bus/machinecheck"


def test_a_cpu_that_goes_takes_its_caches_and_its_machine_checks_along():
    machine = machine_of(CAPTURED)
    root = machine
    machine.timeline.finish(machine.kernel.hotplug.set_online(7, False))
    assert sys_node(root, f"{CPU}/cpu7/cache") is None
    assert sys_node(root, "/devices/system/machinecheck/machinecheck7") is None
    assert sys_node(root, "/bus/machinecheck/devices/machinecheck7") is None
    machine.timeline.finish(machine.kernel.hotplug.set_online(7, True))
    assert text_of(root, f"{CPU}/cpu7/cache/index3/size") == "16384K\n"
    assert sys_node(root, "/bus/machinecheck/devices/machinecheck7") is not None


# Synthetic uevents

UUID = b"12345678-1234-1234-1234-123456789abc"


@pytest.mark.parametrize(
    ("data", "action"),
    [
        (b"add", "add"),
        (b"add\n", "add"),
        (b"add\0", "add"),
        (b"remove", "remove"),
        (b"change", "change"),
        (b"move", "move"),
        (b"online", "online"),
        (b"offline", "offline"),
        (b"bind", "bind"),
        (b"unbind", "unbind"),
        (b"add " + UUID, "add"),
        (b"add " + UUID.upper() + b"\n", "add"),
        (b"change " + UUID + b" A=1 B2=x\n", "change"),
        (b"change " + UUID + b" 1=\xe9", "change"),
        (b"change " + UUID + b" A=1" * 63, "change"),
    ],
)
def test_actions(data, action):
    assert synthetic_uevent(data).action == action


def test_arguments_reach_user_space():
    """`kobject_action_args`: the UUID and each KEY=value, under names of their own."""
    assert synthetic_uevent(b"add").variables == {"SYNTH_UUID": "0"}
    sent = synthetic_uevent(b"change " + UUID + b" A=1 B2=x\n").variables
    assert sent == {"SYNTH_UUID": UUID.decode(), "SYNTH_ARG_A": "1", "SYNTH_ARG_B2": "x"}


@pytest.mark.parametrize(
    "data",
    [
        b"bogus",
        b"\n",
        b"ad",
        b"addx",
        b"ADD",
        b" add",
        b"add\n\n",
        b"add ",
        b"add zz",
        b"add  " + UUID,
        b"add " + UUID[:-1],
        b"add " + UUID + b"0",
        b"add " + UUID + b" ",
        b"add " + UUID + b" A",
        b"add " + UUID + b" A=",
        b"add " + UUID + b" =1",
        b"add " + UUID + b" A=1=2",
        b"add " + UUID + b" A_B=1",
        b"add " + UUID + b" A=1  B=2",
        b"add " + UUID + b" A=\xd7",
        b"add " + UUID + b" A=1" * 64,  # more than 64 variables
        b"add " + UUID + b" A=" + b"x" * 1990,  # more than 2048 bytes
    ],
)
def test_no_actions(data):
    with pytest.raises(OSError, match="uevent action") as caught:
        synthetic_uevent(data)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize(
    ("midr", "spectre_v2", "spec_store_bypass"),
    [
        ("0x413fd0c1", "Mitigation: CSV2, BHB", "Mitigation: Speculative Store Bypass disabled"),
        ("0x411fd070", "Vulnerable", "Vulnerable"),  # a Cortex-A57, as recorded
    ],
)
def test_vulnerabilities_of_arm64_go_by_the_processor(midr, spectre_v2, spec_store_bypass):
    toml = f'description = "arm"\narchitecture = "arm64"\n[cpus]\npossible = 2\nmidr = {midr}\n'
    machine = Machine(profiles.parse(toml, "arm.toml", "arm"), "manual")
    shown = {
        name: text_of(machine, f"{CPU}/vulnerabilities/{name}")
        for name in ("spectre_v1", "spectre_v2", "spec_store_bypass", "meltdown")
    }
    assert shown["spectre_v1"] == "Mitigation: __user pointer sanitization\n"
    assert shown["meltdown"] == "Not affected\n"
    assert shown["spectre_v2"] == f"{spectre_v2}\n"
    assert shown["spec_store_bypass"].startswith(spec_store_bypass)
