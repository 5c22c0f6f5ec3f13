"""The two gaps of the series as it was posted, and what its author would want to know of them.

Both were seen on the real code (golden/rfc, shell-8cpu and bind-8cpu), not only read.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from model.captures import of_kind, rows
from model.guests import channel_path, interrupt_rows, node_at, text, write

from fakeproc.machine import Machine

from .kernels import FCOPY, HEARTBEAT, NETVSC, console, guest, log, named, set_cpu, settle

if TYPE_CHECKING:
    from conftest import CliGuest

DRIVERS = "/sys/bus/vmbus/drivers"
CPU_OF_19 = f"sys/bus/vmbus/devices/{NETVSC}/channels/19/cpu"


def bind(machine: Machine, what: str, driver: str, name: str) -> int | str:
    answer = write(machine, f"{DRIVERS}/{driver}/{what}", name.encode())
    settle(machine)
    return answer


def last_lines(machine: Machine, number: int) -> list[str]:
    """What the kernel has said last; why a write was refused is said besides."""
    said = [line.split("] ", 1)[1] for line in log(machine).splitlines()]
    return [line for line in said if not line.startswith("fakeproc: ")][-number:]


# Patch 10: target_cpu_store() returns what irq_set_affinity() does -----------------------------


def test_a_store_that_did_what_it_was_told_returns_0() -> None:
    """`ret = irq_set_affinity(…)` is 0 for success, and write(2) then says that nothing was taken.

    The channel has moved, in all views; whoever looks at the return value alone tries again.
    """
    machine = named("hyperv-gen2", "rfc-as-posted")
    for data in ("3\n", "3\n", "5", "0x3"):
        assert set_cpu(machine, 19, data) == 0
    assert text(machine, f"{channel_path(machine, 19)}/cpu") == "0\n"  # that of 0x3
    assert text(machine, "/proc/irq/39/smp_affinity_list") == "0\n"
    for data, errno in (("8", "EINVAL"), ("-1", "EIO"), ("", 0)):
        assert set_cpu(machine, 19, data) == errno


def test_the_smallest_repair_returns_the_count() -> None:
    """`return ret ?: count`, as the store does without the series, and since v6.15."""
    for kernel in ("rfc", "6.12", "6.18"):
        assert set_cpu(named("hyperv-gen2", kernel), 19, "3\n") == 2


def test_each_try_of_the_endless_loop_is_a_message_to_the_host_at_most_once() -> None:
    """Only the first try moves anything: the mask has the CPU then, and the host is left alone."""
    machine = named("hyperv-gen2", "rfc-as-posted")
    for _ in range(1000):
        assert set_cpu(machine, 19, "3\n") == 0
    assert machine.kernel.vmbus.connection.modify_sent == 1


# Patch 9: the IRQ is requested at open, and freed only when the relid is unmapped ---------------


@pytest.mark.parametrize(
    ("driver", "name", "relid", "irq", "action"),
    [
        ("hv_utils", HEARTBEAT, 7, 24, "heartbeat"),
        ("hv_storvsc", "f8b3781b-1e82-4818-a1c3-63d806ec15bb", 14, 28, "pri@storvsc"),
        ("hv_netvsc", NETVSC, 13, 34, "netvsc"),
    ],
)
def test_binding_again_fails_and_says_so_as_recorded(driver, name, relid, irq, action) -> None:
    """vmbus_close() should free what __vmbus_open() requested: the second request is EBUSY."""
    machine = guest("6.10", "as posted")
    assert bind(machine, "unbind", driver, name) == 36
    assert interrupt_rows(text(machine, "/proc/interrupts"))[str(irq)].chip == "VMBus"
    assert bind(machine, "bind", driver, name) == "EBUSY"
    assert node_at(machine, f"/sys/bus/vmbus/devices/{name}/driver") is None
    said = [re.sub(r"storvsc\d", "storvsc", line) for line in last_lines(machine, 3)]
    assert said == [
        f"genirq: Flags mismatch irq {irq}. 00200000 ({action}) vs. 00200000 ({action})",
        f"hv_vmbus: request_irq failed with -16 for relid {relid} irq {irq}",
        f"hv_vmbus: probe failed for device {name} (-16)",
    ]
    if driver == "hv_utils":
        assert said in [row["log"] for row in rows("bind-8cpu") if row.kind == "bindop"]


def test_what_else_closes_a_channel_and_opens_it_again() -> None:
    """The author's own list would be longer than unbind: whatever closes, breaks."""
    machine = guest("6.10", "as posted")
    # `ethtool -L`, a new MTU, other ring sizes: netvsc closes its channels and opens them.
    assert write(machine, "/host/ethtool", f"{NETVSC} combined 4".encode()) == "EBUSY"
    settle(machine)
    assert relids(machine, NETVSC) == ["13"]
    # A device handed to uio_hv_generic and back.
    assert bind(machine, "unbind", "hv_utils", HEARTBEAT) == 36
    guid = text(machine, f"/sys/bus/vmbus/devices/{HEARTBEAT}/class_id")[1:37]
    assert write(machine, f"{DRIVERS}/uio_hv_generic/new_id", guid.encode()) == 36
    assert bind(machine, "unbind", "uio_hv_generic", HEARTBEAT) == 36
    assert bind(machine, "bind", "hv_utils", HEARTBEAT) == "EBUSY"


def test_what_is_not_affected() -> None:
    """Whatever unmaps the relid frees the IRQ: a rescind, and hibernation."""
    machine = guest("6.10", "as posted")
    console(machine, "rescind", HEARTBEAT)
    settle(machine)
    console(machine, "offer", f"heartbeat guid={HEARTBEAT}")
    settle(machine)
    assert interrupt_rows(text(machine, "/proc/interrupts"))["24"].name == "heartbeat"
    console(machine, "offer", f"fcopy guid={FCOPY}")
    settle(machine)
    assert bind(machine, "unbind", "uio_hv_generic", FCOPY) == 36


def test_a_closed_channel_keeps_row_directory_hint_and_goes_on_counting() -> None:
    """What a user sees of it: interrupts of a device that no driver has."""
    machine = guest("6.10", "as posted")
    assert bind(machine, "unbind", "hv_utils", HEARTBEAT) == 36
    console(machine, "interrupt", "7 5")
    assert interrupt_rows(text(machine, "/proc/interrupts"))["24"].counts[0] == 5
    assert node_at(machine, "/proc/irq/24/heartbeat") is not None
    assert text(machine, "/proc/irq/24/affinity_hint") == "01\n"
    assert text(machine, f"{channel_path(machine, 7)}/interrupts") == "0\n"
    as_meant = guest("6.10", "as meant")
    assert bind(as_meant, "unbind", "hv_utils", HEARTBEAT) == 36
    console(as_meant, "interrupt", "7 5")
    assert "24" not in interrupt_rows(text(as_meant, "/proc/interrupts"))


def relids(machine: Machine, name: str) -> list[str]:
    """Those of a device's channels."""
    mapping = text(machine, f"/sys/bus/vmbus/devices/{name}/channel_vp_mapping")
    return [line.split(":")[0] for line in mapping.split()]


@pytest.mark.parametrize("kernel", ["rfc", "rfc-7.2", "6.1", "6.12", "6.18", "7.2"])
def test_everywhere_else_binding_again_works(kernel: str) -> None:
    machine = named("hyperv-gen2", kernel)
    for driver, name in (("hv_utils", HEARTBEAT), ("hv_netvsc", NETVSC)):
        channels = relids(machine, name)
        assert bind(machine, "unbind", driver, name) == 36
        assert bind(machine, "bind", driver, name) == 36
        assert relids(machine, name) == channels
    assert write(machine, "/host/ethtool", f"{NETVSC} combined 4".encode()) == len(
        f"{NETVSC} combined 4"
    )


# By real programs, on mounts ---------------------------------------------------------------------


SHELLS = {"/bin/sh": ("busybox", "sh"), "/bin/bash": ("bash",), "/bin/dash": ("dash",)}
SECONDS = "0.5"  # the recorder gave them three


def shell(guest: CliGuest, sh: str, command: str) -> tuple[bool, str]:
    """Whether a command ended in time, and what it said."""
    done = subprocess.run(  # noqa: PLW1510 - how it ends is what is asked
        ["timeout", "-s", "KILL", SECONDS, *SHELLS[sh], "-c", command],
        cwd=guest.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        start_new_session=True,
    )
    return done.returncode not in {-9, 137}, done.stdout


def commands(capture: str) -> list[pytest.ParameterSet]:
    return [
        pytest.param(row, id=f"{row['sh']}: {row['shell']}") for row in of_kind(capture, "shell")
    ]


def compared(guest: CliGuest, row) -> None:
    """A recorded command typed again: whether it ends, and what it says."""
    sh = row["sh"]
    if shutil.which(SHELLS[sh][0]) is None:
        pytest.fail(f"there is no {SHELLS[sh][0]}: install the package of that name")
    ends, out = shell(guest, sh, row["cmd"].replace(" /sys/", " sys/").replace("=/sys/", "=sys/")
                      .replace(" /proc/", " proc/"))  # fmt: skip
    assert ends == row["ends"]
    if ends:
        assert comparable(out) == comparable(row["out"])


def comparable(said: str) -> str:
    """Without what depends on the shell's version, on the path and on the clock."""
    said = re.sub(r"\d+ bytes copied, .*", "bytes copied", said)
    said = re.sub(r"(/bin/|/usr/bin/)|(?<=writing ')/", "", said)
    said = re.sub(r"^(sh|dash: 1|bash: line 1)?: ?(echo: ){0,2}", "", said, flags=re.MULTILINE)
    return said.replace("I/O error", "?").replace("Invalid argument", "?")


@pytest.fixture(scope="module")
def posted(_fuse: None, cli, tmp_path_factory: pytest.TempPathFactory):
    with cli.mounted(tmp_path_factory.mktemp("posted") / "m", "--kernel", "rfc-as-posted") as it:
        yield it


@pytest.fixture(scope="module")
def stock(_fuse: None, cli, tmp_path_factory: pytest.TempPathFactory):
    with cli.mounted(tmp_path_factory.mktemp("stock") / "m", "--kernel", "6.12") as it:
        yield it


@pytest.mark.parametrize("row", commands("shell-8cpu"))
def test_shells_behave_as_on_the_real_kernel_with_the_series_as_posted(posted, row) -> None:
    compared(posted, row)


@pytest.mark.parametrize("row", commands("baseline-8cpu"))
def test_shells_behave_as_on_the_real_kernel_without_the_series(stock, row) -> None:
    compared(stock, row)


def test_how_many_of_the_recorded_commands_never_end() -> None:
    ends = [row["ends"] for row in of_kind("shell-8cpu", "shell")]
    assert (ends.count(False), ends.count(True)) == (10, 10)
    assert all(row["ends"] for row in of_kind("baseline-8cpu", "shell"))


@pytest.mark.parametrize("sh", SHELLS)
def test_echo_never_ends_though_the_channel_has_moved(
    mount_guest: Callable[..., CliGuest], sh: str
) -> None:
    guest = mount_guest("--kernel", "rfc-as-posted", "--clock", "manual")
    before = (guest.root / CPU_OF_19).read_text()
    ended, said = shell(guest, sh, f"echo 3 > {CPU_OF_19}")
    assert (ended, said) == (False, "")
    assert (before, (guest.root / CPU_OF_19).read_text()) == ("6\n", "3\n")
    ended, said = shell(guest, sh, "echo 4 > proc/irq/39/smp_affinity_list")
    assert (ended, said) == (True, "")


def test_binding_again_is_busy_and_the_log_says_why(mount_guest: Callable[..., CliGuest]) -> None:
    guest = mount_guest("--kernel", "rfc-as-posted", "--clock", "manual")
    utils = guest.sys / "bus/vmbus/drivers/hv_utils"
    (utils / "unbind").write_text(HEARTBEAT)
    with pytest.raises(OSError, match="busy"):
        (utils / "bind").write_text(HEARTBEAT)
    said = (guest.host / "log").read_text()
    assert "genirq: Flags mismatch irq 24. 00200000 (heartbeat) vs. 00200000 (heartbeat)" in said
    assert "hv_vmbus: request_irq failed with -16 for relid 7 irq 24" in said
