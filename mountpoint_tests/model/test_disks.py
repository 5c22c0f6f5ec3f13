"""Disks below SCSI hosts: what makes them, what they are called, how they go."""

from __future__ import annotations

import pytest

from fakeproc import Machine, ProfileError, profiles
from fakeproc.guest.block import _name

FIRST, SECOND = (f"f8b3781{letter}-1e82-4818-a1c3-63d806ec15bb" for letter in "ab")
SD = "/sys/bus/scsi/drivers/sd"


@pytest.fixture
def machine() -> Machine:
    machine = Machine("azure-d64", clock="manual")
    machine.advance(3)
    return machine


def disks(machine: Machine) -> list[str]:
    return machine.list("/sys/block")


def test_a_disk_is_found_from_everywhere(machine):
    unit = f"/sys/bus/vmbus/devices/{FIRST}/host0/target0:0:0/0:0:0:1"
    place = machine.readlink("/sys/block/sdb").removeprefix("../")
    assert place.endswith(f"{FIRST}/host0/target0:0:0/0:0:0:1/block/sdb")
    assert machine.readlink("/sys/class/block/sdb") == f"../../{place}"
    assert machine.readlink("/sys/dev/block/8:16") == f"../../{place}"
    assert machine.list(f"{unit}/block") == ["sdb"]
    assert machine.readlink(f"{unit}/driver").endswith("bus/scsi/drivers/sd")
    assert machine.readlink("/sys/block/sdb/device") == "../../../0:0:0:1"
    assert machine.list("/sys/class/scsi_disk") == machine.list("/sys/class/scsi_device")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("block/sdb/size", f"{512 << 21}\n"),
        ("block/sdc/size", f"{1024 << 21}\n"),
        ("block/sdc/dev", "8:32\n"),
        ("block/sdb/uevent", "MAJOR=8\nMINOR=16\nDEVNAME=sdb\nDEVTYPE=disk\nDISKSEQ=2\n"),
        ("block/sdb/queue/logical_block_size", "512\n"),
        ("block/sdb/device/vendor", "Msft    \n"),
        (
            "block/sdb/device/uevent",
            "DEVTYPE=scsi_device\nDRIVER=sd\nMODALIAS=scsi:t-0x00\n",
        ),
    ],
)
def test_a_disk_says_what_it_is(machine, file, text):
    assert machine.read(f"/sys/{file}") == text


def test_names_are_given_again_and_sequences_are_not(machine):
    machine.write(f"{SD}/unbind", "0:0:0:0")
    assert disks(machine) == ["sdb", "sdc"]
    machine.write("/host/offer", "scsi disks=5")
    machine.advance(1)
    assert sorted(disks(machine)) == ["sda", "sdb", "sdc"]
    assert machine.read("/sys/block/sda/size") == f"{5 << 21}\n"
    assert machine.read("/sys/block/sda/diskseq") == "4\n"
    machine.write(f"{SD}/bind", "0:0:0:0")
    assert sorted(disks(machine)) == ["sda", "sdb", "sdc", "sdd"]


def test_disks_go_with_their_controller(machine):
    driver = "/sys/bus/vmbus/drivers/hv_storvsc"
    machine.write(f"{driver}/unbind", FIRST)
    assert disks(machine) == ["sdc"]
    assert machine.list("/sys/bus/scsi/devices") == ["host1", "target1:0:0", "1:0:0:0"]
    machine.write("/host/rescind", SECOND)
    machine.advance(1)
    assert disks(machine) == machine.list("/sys/bus/scsi/devices") == []
    machine.write(f"{driver}/bind", FIRST)
    machine.advance(1)
    assert disks(machine) == ["sda", "sdb"]


def test_udev_hears_of_what_is_above_first(machine):
    machine.write("/host/offer", "scsi disks=1")
    machine.advance(1)
    lines = machine.read("/host/uevents").splitlines()
    events = [line.split()[1:] for line in lines if line.startswith("KERNEL")]
    told = [(action, path.rpartition("host2")[2]) for action, path, _ in events if "host2" in path]
    unit = "/target2:0:0/2:0:0:0"
    assert told == [
        ("add", ""),
        ("add", ""),  # of the class scsi_host
        ("add", "/target2:0:0"),
        ("add", unit),
        ("add", f"{unit}/scsi_disk/2:0:0:0"),
        ("add", f"{unit}/block/sdd"),
        ("bind", unit),
        ("add", f"{unit}/scsi_device/2:0:0:0"),
    ]


@pytest.mark.parametrize(
    ("index", "name"), [(0, "sda"), (25, "sdz"), (26, "sdaa"), (701, "sdzz"), (702, "sdaaa")]
)
def test_names_of_many_disks(index, name):
    assert _name(index) == name


def test_only_a_storage_controller_has_disks(machine):
    text = profiles.source("azure-d64").replace("more_subchannels = 63", "disks_gib = [1]")
    with pytest.raises(ProfileError, match="only a storage controller has disks"):
        profiles.parse(text, "mine.toml", "mine")
    with pytest.raises(OSError, match="disks= is for scsi, ide, fc"):
        machine.write("/host/offer", "netvsc disks=1")
    with pytest.raises(OSError, match="GiB of a disk is a whole number from 1 to 65536, not '0'"):
        machine.write("/host/offer", "scsi disks=1,0")
