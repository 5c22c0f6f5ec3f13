"""What was recorded and is not emulated is shown as it was recorded, and the model wins."""

from __future__ import annotations

import errno
import os
import tarfile

import pytest

import fakeproc
from fakeproc import profiles
from fakeproc.files import recorded
from recordings.machines import CPU, FILES, as_archive, as_directory

DISK = "sys/devices/pci0000:00/0000:00:1f.2"
NODE = "sys/devices/system/node/node2"
MORE = {
    "proc/hwloc-nofile-info": "OSName: Linux\nArchitecture: x86_64\n",
    "proc/bus/pci/devices": "0000\t80ee\n",
    f"{DISK}/vendor": "0x8086\n",
    f"{DISK}/config": "\x00\x01" * 32,
    f"{NODE}/memory_side_cache/index1/size": "1024\n",
    # What the model has, or would have had.
    "proc/irq/24/made_up": "f\n",
    "proc/sys/vm/swappiness": "60\n",
    f"{CPU}/cpu0/topology/book_id": "0\n",
    f"{CPU}/cpu1/cache/index0/size": "32K\n",
    f"{CPU}/cpu3/crash_notes": "0\n",
    f"{CPU}/cpu0/acpi_cppc/nominal_perf": "24\n",
    f"{NODE}/vmstat2": "0\n",
    "sys/bus/vmbus/uevent2": "x\n",
    "sys/devices/LNXSYSTM:00/VMBUS:00/path": "x\n",
    "sys/devices/LNXSYSTM:00/MSFT1000:00/path": "x\n",
    "sys/kernel/irq/24/made_up": "1\n",
}
SHOWN = [*[*MORE][:5], f"{CPU}/cpu0/acpi_cppc/nominal_perf"]


def link(path: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"machine/{path}")
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


LINKS = {
    "sys/bus/pci/devices/0000:00:1f.2": "../../../devices/pci0000:00/0000:00:1f.2",
    "sys/bus/pci/drivers/ahci/0000:00:1f.2": "../../../../devices/pci0000:00/0000:00:1f.2/",
    "sys/class/net/vmbus0": "../../devices/LNXSYSTM:00/VMBUS:00/path",
    "sys/class/net/host": "../../../host/offer",
    "sys/class/net/beside": "../../devices/../../host/offer",
    "sys/class/net/irq": "../../kernel/irq/24",
    "sys/class/net/round": "round",
    "sys/devices/virtual/net/\x1b[2J": "lo",
    f"sys/devices/virtual/net/{'n' * 256}": "lo",
}


@pytest.fixture
def archive(tmp_path):
    files = {**FILES, **MORE}
    return as_archive(files, tmp_path / "real.tar.gz", [link(*each) for each in LINKS.items()])


def exists(machine, path: str) -> bool:
    try:
        machine.read(path)
    except FileNotFoundError:
        return False
    except IsADirectoryError:
        return True
    return True


@pytest.mark.parametrize("path", MORE)
def test_only_what_the_model_leaves_open_is_shown(archive, path):
    machine = fakeproc.Machine(archive)
    assert exists(machine, f"/{path}") == (path in SHOWN)
    if path in SHOWN:
        assert machine.read(f"/{path}") == MORE[path]
        above, _, name = path.rpartition("/")
        assert name in machine.list(f"/{above}")


def test_the_model_wins(archive):
    machine = fakeproc.Machine(archive)
    machine.write(f"/{CPU}/cpu1/online", "0")
    assert machine.read(f"/{CPU}/online") == "0\n"  # and not 0-1, as it was recorded
    assert "CPU1" not in machine.read("/proc/interrupts")
    assert not exists(machine, f"/{CPU}/cpu1/topology/core_id")
    assert not exists(machine, f"/{CPU}/cpu1/cache/index0/size")


def test_links_that_stay_inside_are_shown_and_no_others(archive):
    machine = fakeproc.Machine(archive)
    assert machine.read("/sys/bus/pci/devices/0000:00:1f.2/vendor") == "0x8086\n"
    assert machine.read("/sys/bus/pci/drivers/ahci/0000:00:1f.2/vendor") == "0x8086\n"
    names = machine.list("/sys/class/net")
    assert "round" in names
    assert not {"vmbus0", "host", "beside", "irq"} & {*names}
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        machine.read("/sys/class/net/round")
    assert machine.list("/sys/devices/virtual/net") == ["lo"]  # the model's


@pytest.mark.parametrize(
    ("bound", "most"),
    [("MAX_RECORDED_FILE", 2), ("MAX_RECORDED_TOTAL", 2), ("MAX_RECORDED", 0)],
)
def test_what_passes_a_bound_is_not_shown(archive, monkeypatch, bound, most):
    monkeypatch.setattr(recorded, bound, most)
    machine = fakeproc.Machine(archive)
    assert not any(exists(machine, f"/{path}") for path in SHOWN)
    assert exists(machine, "/proc/interrupts")


def test_a_profile_names_its_recordings_from_where_it_stands(archive, tmp_path, cli, monkeypatch):
    (tmp_path / "there").mkdir()
    toml = tmp_path / "there/real.toml"
    assert cli("import", archive, "-o", toml).returncode == 0
    assert 'recorded = [\n    "../real.tar.gz",\n]' in toml.read_text()
    monkeypatch.chdir("/")
    assert exists(fakeproc.Machine(toml), f"/{SHOWN[0]}")
    archive.unlink()
    with pytest.raises(profiles.ProfileError, match=r"recorded: .*no such file or directory"):
        profiles.load(str(toml))


def test_an_exported_archive_has_what_was_recorded(archive, tmp_path):
    fakeproc.Machine(archive).export(tmp_path / "again.tar.gz")
    archive.unlink()
    machine = fakeproc.Machine(tmp_path / "again.tar.gz")
    assert machine.read(f"/{DISK}/vendor") == "0x8086\n"


def test_a_mounted_one_is_read_only_to_every_system_call(tmp_path):
    source = as_directory({**FILES, **MORE}, tmp_path / "real")
    with fakeproc.Guest(source, clock="manual") as guest:
        vendor = guest.root / DISK / "vendor"
        assert vendor.read_text() == "0x8086\n"
        assert (guest.root / SHOWN[1]).read_text() == MORE[SHOWN[1]]
        assert vendor.stat().st_mode & 0o777 == 0o444
        with pytest.raises(PermissionError):
            os.open(vendor, os.O_WRONLY)
        with pytest.raises(PermissionError):
            (vendor.parent / "new").touch()
        with pytest.raises(PermissionError):
            vendor.unlink()
        assert (guest.root / DISK / "config").read_bytes() == MORE[f"{DISK}/config"].encode()


def test_a_run_has_the_recorded_devices_and_the_processes_own_files(tmp_path, cli):
    files = {"proc/net/dev": "recorded\n", "proc/mounts": "recorded\n", "proc/bus/pci/00/1f.2": "x"}
    source = as_directory({**FILES, **MORE, **files}, tmp_path / "real")
    script = (
        f"cat /{DISK}/vendor /proc/bus/pci/devices; grep -c recorded /proc/net/dev /proc/mounts"
    )
    done = cli("run", "--profile", source, "--", "sh", "-c", script)
    assert done.stdout == "0x8086\n0000\t80ee\n/proc/net/dev:0\n/proc/mounts:0\n"
