"""The living machine through a mount: what the console does, and what readers see meanwhile."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

HEARTBEAT = "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0"
SHELL = "/bin/bash"


@pytest.fixture
def still(fakeproc_guest):
    """A default guest whose time stands still."""
    return fakeproc_guest


def say(guest, name: str, line: str) -> None:
    (guest.host / name).write_text(line)


def row(guest, label: str) -> list[int]:
    """The counts of a row of /proc/interrupts."""
    table = (guest.proc / "interrupts").read_text()
    found = re.search(rf"(?m)^ *{label}:((?: +\d+)+)", table)
    return [int(word) for word in found[1].split()]


def refusal(call, *arguments) -> str | None:
    """The errno that a call gives, if any."""
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


# The console -------------------------------------------------------------------------------------


@pytest.mark.fakeproc(clock="real")
def test_a_shell_freezes_the_guest_and_sends_a_thousand_interrupts(fresh_guest) -> None:
    """The issue's own lines."""
    guest = fresh_guest
    subprocess.run([SHELL, "-ec", "echo manual > host/clock"], cwd=guest.root, check=True)
    before, stat = row(guest, "39"), (guest.proc / "stat").read_text()
    subprocess.run([SHELL, "-ec", "echo '19 1000' > host/interrupt"], cwd=guest.root, check=True)
    grown = [after - was for after, was in zip(row(guest, "39"), before, strict=True)]
    assert grown == [0, 0, 0, 0, 0, 0, 1000, 0]
    total, *irqs = (int(n) for n in intr(guest))
    was_total, *were = (int(n) for n in re.search(r"(?m)^intr (.*)$", stat)[1].split())
    assert total - was_total == 1000
    assert [at for at, (is_, was) in enumerate(zip(irqs, were, strict=True)) if is_ != was] == [39]
    for file in ("interrupts", "events"):
        assert int((guest.channel(19) / file).read_text()) >= 1000


def intr(guest) -> list[str]:
    return re.search(r"(?m)^intr (.*)$", (guest.proc / "stat").read_text())[1].split()


def test_a_frozen_guest_reads_the_same_however_long_one_waits(still) -> None:
    files = [
        still.proc / "interrupts",
        still.proc / "stat",
        still.proc / "uptime",
        still.host / "clock",
    ]
    before = [file.read_bytes() for file in files]
    time.sleep(0.3)
    assert [file.read_bytes() for file in files] == before
    say(still, "clock", "advance 10\n")
    assert all(file.read_bytes() != was for file, was in zip(files, before, strict=True))


@pytest.mark.fakeproc(clock="real")
def test_a_real_guest_goes_with_the_computers_clock(fresh_guest) -> None:
    say(fresh_guest, "traffic", "all 0\ntimer 0\n19 1000\n")
    assert_rate(fresh_guest, 1000)
    say(fresh_guest, "clock", "rate 100")
    assert_rate(fresh_guest, 100_000)


def assert_rate(guest, rate: int) -> None:
    """Interrupts a second of IRQ 39, as far as the moments of two readings are known.

    A text that was measured for its length is read within 50 ms (vfs/cache.py).
    """
    counts, begins, ends = [], [], []
    for _ in range(2):
        time.sleep(0.3)
        begins.append(time.monotonic())
        counts.append(sum(row(guest, "39")))
        ends.append(time.monotonic())
    least, most = begins[1] - ends[0] - 0.05, ends[1] - begins[0] + 0.05
    assert rate * least <= counts[1] - counts[0] <= rate * most


@pytest.mark.parametrize(
    ("name", "lines", "sentence"),
    [
        ("interrupt", "19 1\n500 1\n", r"line 2, '500 1': no channel has relid 500"),
        ("traffic", "x 5", r"line 1, 'x 5': "),
        ("clock", "backwards\n", r"line 1, 'backwards': "),
        ("fault", "open sesame\n", r"line 1, 'open sesame': "),
        ("offer", "\n", r"there is no command"),
    ],
)
def test_a_bad_line_is_explained_in_the_log_and_nothing_of_the_write_is_done(
    still, name, lines, sentence
) -> None:
    before = row(still, "39")
    assert refusal(say, still, name, lines) == "EINVAL"
    last = (still.host / "log").read_text().splitlines()[-1]
    assert re.search(rf"write of .* to /host/{name} refused: .*{sentence}.*\(EINVAL\)$", last), last
    assert row(still, "39") == before


def test_modes_of_the_console_hold(still) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in still.host.iterdir()}
    assert {name for name, mode in modes.items() if mode == 0o200} == {
        "interrupt",
        "offer",
        "programs",
        "rescind",
    }
    assert modes["state.json"] == modes["uevents"] == modes["log"] == modes["profile.toml"] == 0o444
    for name, mode in modes.items():
        if mode & 0o444:
            assert len((still.host / name).read_bytes()) == (still.host / name).stat().st_size


# Files that are open when their device goes ------------------------------------------------------

OPEN_FILES = {
    "proc/irq/24/smp_affinity": ("EIO", "EIO"),
    "proc/irq/24/smp_affinity_list": ("EIO", "EIO"),
    "proc/irq/24/effective_affinity": ("EIO", None),
    "proc/irq/24/effective_affinity_list": ("EIO", None),
    "proc/irq/24/affinity_hint": ("EIO", None),
    "proc/irq/24/spurious": ("EIO", None),
    "sys/kernel/irq/24/per_cpu_count": ("ENODEV", None),
    f"sys/bus/vmbus/devices/{HEARTBEAT}/channels/7/cpu": ("ENODEV", "ENODEV"),
    f"sys/bus/vmbus/devices/{HEARTBEAT}/channels/7/interrupts": ("ENODEV", None),
    f"sys/bus/vmbus/devices/{HEARTBEAT}/state": ("ENODEV", None),
    f"sys/bus/vmbus/devices/{HEARTBEAT}/driver_override": ("ENODEV", "ENODEV"),
}


@pytest.mark.parametrize("returns", [False, True])
@pytest.mark.parametrize("was_read", [False, True])
def test_open_files_of_a_rescinded_device_are_dead_for_ever(still, was_read, returns) -> None:
    """Also when another device has come, with the same relid, IRQ and name."""
    held = {}
    for name, (_, write) in OPEN_FILES.items():
        held[name] = os.open(still.root / name, os.O_RDWR if write else os.O_RDONLY)
        if was_read:
            assert os.read(held[name], 4096)
    directory = os.open(still.root / "proc/irq/24", os.O_RDONLY | os.O_DIRECTORY)
    table = os.open(still.root / "proc/interrupts", os.O_RDONLY)
    say(still, "rescind", "7")
    say(still, "clock", "advance 1")
    if returns:
        say(still, "offer", "heartbeat relid=7")
        say(still, "clock", "advance 1")
    for name, (read, write) in OPEN_FILES.items():
        assert (still.root / name).exists() == returns, name
        assert refusal(os.pread, held[name], 10, 0) == read, name
        if write:
            assert refusal(os.write, held[name], b"1\n") == write, name
        os.close(held[name])
    if not returns:
        assert refusal(lambda: os.stat("smp_affinity", dir_fd=directory)) == "ENOENT"
    assert (b"heartbeat" in os.pread(table, 1 << 16, 0)) == returns
    os.close(directory)
    os.close(table)


# Readers while devices come and go ---------------------------------------------------------------

# What open(2) and read(2) may give on a real guest: names that have gone, devices that have
# gone under an open file (sysfs, procfs), no ring buffer, and modes.
ALLOWED = {"ENOENT", "ENODEV", "EIO", "EINVAL", "EACCES", "ENOTDIR"}
NO_PORT = {"phys_port_id", "phys_port_name", "phys_switch_id"}  # ENOTSUP, no such port


class Walker(threading.Thread):
    """Reads every file below some directories, over and over."""

    def __init__(self, *roots: Path) -> None:
        super().__init__()
        self.roots = roots
        self.over = threading.Event()
        self.read = 0
        self.errnos: Counter[str] = Counter()
        self.unexpected: list[str] = []

    def run(self) -> None:
        try:
            while not self.over.is_set():
                for root in self.roots:
                    for directory, _, files in os.walk(root, onerror=self._note):
                        for name in files:
                            self._read(f"{directory}/{name}")
        except Exception as error:  # noqa: BLE001 - the test says so
            self.unexpected.append(repr(error))

    def _read(self, path: str) -> None:
        try:
            with open(path, "rb", buffering=0) as file:
                file.read()
        except OSError as error:
            self._note(error, path)
        self.read += 1

    def _note(self, error: OSError, path: str | None = None) -> None:
        path = path or error.filename  # read(2) has no name of its own
        name = errno.errorcode[error.errno]
        self.errnos[name] += 1
        no_port = name == "ENOTSUP" and os.path.basename(path) in NO_PORT
        if name not in ALLOWED and not no_port:
            self.unexpected.append(f"{path}: {name}")


KINDS = ("netvsc subchannels=5", "scsi subchannels=1", "fc", "hv_sock", "vpci", "netdirect", "kvp")


@pytest.mark.fakeproc(clock="real")
def test_a_reader_sees_only_what_a_real_guest_gives_while_devices_come_and_go(fresh_guest) -> None:
    """A hundred random offers and rescinds, and several readers, on a real clock."""
    guest, random = fresh_guest, Random(3)
    walkers = [
        Walker(guest.proc / "irq"),
        Walker(guest.sys / "devices/LNXSYSTM:00", guest.sys / "kernel/irq"),
        Walker(guest.sys / "bus/vmbus"),
    ]
    for walker in walkers:
        walker.start()
    done = 0
    try:
        while done < 100:
            if random.random() < 0.5:
                said = refusal(say, guest, "offer", random.choice(KINDS))
            else:
                names = sorted(os.listdir(guest.sys / "bus/vmbus/devices"))
                said = refusal(say, guest, "rescind", random.choice(names)) if names else "EINVAL"
            assert said in {None, "EINVAL"}
            done += said is None
            time.sleep(random.choice([0, 0.001, 0.02]))
    finally:
        for walker in walkers:
            walker.over.set()
        for walker in walkers:
            walker.join(60)
    assert not [problem for walker in walkers for problem in walker.unexpected]
    assert min(walker.read for walker in walkers) > 100
    assert "Traceback" not in guest.daemon_log()
    time.sleep(0.2)
    assert_consistent(guest)


def assert_consistent(guest) -> None:
    """What is left is the same in every view."""
    devices = guest.sys / "bus/vmbus/devices"
    relids = {int(n) for device in devices.iterdir() for n in os.listdir(device / "channels")}
    kernel = guest.sys / "kernel/irq"
    hwirqs = {
        irq: int((kernel / irq / "hwirq").read_text())
        for irq in os.listdir(kernel)
        if (kernel / irq / "chip_name").read_text() == "VMBus\n"
    }
    assert set(hwirqs.values()) == relids
    rows = {
        label
        for label, chip in re.findall(
            r"(?m)^ *(\d+):(?: +\d+)+ +(\S+)", (guest.proc / "interrupts").read_text()
        )
        if chip == "VMBus"
    }
    assert rows == {irq for irq in hwirqs if (kernel / irq / "actions").read_text()}
    assert rows <= set(os.listdir(guest.proc / "irq"))


# Nothing to do -----------------------------------------------------------------------------------


def cpu_nanoseconds(pid: int) -> int:
    """The time that all threads of a process have run; finer than the ticks of psutil."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


@pytest.mark.fakeproc(clock="real")
def test_a_mount_that_nobody_looks_at_uses_no_cpu(fresh_guest) -> None:
    """Under 0.1 s a minute, with the default traffic on; here for a few seconds of it."""
    pid = fresh_guest.pid
    say(fresh_guest, "clock", "advance 3")  # the quiet time is over
    assert len((fresh_guest.host / "traffic").read_text().splitlines()) == 9
    time.sleep(0.3)
    before, at = cpu_nanoseconds(pid), time.monotonic()
    time.sleep(4)
    share = (cpu_nanoseconds(pid) - before) / 1e9 / (time.monotonic() - at)
    assert share * 60 < 0.1


# Refusals at open --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("sys/devices/system/cpu/cpu0/online", "the guest has no such file"),
        ("sys/devices/system/cpu/cpu3/topology/core_id", "not to be written, not even by root"),
    ],
)
def test_a_refused_open_is_explained_as_a_refused_write_is(still, path, why) -> None:
    """`echo 0 > cpu0/online`, the first thing to try, left nothing in host/log."""
    refused = subprocess.run(
        [SHELL, "-c", f"echo 0 > {path}"], cwd=still.root, check=False, capture_output=True
    )
    assert refused.returncode == 1
    last = (still.host / "log").read_text().splitlines()[-1]
    assert f"fakeproc: open of /{path} for writing refused: " in last
    assert f"{why} (EACCES)" in last
