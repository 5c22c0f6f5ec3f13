"""/sys/devices/virtual/dmi/id."""

import re
from uuid import UUID

import pytest
from model.guests import sys_node

from fakeproc import profiles
from fakeproc.files.tree import Attribute, Directory, Symlink
from fakeproc.machine import Machine

DMI = "/devices/virtual/dmi/id"
SECRETS = ("board_serial", "chassis_serial", "product_serial", "product_uuid")


@pytest.fixture(scope="module")
def sample():
    return Machine(profiles.load("hyperv-gen2"), "manual")


def text_of(root, name):
    return sys_node(root, f"{DMI}/{name}").show().decode()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bios_vendor", "Microsoft Corporation\n"),
        ("bios_version", "Hyper-V UEFI Release v4.1\n"),
        ("board_name", "Virtual Machine\n"),
        ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n"),
        ("chassis_type", "3\n"),
        ("product_name", "Virtual Machine\n"),
        ("product_version", "Hyper-V UEFI Release v4.1\n"),
        ("sys_vendor", "Microsoft Corporation\n"),
        (
            "modalias",
            "dmi:bvnMicrosoftCorporation:bvrHyper-VUEFIReleasev4.1:bd11/28/2023:br4.1"
            ":svnMicrosoftCorporation:pnVirtualMachine:pvrHyper-VUEFIReleasev4.1"
            ":rvnMicrosoftCorporation:rnVirtualMachine:rvrHyper-VUEFIReleasev4.1"
            ":cvnMicrosoftCorporation:ct3:cvrHyper-VUEFIReleasev4.1:skuNone:\n",
        ),
    ],
)
def test_files(sample, name, text):
    assert text_of(sample, name) == text


def test_the_tag_spells_azure(sample):
    codes = text_of(sample, "chassis_asset_tag").replace("-", "").strip()
    assert bytes(int(codes[at : at + 2]) for at in range(0, 26, 2)) == b"MSFT AZURE VM"


def test_modes(sample):
    kinds = {}
    for name, kind in sys_node(sample, DMI).children():
        kinds.setdefault(kind, {})[name] = sys_node(sample, f"{DMI}/{name}")
    assert list(kinds[Directory]) == ["power"]
    assert kinds[Symlink]["subsystem"].target == "../../../../class/dmi"
    for name, node in kinds[Attribute].items():
        expected = 0o400 if name in SECRETS else 0o644 if name == "uevent" else 0o444
        assert node.mode == expected, name
        assert node.show().endswith(b"\n")


def test_uevent_carries_the_modalias(sample):
    assert text_of(sample, "uevent") == f"MODALIAS={text_of(sample, 'modalias')}"


def test_serials_and_uuid_are_those_of_the_profile(sample):
    serial = text_of(sample, "product_serial")
    assert re.fullmatch(r"(\d{4}-){6}\d\d\n", serial)
    assert text_of(sample, "board_serial") == text_of(sample, "chassis_serial") == serial
    uuid = text_of(sample, "product_uuid")
    assert str(UUID(uuid.strip())) + "\n" == uuid

    def uuid_with(seed):
        profile = profiles.load("hyperv-gen2").model_copy(update={"seed": seed})
        return text_of((Machine(profile, "manual")), "product_uuid")

    assert uuid_with(1) == uuid
    assert uuid_with(2) != uuid
