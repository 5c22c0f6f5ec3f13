"""What it is to take a CPU offline, by system calls: every row of the table in kernel.md 7.3."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Callable, Iterator

import pytest

from fakeproc import profiles

CPUS = "sys/devices/system/cpu"
GOING = 5  # the CPU of the table; its only channel is relid 18, IRQ 38
PLAIN_IRQ, PLAIN_AT = 8, 2  # rtc0, which an IO-APIC steers to CPU 2
MANAGED_IRQ = 10

# A managed interrupt of CPUs 5 and 7, and one of CPU 5 alone.
MANAGED = """
[[irqs]]
irq = 10
hwirq = 10
chip = "PCI-MSI"
actions = ["nvme0q4"]
affinity = [5]
effective = 5
managed = true
counts = { 5 = 14 }

[arch]
"""


@pytest.fixture
def still(_fuse, cli, tmp_path) -> Iterator:
    """The default guest and a managed interrupt; its time stands still."""
    profile = tmp_path / "managed.toml"
    profile.write_text(profiles.source("hyperv-gen2").replace("[arch]", MANAGED, 1))
    with cli.mounted(tmp_path / "m", "--clock", "manual", "--profile", profile) as guest:
        yield guest


def write(guest, path: str, data: bytes) -> int | str:
    """What open(2) and one write(2) give: a number, or the name of the errno."""
    try:
        fd = os.open(guest.root / path, os.O_WRONLY)
    except OSError as error:
        return errno.errorcode[error.errno]
    try:
        return os.write(fd, data)
    except OSError as error:
        return errno.errorcode[error.errno]
    finally:
        os.close(fd)


def read(guest, path: str) -> str:
    """What read(2) gives, or the name of the errno."""
    try:
        return (guest.root / path).read_text()
    except OSError as error:
        return errno.errorcode[error.errno]


def offline(guest, cpu: int = GOING) -> int | str:
    return write(guest, f"{CPUS}/cpu{cpu}/online", b"0")


def online(guest, cpu: int = GOING) -> int | str:
    return write(guest, f"{CPUS}/cpu{cpu}/online", b"1")


def move(guest, relid: int, cpu: int) -> int | str:
    path = (guest.channel(relid) / "cpu").relative_to(guest.root)
    return write(guest, str(path), b"%d" % cpu)


def evacuate(guest, cpus: set[int], to: int = 0) -> None:
    """Move every channel of some CPUs, and let the host have heard of it."""
    for irq in range(24, 45):
        file = f"proc/irq/{irq}/effective_affinity_list"
        if int(read(guest, file)) in cpus:
            assert write(guest, f"proc/irq/{irq}/smp_affinity_list", b"%d" % to) == 1
    assert write(guest, "host/clock", b"advance 0.01")


def file(path: str) -> Callable:
    return lambda guest: read(guest, path)


def cpu5(guest) -> set[str]:
    return set(os.listdir(guest.root / CPUS / "cpu5"))


def columns(guest, file: str) -> list[int]:
    return [int(cpu) for cpu in re.findall(r"CPU(\d+)", read(guest, file).splitlines()[0])]


def stat(guest, word: str) -> list[str]:
    return [line for line in read(guest, "proc/stat").splitlines() if line.startswith(word)]


def cpuinfo(guest, key: str) -> list[str]:
    return re.findall(rf"(?m)^{key}\s*: (.*)$", read(guest, "proc/cpuinfo"))


ALL = [0, 1, 2, 3, 4, 5, 6, 7]
LEFT = [0, 1, 2, 3, 4, 6, 7]
PERMANENT = object()  # like before, whatever that is

# What: how to look at it; before; while the CPU is offline; when it is back.
TABLE: dict[str, tuple[Callable, object, object, object]] = {
    "columns of /proc/interrupts": (lambda g: columns(g, "proc/interrupts"), ALL, LEFT, ALL),
    "columns of /proc/softirqs": (lambda g: columns(g, "proc/softirqs"), ALL, ALL, ALL),
    "lines of /proc/stat": (
        lambda g: [line.split()[0] for line in stat(g, "cpu")],
        ["cpu", *(f"cpu{cpu}" for cpu in ALL)],
        ["cpu", *(f"cpu{cpu}" for cpu in LEFT)],
        ["cpu", *(f"cpu{cpu}" for cpu in ALL)],
    ),
    "intr of /proc/stat": (lambda g: stat(g, "intr"), PERMANENT, PERMANENT, PERMANENT),
    "processors of /proc/cpuinfo": (
        lambda g: cpuinfo(g, "processor"),
        list(map(str, ALL)),
        list(map(str, LEFT)),
        list(map(str, ALL)),
    ),
    "siblings": (lambda g: set(cpuinfo(g, "siblings")), {"8"}, {"7"}, {"8"}),
    "cpu cores": (lambda g: set(cpuinfo(g, "cpu cores")), {"4"}, {"4"}, {"4"}),
    "online": (file(f"{CPUS}/online"), "0-7\n", "0-4,6-7\n", "0-7\n"),
    "offline": (file(f"{CPUS}/offline"), "\n", "5\n", "\n"),
    "possible": (file(f"{CPUS}/possible"), "0-7\n", "0-7\n", "0-7\n"),
    "present": (file(f"{CPUS}/present"), "0-7\n", "0-7\n", "0-7\n"),
    "isolated": (file(f"{CPUS}/isolated"), "\n", "\n", "\n"),
    "cpu5/online": (file(f"{CPUS}/cpu5/online"), "1\n", "0\n", "1\n"),
    "cpu5/hotplug/state": (
        file(f"{CPUS}/cpu5/hotplug/state"), "236\n", "0\n", "236\n",
    ),
    "cpu5/hotplug/target": (
        file(f"{CPUS}/cpu5/hotplug/target"), "236\n", "0\n", "236\n",
    ),
    "cpu5/topology": (
        file(f"{CPUS}/cpu5/topology/core_id"), "2\n", "ENOENT", "2\n",
    ),
    "cpu5/cache": (
        file(f"{CPUS}/cpu5/cache/index3/shared_cpu_list"), "0-7\n", "ENOENT", "0-7\n",
    ),
    "cpu5's directories": (
        lambda g: sorted({"cache", "topology", "hotplug", "power"} & cpu5(g)),
        ["cache", "hotplug", "power", "topology"],
        ["hotplug", "power"],
        ["cache", "hotplug", "power", "topology"],
    ),
    "cpu5/node0": (
        lambda g: os.readlink(g.root / CPUS / "cpu5/node0"), *["../../node/node0"] * 3,
    ),
    "core_siblings": (
        file(f"{CPUS}/cpu0/topology/core_siblings"), "ff\n", "df\n", "ff\n",
    ),
    "core_siblings_list": (
        file(f"{CPUS}/cpu0/topology/core_siblings_list"), "0-7\n", "0-4,6-7\n", "0-7\n",
    ),
    "package_cpus": (
        file(f"{CPUS}/cpu0/topology/package_cpus"), "ff\n", "df\n", "ff\n",
    ),
    "thread_siblings of its sibling": (
        file(f"{CPUS}/cpu4/topology/thread_siblings_list"), "4-5\n", "4\n", "4-5\n",
    ),
    "cache shared by its sibling": (
        file(f"{CPUS}/cpu4/cache/index0/shared_cpu_map"), "30\n", "10\n", "30\n",
    ),
    "cache shared by all": (
        file(f"{CPUS}/cpu4/cache/index3/shared_cpu_list"), "0-7\n", "0-4,6-7\n", "0-7\n",
    ),
    "node0/cpumap": (
        file("sys/devices/system/node/node0/cpumap"), "ff\n", "df\n", "ff\n",
    ),
    "node0/cpulist": (
        file("sys/devices/system/node/node0/cpulist"), "0-7\n", "0-4,6-7\n", "0-7\n",
    ),
    "node0/cpu5": (
        lambda g: os.readlink(g.sys / "devices/system/node/node0/cpu5"), *["../../cpu/cpu5"] * 3,
    ),
    "default_smp_affinity": (
        file("proc/irq/default_smp_affinity"), "ff\n", "ff\n", "ff\n",
    ),
    "a mask with it": (file("proc/irq/39/smp_affinity"), "60\n", "60\n", "60\n"),
    "and where that one is": (
        file("proc/irq/39/effective_affinity"), "40\n", "40\n", "40\n",
    ),
    "a managed interrupt's mask": (
        file(f"proc/irq/{MANAGED_IRQ}/smp_affinity"), "20\n", "20\n", "20\n",
    ),
    "a managed interrupt's CPU, 0 while it is shut down": (
        file(f"proc/irq/{MANAGED_IRQ}/effective_affinity"), "20\n", "01\n", "20\n",
    ),
    "per_cpu_count": (
        file(f"sys/kernel/irq/{MANAGED_IRQ}/per_cpu_count"), *["0,0,0,0,0,14,0,0\n"] * 3,
    ),
    "EINVAL for smp_affinity of it alone": (
        lambda g: write(g, "proc/irq/40/smp_affinity", b"20"), 2, "EINVAL", 2,
    ),
    "EINVAL for smp_affinity_list of it alone": (
        lambda g: write(g, "proc/irq/40/smp_affinity_list", b"5"), 1, "EINVAL", 1,
    ),
    "EINVAL for a channel's cpu": (lambda g: move(g, 20, GOING), 1, "EINVAL", 1),
    "a mask of it and another": (
        lambda g: write(g, "proc/irq/40/smp_affinity", b"a0"), 2, 2, 2,
    ),
    "which is kept whole": (file("proc/irq/40/smp_affinity"), "a0\n", "a0\n", "a0\n"),
    "EINVAL for a default of it alone": (
        lambda g: write(g, "proc/irq/default_smp_affinity", b"20"), 2, "EINVAL", 2,
    ),
    "EINVAL for a line of the IO-APIC": (
        lambda g: write(g, f"proc/irq/{PLAIN_IRQ}/smp_affinity", b"20"), 2, "EINVAL", 2,
    ),
}  # fmt: skip


def look(guest) -> dict[str, object]:
    return {what: show(guest) for what, (show, *_) in TABLE.items()}


def restored(guest) -> None:
    """What the writes of the table have changed."""
    for path, data in (
        ("proc/irq/default_smp_affinity", b"ff"),
        ("proc/irq/40/smp_affinity", b"80"),
        (f"proc/irq/{PLAIN_IRQ}/smp_affinity", b"ff"),
    ):
        assert write(guest, path, data) == 2
    assert write(guest, "host/clock", b"advance 0.01")


def test_every_row_of_the_table(still) -> None:
    assert write(still, "proc/irq/39/smp_affinity", b"60") == 2  # it is on CPU 6
    evacuate(still, {GOING})
    seen = []
    for act in (None, offline, online):
        restored(still)
        if act:
            assert act(still) == 1
        seen.append(look(still))
    permanent = "intr of /proc/stat"
    # Control messages count meanwhile; the interrupts themselves do not.
    irqs = [rows[permanent][0].split()[2:] for rows in seen]
    assert irqs[0] == irqs[1] == irqs[2]
    for what, (_, *expected) in TABLE.items():
        if what != permanent:
            assert [rows[what] for rows in seen] == expected, what


def test_the_counts_of_an_offline_cpu_are_kept_everywhere_and_come_back(still) -> None:
    assert write(still, "host/interrupt", b"18 7") == 4
    evacuate(still, {GOING})
    before = read(still, "proc/interrupts"), stat(still, "intr"), stat(still, "cpu ")
    assert offline(still) == 1
    assert (stat(still, "intr"), stat(still, "cpu ")) == before[1:]
    assert read(still, "sys/kernel/irq/38/per_cpu_count") == "0,0,0,0,0,7,0,0\n"
    row = re.search(r"(?m)^ 38:.*$", read(still, "proc/interrupts"))
    assert "7" not in row[0].split("VMBus")[0].split(":")[1]
    assert online(still) == 1
    assert (read(still, "proc/interrupts"), stat(still, "intr"), stat(still, "cpu ")) == before


def test_the_cover_letters_columns(still) -> None:
    evacuate(still, {2, 3, 4, 5})
    for cpu in (2, 3, 4, 5):
        assert offline(still, cpu) == 1
    assert (
        read(still, "proc/interrupts").splitlines()[0]
        == "           CPU0       CPU1       CPU6       CPU7       "
    )


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["os.write", "echo"])
def test_each_cpu_refuses_until_its_channels_are_moved_by_any_path(still, how) -> None:
    ways = ("smp_affinity", "smp_affinity_list", "cpu")
    for cpu in (7, 6, 5, 4, 3, 2, 1):
        if how == "echo":
            path = still.root / CPUS / f"cpu{cpu}/online"
            done = subprocess.run(
                ["bash", "-c", f"echo 0 > {path}"],
                env=os.environ | {"LC_ALL": "C"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 1
            assert done.stderr.endswith("write error: Device or resource busy\n")
        else:
            assert offline(still, cpu) == "EBUSY"
        assert read(still, f"{CPUS}/cpu{cpu}/online") == "1\n"
        for irq in range(24, 45):
            if read(still, f"proc/irq/{irq}/effective_affinity_list") == f"{cpu}\n":
                way = ways[cpu % 3]
                if way == "cpu":
                    relid = int(read(still, f"sys/kernel/irq/{irq}/hwirq"))
                    assert move(still, relid, 0) == 1
                else:
                    data = {"smp_affinity": b"1", "smp_affinity_list": b"0"}[way]
                    assert write(still, f"proc/irq/{irq}/{way}", data) == 1
        assert offline(still, cpu) == 1
        assert columns(still, "proc/interrupts") == list(range(cpu))
    assert not (still.root / CPUS / "cpu0/online").exists()


def test_the_log_says_who_holds_a_cpu_and_what_would_move_it(still) -> None:
    assert offline(still) == "EBUSY"
    (line,) = re.findall(r"fakeproc: .*", read(still, "host/log").splitlines()[-1])
    assert re.fullmatch(
        r"fakeproc: write of '0' to /sys/devices/system/cpu/cpu5/online refused: CPU 5 is"
        r" interrupted by relid 18 \(netvsc, IRQ 38\) of 0022486b-1fa4-0022-486b-1fa40022486b;"
        r" to move it: echo 0 > /proc/irq/38/smp_affinity_list \(EBUSY\)",
        line,
    )
    command = line.split(": ")[-1].removesuffix(" (EBUSY)").replace("/proc/", f"{still.proc}/")
    subprocess.run(["sh", "-ec", command], check=True)
    assert offline(still) == 1


# cpuN/online (stock-kernels.md, section 10; kernel 6.10 knows neither `e` nor `d`) ----------------

# fmt: off
MEANS_0 = (
    b"0", b"0\n", b"n", b"N", b"n\n", b"no", b"off", b"OFF", b"oFF", b"of", b"off\n", b"offline",
    b"00", b"01", b"0x0", b"0x1", b"0 ", b"0\n\n", b"0 1", b"0,1", b"false", b"f", b"F", b"0abc",
    b"nabc", b"0\0", b"0\0001", b"0" * 4096,
)
MEANS_1 = (
    b"1", b"1\n", b"y", b"Y", b"y\n", b"yes", b"on", b"On", b"oN", b"ON", b"on\n", b"once",
    b"online", b"10", b"11", b"1 ", b"1\t", b"1\n1", b"1\n0", b"1 0", b"1,", b"true", b"t", b"T",
    b"TRUE", b"True", b"1abc", b"yabc", b"1\xff", b"1\0", b"1" * 4095, b"1" * 4096,
)
MEANS_NOTHING = (
    b"o", b"ox", b"2", b"-1", b"+1", b"-0", b"\n", b"\n1", b"\n0", b" 0", b" 1", b"\t1", b"enable",
    b"disable", b"e", b"d", b"a", b"x", b"9", b" ", b'"1"', b"\xff", b"\0", b"\0001", b" " * 4095,
)
# fmt: on


@pytest.fixture(scope="module")
def free(_fuse, cli, tmp_path_factory) -> Iterator:
    """A guest whose CPU 5 nothing keeps, for tests that bring it back."""
    with cli.mounted(tmp_path_factory.mktemp("free") / "m", "--clock", "manual") as guest:
        evacuate(guest, {GOING})
        yield guest


@pytest.mark.parametrize("before", [0, 1])
def test_what_is_written_to_online(free, before) -> None:
    path = f"{CPUS}/cpu{GOING}/online"
    for inputs, after in ((MEANS_0, "0\n"), (MEANS_1, "1\n"), (MEANS_NOTHING, f"{before}\n")):
        for data in inputs:
            assert write(free, path, b"%d" % before) == 1
            answer = "EINVAL" if inputs is MEANS_NOTHING else len(data)
            assert (write(free, path, data), read(free, path)) == (answer, after), data
    assert online(free) in {1, 2}


def test_of_more_than_a_page_one_page_is_taken(free) -> None:
    for data in (b"1" * 4097, b"1" * 65536, b"1\n" + b"x" * 8000):
        assert write(free, f"{CPUS}/cpu{GOING}/online", data) == 4096


def test_the_position_in_the_file_means_nothing(free) -> None:
    fd = os.open(free.root / CPUS / f"cpu{GOING}/online", os.O_RDWR)
    for position in (0, 1, 5, 4094, 4096, 5000):
        assert os.pwrite(fd, b"0", position) == 1
        assert read(free, f"{CPUS}/cpu{GOING}/online") == "0\n"
        assert os.pwrite(fd, b"1", position) == 1
        assert read(free, f"{CPUS}/cpu{GOING}/online") == "1\n"
    assert os.writev(fd, [b"1", b"zz"]) == 3
    os.close(fd)


def test_the_state_that_it_has_already_is_no_event(free) -> None:
    before = read(free, "host/uevents"), read(free, "host/log")
    assert online(free) == 1
    assert (read(free, "host/uevents"), read(free, "host/log")) == before


# cpuN/hotplug/target (the same) -------------------------------------------------------------------

TARGETS = (
    (b"236", 3, 236), (b"0", 1, 0), (b"0\n", 2, 0), (b"1", "EINVAL", 236), (b"-1", "EINVAL", 236),
    (b"\n", "EINVAL", 236), (b"x", "EINVAL", 236), (b"100", "EINVAL", 236),
    (b"99999", "EINVAL", 236), (b"0x0", "EINVAL", 236), (b" 0", "EINVAL", 236), (b"+0", 2, 0),
    (b"00", 2, 0), (b"232", "EINVAL", 236), (b"4294967296", "ERANGE", 236),
)  # fmt: skip


@pytest.mark.parametrize(("data", "answer", "after"), TARGETS)
def test_what_is_written_to_target(free, data, answer, after) -> None:
    cpu = f"{CPUS}/cpu{GOING}"
    assert write(free, f"{cpu}/hotplug/target", data) == answer
    assert read(free, f"{cpu}/hotplug/target") == f"{after}\n"
    assert read(free, f"{cpu}/hotplug/state") == f"{after}\n"
    assert read(free, f"{cpu}/online") == "1\n", "it says what was asked of it, and was not asked"
    assert read(free, f"{CPUS}/online") == ("0-7\n" if after else "0-4,6-7\n")
    assert write(free, f"{cpu}/hotplug/target", b"236") == 3


def test_a_cpu_switched_off_by_online_and_on_by_target_still_reads_off(free) -> None:
    cpu = f"{CPUS}/cpu{GOING}"
    assert offline(free) == 1
    assert write(free, f"{cpu}/hotplug/target", b"236") == 3
    assert (read(free, f"{cpu}/online"), read(free, f"{CPUS}/online")) == ("0\n", "0-7\n")
    assert online(free) == 1
    assert read(free, f"{cpu}/online") == "1\n"


def test_target_is_refused_as_online_is(free) -> None:
    assert write(free, f"{CPUS}/cpu6/hotplug/target", b"0") == "EBUSY"
    assert read(free, f"{CPUS}/cpu6/hotplug/target") == "236\n"
    assert write(free, f"{CPUS}/cpu0/hotplug/target", b"0") == "EBUSY"


@pytest.mark.parametrize(
    ("data", "answer"),
    [(b"-1", 2), (b"0", "EINVAL"), (b"1", "EINVAL"), (b"x", "EINVAL"), (b"50", "EINVAL")],
)
def test_what_is_written_to_fail(free, data, answer) -> None:
    assert write(free, f"{CPUS}/cpu{GOING}/hotplug/fail", data) == answer
    assert read(free, f"{CPUS}/cpu{GOING}/hotplug/fail") == "-1\n"


# Time --------------------------------------------------------------------------------------------


def test_an_offline_that_waits_does_not_block_the_daemon(fresh_guest) -> None:
    """A clock that is real is moved on; nobody sleeps."""
    assert write(fresh_guest, "host/latency", b"ack 30")
    assert move(fresh_guest, 18, 0) == 1
    before = float(read(fresh_guest, "host/clock").split()[1])
    assert offline(fresh_guest) == 1
    assert "Timed out waiting for MODIFYCHANNEL. CPU 5" in read(fresh_guest, "host/log")
    after = float(read(fresh_guest, "host/clock").split()[1])
    assert 0.05 <= after - before < 5


def test_uevents_of_a_cpu_that_goes_and_comes(free) -> None:
    before = len(read(free, "host/uevents"))
    assert offline(free) == 1
    assert online(free) == 1
    lines = re.findall(r"KERNEL\[.*\] (\w+) +(\S+)", read(free, "host/uevents")[before:])
    assert lines == [
        ("remove", "/devices/system/machinecheck/machinecheck5"),
        ("offline", "/devices/system/cpu/cpu5"),
        ("add", "/devices/system/machinecheck/machinecheck5"),
        ("online", "/devices/system/cpu/cpu5"),
    ]
    said = [line.split("] ")[1] for line in read(free, "host/log").splitlines()[-2:]]
    assert said == ["smpboot: CPU 5 is now offline", "smpboot: Booting Node 0 Processor 5 APIC 0x5"]
