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


def test_azures_tag_spells_azure_and_no_other_machine_has_it():
    azure = Machine(profiles.load("azure-d64"), "manual")
    codes = text_of(azure, "chassis_asset_tag").replace("-", "").strip()
    assert bytes(int(codes[at : at + 2]) for at in range(0, 26, 2)) == b"MSFT AZURE VM"
    for name in profiles.names():
        machine = Machine(profiles.load(name), "manual")
        tag = text_of(machine, "chassis_asset_tag")
        assert (tag == text_of(azure, "chassis_asset_tag")) == (name == "azure-d64"), name
        if name != "azure-d64":
            assert tag == text_of(machine, "chassis_serial"), name


def test_generation_1_has_a_bios_and_no_field_that_its_tables_leave_out():
    machine = Machine(profiles.load("hyperv-gen1"), "manual")
    assert text_of(machine, "bios_vendor") == "American Megatrends Inc.\n"
    assert text_of(machine, "bios_version") == "090008\n"
    assert text_of(machine, "product_version") == "7.0\n"
    for name in ("product_sku", "product_family", "board_asset_tag"):
        assert sys_node(machine, f"{DMI}/{name}") is None
    assert text_of(machine, "modalias").endswith(":ct3:cvr7.0:\n")


@pytest.mark.parametrize(
    ("name", "anchor", "length", "byte_order"),
    [("hyperv-gen2", b"_SM3_", 24, "little"), ("hyperv-gen1", b"_SM_", 31, "big")],
)
def test_the_tables_say_what_the_files_say(name, anchor, length, byte_order):
    machine = Machine(profiles.load(name), "manual")
    entry, tables = (
        sys_node(machine, f"/firmware/dmi/tables/{file}") for file in ("smbios_entry_point", "DMI")
    )
    assert entry.mode == tables.mode == 0o400
    anchor_bytes, data = entry.show(), tables.show()
    assert (entry.size, tables.size) == (len(anchor_bytes), len(data)) == (length, len(data))
    assert anchor_bytes.startswith(anchor)
    assert sum(anchor_bytes) % 256 == 0
    found = structures(data)
    assert list(found) == [0, 1, 2, 3, 127]
    fields = {file: text_of(machine, file).strip() for file in FILES_OF_TYPE_1}
    body, strings = found[1]
    assert [strings[number - 1] for number in body[:4]] == list(fields.values())
    uuid = UUID(text_of(machine, "product_uuid").strip())
    assert body[4:20] == (uuid.bytes_le if byte_order == "little" else uuid.bytes)
    body, strings = found[3]
    assert strings[body[4] - 1] == text_of(machine, "chassis_asset_tag").strip()


FILES_OF_TYPE_1 = ("sys_vendor", "product_name", "product_version", "product_serial")


def structures(data):
    """Body and strings of each structure, by type."""
    found = {}
    while data:
        kind, size = data[0], data[1]
        end = data.index(b"\0\0", size)
        found[kind] = data[4:size], data[size:end].decode().split("\0")
        data = data[end + 2 :]
    return found


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
