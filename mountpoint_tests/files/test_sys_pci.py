"""PCI functions: config space, resources, removing and finding again, and their buses."""

from __future__ import annotations

import os
import struct

import pytest
from model.guests import files, read, text, write

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.vfs.namespace import file_systems
from fakeproc.vfs.permissions import Caller
from fakeproc.vfs.request import Boundary

NVME, NIC = "0007:00:00.0", "c05b:00:02.0"
PCI = "/sys/bus/pci"


@pytest.fixture(scope="module")
def looked_at() -> Machine:
    return Machine(profiles.load("azure-d64"), "manual")


@pytest.fixture
def machine() -> Machine:
    return Machine(profiles.load("azure-d64"), "manual")


def config(machine: Machine, address: str) -> bytes:
    found = read(machine, f"{PCI}/devices/{address}/config")
    assert isinstance(found, bytes)
    return found


@pytest.mark.parametrize(
    ("address", "vendor", "device", "class_code", "bar_flags", "bar_bytes"),
    [
        (NVME, 0x1414, 0xB111, 0x010802, 0x4, 32 << 10),
        (NIC, 0x15B3, 0x101A, 0x020000, 0xC, 1 << 20),
    ],
)
def test_config_space_says_what_the_files_say(
    looked_at, address, vendor, device, class_code, bar_flags, bar_bytes
) -> None:
    space = config(looked_at, address)
    assert len(space) == 4096
    assert struct.unpack_from("<HHHH", space) == (vendor, device, 0x0006, 0x0010)
    assert struct.unpack_from("<I", space, 8) == (class_code << 8,)
    there = f"{PCI}/devices/{address}"
    assert text(looked_at, f"{there}/class") == f"0x{class_code:06x}\n"
    first, *others = text(looked_at, f"{there}/resource").splitlines()
    start, end, flags = (int(word, 16) for word in first.split())
    (bar,) = struct.unpack_from("<Q", space, 0x10)
    assert bar == start | bar_flags
    assert end - start + 1 == bar_bytes
    assert start % bar_bytes == 0
    assert flags & 0xF == bar_flags
    assert others == [" ".join(["0x" + "0" * 16] * 3)] * 12


def test_capabilities_are_an_endpoint_and_as_many_vectors_as_there_can_be(looked_at) -> None:
    space = config(looked_at, NVME)
    found, at = {}, space[0x34]
    while at:
        found[space[at]] = at
        at = space[at + 1]
    assert sorted(found) == [0x10, 0x11]
    control, table, pending = struct.unpack_from("<HII", space, found[0x11] + 2)
    assert control & 0x8000  # MSI-X is enabled
    assert (control & 0x7FF) + 1 == 65  # 64 CPUs, and one for the function
    bits = 32 << 10
    assert table + 65 * 16 <= pending
    assert pending + 16 <= bits


def test_memory_of_functions_does_not_overlap(looked_at) -> None:
    ranges = sorted(
        tuple(
            int(word, 16)
            for word in text(looked_at, f"{PCI}/devices/{address}/resource").split()[:2]
        )
        for address in (NVME, NIC)
    )
    assert ranges[0][1] < ranges[1][0]


def test_who_is_no_administrator_sees_64_bytes_of_config_space(looked_at, monkeypatch) -> None:
    nobody = Caller(65534, 65534, os.getpid())
    monkeypatch.setattr(Caller, "capable", lambda _self, _capability: False)
    sysfs = file_systems(Boundary(looked_at), lambda: nobody)["sys"]
    names = files(looked_at).resolve(f"{PCI}/devices/{NVME}/config")
    path = "/" + "/".join(names[1:])
    opened = sysfs.open(path, os.O_RDONLY)
    assert sysfs.read(opened, 4096, 0) == config(looked_at, NVME)[:64]
    assert sysfs.read(opened, 4096, 64) == b""
    assert sysfs.getattr(path)["st_size"] == 4096


ENABLED = ("enable", "power_state", "dma_mask_bits")


def test_a_function_without_a_driver_is_neither_enabled_nor_master(machine) -> None:
    there = f"{PCI}/devices/{NVME}"
    assert [text(machine, f"{there}/{name}") for name in ENABLED] == ["1\n", "D0\n", "64\n"]
    assert write(machine, f"{there}/enable", b"1") == "EBUSY"
    assert write(machine, f"{PCI}/drivers/nvme/unbind", NVME.encode()) == len(NVME)
    assert [text(machine, f"{there}/{name}") for name in ENABLED] == ["0\n", "unknown\n", "64\n"]
    assert struct.unpack_from("<H", config(machine, NVME), 4) == (0x0002,)
    assert not struct.unpack_from("<H", config(machine, NVME), 0x82)[0] & 0x8000
    assert write(machine, f"{there}/enable", b"0") == "EIO"
    assert write(machine, f"{there}/enable", b"x") == "EINVAL"
    assert write(machine, f"{there}/enable", b"1") == 1
    assert text(machine, f"{there}/enable") == "1\n"


def test_an_overridden_function_is_matched_by_that_name_alone(machine) -> None:
    there = f"{PCI}/devices/{NVME}"
    assert text(machine, f"{there}/driver_override") == "(null)\n"
    write(machine, f"{PCI}/drivers/nvme/unbind", NVME.encode())
    write(machine, f"{there}/driver_override", b"vfio-pci\n")
    assert text(machine, f"{there}/driver_override") == "vfio-pci\n"
    assert write(machine, f"{PCI}/drivers/nvme/bind", NVME.encode()) == "ENODEV"
    write(machine, f"{there}/driver_override", b"\n")
    assert write(machine, f"{PCI}/drivers/nvme/bind", NVME.encode()) == len(NVME)


@pytest.mark.parametrize(
    "rescan", [f"{PCI}/rescan", "/sys/class/pci_bus/0007:00/rescan"], ids=["all", "one"]
)
def test_a_removed_function_comes_back_when_its_bus_is_scanned(machine, rescan) -> None:
    there = f"{PCI}/devices/{NVME}"
    before = text(machine, "/proc/interrupts")
    assert write(machine, f"{there}/remove", b"x") == "EINVAL"
    assert write(machine, f"{there}/remove", b"1") == 1
    assert read(machine, f"{there}/config") == "ENOENT"
    assert "nvme" not in text(machine, "/proc/interrupts")
    assert write(machine, rescan, b"1") == 1
    assert len(config(machine, NVME)) == 4096
    after = text(machine, "/proc/interrupts")
    assert after.count("nvme0q") == before.count("nvme0q") == 65


def test_a_device_whose_function_was_removed_goes_without_complaint(machine) -> None:
    write(machine, f"{PCI}/devices/{NVME}/remove", b"1")
    (device,) = (d for d in machine.kernel.vmbus.bus.devices if d.split("-")[1] == "0007")
    assert write(machine, "/sys/bus/vmbus/drivers/hv_pci/unbind", device.encode()) == len(device)
    assert read(machine, "/sys/class/pci_bus/0007:00/cpuaffinity") == "ENOENT"


def test_the_root_bus_of_a_domain_is_near_the_first_node(looked_at) -> None:
    bus = f"/sys/class/pci_bus/{NVME[:7]}"
    for name, of_function in (("cpuaffinity", "local_cpus"), ("cpulistaffinity", "local_cpulist")):
        assert text(looked_at, f"{bus}/{name}") == text(
            looked_at, f"{PCI}/devices/{NVME}/{of_function}"
        )


def test_a_domain_that_is_taken_is_said_in_the_log(machine) -> None:
    write(machine, "/host/offer", b"vpci guid=11111111-0007-0000-2222-333344445555\n")
    machine.advance(1_000_000_000)
    assert any(
        record.text.endswith("PCI dom# 0x7 has collision, using 0x1")
        for record in machine.kernel.log.records
    )
