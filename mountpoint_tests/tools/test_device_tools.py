"""Tools that show the guest's devices: VMBus, SCSI, udev's view, drivers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .views import state

NETVSC = "0022486b-1fa4-0022-486b-1fa40022486b"

# The four files that lsvmbus reads (tools/hv/lsvmbus), which no distribution
# packages; this is a reader of our own.
LSVMBUS = """\
import os, json
top = "/sys/bus/vmbus/devices"
text = lambda device, name: open(os.path.join(top, device, name)).read()
print(json.dumps({
    device: {
        "id": int(text(device, "id")),
        "class_id": text(device, "class_id").strip().strip("{}"),
        "device_id": text(device, "device_id").strip().strip("{}"),
        "channels": {
            int(relid): int(cpu)
            for relid, cpu in (
                line.split(":") for line in text(device, "channel_vp_mapping").splitlines()
            )
        },
    }
    for device in os.listdir(top)
}))
"""


def test_against_lsvmbus(looked_at, inside) -> None:
    import json  # noqa: PLC0415

    shown = json.loads(inside(looked_at, sys.executable, "-c", LSVMBUS))
    devices = state(looked_at)["vmbus"]["devices"]
    assert shown.keys() == devices.keys()
    for name, device in devices.items():
        assert shown[name]["device_id"] == name
        assert shown[name]["class_id"] == device["class_id"]
        assert shown[name]["id"] == device["channels"][0]["relid"]
        assert shown[name]["channels"] == {
            str(channel["relid"]): channel["target_cpu"] for channel in device["channels"]
        }


def test_against_lsscsi(looked_at, inside) -> None:
    shown = inside(looked_at, "lsscsi", "-H", "-v")
    hosts = re.findall(r"\[(\d+)\] +storvsc\S*[^[]*device dir: \S+/([0-9a-f-]+)/host(\d+)", shown)
    assert [number for number, _, _ in hosts] == [number for _, _, number in hosts] == ["0", "1"]
    controllers = {
        name
        for name, device in state(looked_at)["vmbus"]["devices"].items()
        if device["driver"] == "hv_storvsc"
    }
    assert {name for _, name, _ in hosts} == controllers
    inside(looked_at, "lsscsi")


def test_against_udevadm(looked_at, inside) -> None:
    shown = inside(looked_at, "udevadm", "info", f"/sys/bus/vmbus/devices/{NETVSC}")
    assert re.search(f"^P: /devices/.*/{NETVSC}\n", shown)
    assert "E: SUBSYSTEM=vmbus\nE: DRIVER=hv_netvsc\nE: MODALIAS=vmbus:" in shown
    shown = inside(
        looked_at, "udevadm", "info", "--attribute-walk", f"/sys/bus/vmbus/devices/{NETVSC}"
    )
    channels = state(looked_at)["vmbus"]["devices"][NETVSC]["channels"]
    for channel in channels:
        assert f'ATTR{{channels/{channel["relid"]}/cpu}}=="{channel["target_cpu"]}"' in shown


def test_against_driverctl(looked_at, inside) -> None:
    shown = inside(looked_at, "driverctl", "-b", "vmbus", "list-devices")
    assert dict(line.split()[:2] for line in shown.splitlines()) == {
        name: device["driver"] or "(none)"
        for name, device in state(looked_at)["vmbus"]["devices"].items()
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="the tables are for root alone")
def test_against_dmidecode(looked_at, window) -> None:
    """It checks the sums and the lengths, and complains on standard error."""
    done = window(looked_at, "dmidecode")
    assert (done.returncode, done.stderr) == (0, "")
    assert "SMBIOS 3.1.0 present." in done.stdout
    dmi = looked_at.root / "sys/class/dmi/id"
    for keyword, file in (
        ("bios-version", "bios_version"),
        ("system-product-name", "product_name"),
        ("system-serial-number", "product_serial"),
        ("system-uuid", "product_uuid"),
        ("baseboard-asset-tag", "board_asset_tag"),
        ("chassis-asset-tag", "chassis_asset_tag"),
    ):
        shown = window(looked_at, "dmidecode", "-s", keyword)
        assert (shown.stdout, shown.stderr) == ((dmi / file).read_text(), "")


# What lspci says where the machine has no /lib/modules, in which a run could show the guest's.
NO_MODULES = "lspci: Unable to load libkmod resources: error -2\n"


# Gives a machine without /lib/modules one, for what it runs.
WITH_MODULES = """
upper=$1 && shift && mount -t tmpfs tmpfs "$upper" && mkdir "$upper/up" "$upper/work"
mount -t overlay -o "lowerdir=/usr/lib,upperdir=$upper/up,workdir=$upper/work" overlay /usr/lib
mkdir -p /usr/lib/modules/real
"$@"
"""


@pytest.mark.usefixtures("_fuse")
@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user cannot mount over /usr/lib")
@pytest.mark.skipif(
    "overlay" not in Path("/proc/filesystems").read_text(), reason="the machine has no overlayfs"
)
def test_lspci_complained_that_it_cannot_load_libkmod_resources(cli, tmp_path) -> None:
    in_run = "ls /lib/modules; lspci -vvv >/dev/null; modprobe -n nvme; modprobe -n of_nobody"
    run = [sys.executable, "-m", "fakeproc", "run", "--profile", "azure-d64"]
    command = [*run, "--", "sh", "-c", in_run]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", WITH_MODULES, "sh", tmp_path, *command],
        env=cli.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    release = "6.10.0"
    assert done.stdout == f"{release}\n"
    missing = f"modprobe: FATAL: Module of_nobody not found in directory /lib/modules/{release}\n"
    assert done.stderr == missing


@pytest.mark.skipif(os.geteuid() != 0, reason="capabilities and tables are for root alone")
def test_against_lspci_lshw_and_hwinfo(mount_guest, window) -> None:
    """Each shows the functions, their drivers and their memory, and complains of nothing."""
    azure = mount_guest("--profile", "azure-d64", "--clock", "manual")
    done = window(azure, "lspci", "-vvv", "-D")
    assert (done.returncode, done.stderr.replace(NO_MODULES, "")) == (0, "")
    nvme, nic = re.split(r"\n\n", done.stdout.strip())
    assert nvme.startswith("0007:00:00.0 Non-Volatile memory controller: Microsoft")
    assert "(64-bit, non-prefetchable) [size=32K]" in nvme
    assert "MSI-X: Enable+ Count=65 Masked-" in nvme
    assert "Kernel driver in use: nvme" in nvme
    assert nic.startswith("c05b:00:02.0 Ethernet controller: Mellanox")
    assert "(64-bit, prefetchable) [size=1M]" in nic
    assert "Express (v2) Endpoint, MSI 00" in nic
    for command in (["dmidecode"], ["lshw", "-quiet"]):
        done = window(azure, *command)
        assert (done.returncode, done.stderr) == (0, "")
    assert "product: Virtual Machine" in done.stdout
    assert "driver=nvme" in done.stdout
    done = window(azure, "hwinfo", "--netcard")
    assert (done.returncode, done.stderr) == (0, "")
    assert 'Driver: "mlx5_core"' in done.stdout
