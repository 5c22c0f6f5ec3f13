"""Every kernel and every machine mounted: quick, read through real system calls, and gone again."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import CommandLine

from fakeproc import profiles
from fakeproc.profiles.kernels import KERNELS

from .kernels import NAMES, STOCK

if TYPE_CHECKING:
    from conftest import CliGuest

pytestmark = pytest.mark.usefixtures("_fuse")

SMALL = tuple(name for name in profiles.names() if name != "hyperv-max")

# Of the largest machine there may be, on the two cores of a small computer.
MAX_SECONDS_TO_MOUNT = 15
MAX_SECONDS_TO_READ = 10
MAX_MEMORY = 400 << 20


def whole(path: Path) -> bytes:
    """A file by large reads, to its end."""
    with path.open("rb", buffering=0) as file:
        return b"".join(iter(lambda: file.read(1 << 20), b""))


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def looked_at(guest: CliGuest) -> tuple[int, int]:
    """Columns and rows of the table; a few other files are read, too."""
    header, *lines = (guest.proc / "interrupts").read_text().splitlines()
    online = (guest.sys / "devices/system/cpu/online").read_text()
    assert f"-{len(header.split()) - 1}\n" in online
    devices = list((guest.sys / "bus/vmbus/devices").iterdir())
    assert all((device / "channel_vp_mapping").read_text() for device in devices)
    stat = (guest.proc / "stat").read_text()
    assert stat.count("\ncpu") == len(header.split())
    return len(header.split()), len(lines)


@pytest.mark.parametrize("kernel", NAMES)
def test_every_kernel_mounts(mount_guest: Callable[..., CliGuest], kernel: str) -> None:
    guest = mount_guest("--kernel", kernel, "--clock", "manual")
    columns, rows = looked_at(guest)
    assert columns == 8
    vmbus = (guest.proc / "interrupts").read_text().count("VMBus")
    assert vmbus == (0 if kernel in STOCK else 22 if kernel == "rfc-as-reviewed" else 21)
    version = KERNELS[kernel][0]
    release = (guest.proc / "version").read_text().split()[2]
    assert release.startswith(version)
    assert rows > vmbus
    assert f'version = "{version}"' in (guest.host / "profile.toml").read_text()


@pytest.mark.parametrize("name", SMALL)
def test_every_profile_mounts(mount_guest: Callable[..., CliGuest], name: str) -> None:
    guest = mount_guest("--profile", name, "--clock", "manual")
    columns, rows = looked_at(guest)
    assert columns == profiles.load(name).cpus.possible
    assert rows > 15


def test_the_largest_machine_mounts_in_seconds_and_is_read_whole(
    cli: CommandLine, tmp_path: Path
) -> None:
    began = time.monotonic()
    with cli.mounted(tmp_path / "max", "--profile", "hyperv-max", "--clock", "manual") as guest:
        mounted = time.monotonic() - began
        pid = guest.pid
        began = time.monotonic()
        table = whole(guest.proc / "interrupts")
        read = time.monotonic() - began
        header, *lines = table.decode().splitlines()
        assert len(header.split()) == 2048
        vmbus = [line for line in lines if " VMBus " in line]
        assert len(vmbus) == 2047
        # relids are 1 to 2047, and every cell is there
        begin = len(header) - 11 * 2048 - 6  # behind the label, its colon and a blank
        cells = slice(begin, begin + 11 * 2048)
        assert {len(line[cells].split()) for line in vmbus} == {2048}
        assert len({int(line[cells.stop :].split()[1]) for line in vmbus}) == 2047
        assert table.endswith(b"\n")
        resident = memory(pid)
    assert mounted < MAX_SECONDS_TO_MOUNT
    assert read < MAX_SECONDS_TO_READ
    assert resident < MAX_MEMORY


@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_the_largest_machine_on_a_stock_kernel(
    cli: CommandLine, tmp_path: Path, kernel: str
) -> None:
    options = ("--profile", "hyperv-max", "--kernel", kernel, "--clock", "manual")
    with cli.mounted(tmp_path / "max", *options) as guest:
        header, *lines = whole(guest.proc / "interrupts").decode().splitlines()
        assert len(header.split()) == 2048
        assert not [line for line in lines if "VMBus" in line]


# The option ----------------------------------------------------------------------------------


def test_a_kernel_that_is_not_known_is_a_sentence(cli: CommandLine, tmp_path: Path) -> None:
    known = ", ".join(NAMES)
    for command in (
        ("mount", "--kernel", "5.4", tmp_path),
        ("run", "--kernel", "5.4", "--", "true"),
    ):
        done = cli(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"fakeproc: no kernel is called '5.4'; there are: {known}\n"


@pytest.mark.parametrize("command", ["mount", "run"])
def test_the_help_says_which_command_names_every_kernel(cli: CommandLine, command: str) -> None:
    said = " ".join(cli(command, "--help").stdout.split())
    assert re.search(r"--kernel NAME .*'fakeproc kernels' lists them", said)
    rows = [line.split("\t")[0] for line in cli("kernels").stdout.splitlines()]
    assert rows == ["name", *NAMES]


def test_run_takes_the_option(cli: CommandLine) -> None:
    done = cli("run", "--kernel", "7.2", "--", "head", "-n", "1", "/proc/interrupts")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(" " * 12 + "CPU0")


def test_run_on_a_mount_has_its_own_kernel(cli: CommandLine, tmp_path: Path) -> None:
    done = cli("run", "--mount", tmp_path, "--kernel", "7.2", "--", "true")
    assert done.returncode == 2
    assert "--kernel" in done.stderr
