"""/sys/firmware/dmi/tables: the firmware's tables (`drivers/firmware/dmi_scan.c`).

Layouts are those of the SMBIOS specification (DSP0134); a string is written
behind its structure, and the structure has its number, 0 for none.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from fakeproc.files.tree import Attribute, Directory

if TYPE_CHECKING:
    from fakeproc.guest.dmi import DmiDevice
    from fakeproc.guest.kernel import Kernel

__all__ = ["firmware_dmi_directory"]

UNKNOWN_CHASSIS = 2
TABLES_AT = 0xF0480  # a physical address, as Hyper-V's firmware has it


class _Strings:
    """The strings of one structure, numbered from 1."""

    def __init__(self, device: DmiDevice) -> None:
        self._fields = device.public | device.secret
        self._texts: list[bytes] = []

    def __call__(self, name: str) -> int:
        """The number of a field's string; 0 where the firmware leaves it out."""
        if name not in self._fields:
            return 0
        self._texts.append(self._fields[name].encode())
        return len(self._texts)

    def __bytes__(self) -> bytes:
        return b"".join(text + b"\0" for text in self._texts or [b""]) + b"\0"


def _structure(kind: int, handle: int, body: bytes, strings: bytes = b"\0\0") -> bytes:
    return struct.pack("<BBH", kind, 4 + len(body), handle) + body + strings


def _release(device: DmiDevice) -> tuple[int, int]:
    """The firmware's version; 255.255 where it tells none."""
    numbers = re.fullmatch(r"(\d{1,2})\.(\d{1,2})", device.public.get("bios_release", ""))
    return (int(numbers[1]), int(numbers[2])) if numbers else (0xFF, 0xFF)


def _chassis_type(device: DmiDevice) -> int:
    number = device.public.get("chassis_type", "")
    return int(number) if re.fullmatch(r"\d{1,2}", number) else UNKNOWN_CHASSIS


def _tables(device: DmiDevice) -> list[bytes]:
    """The structures that Linux and dmidecode read fields from."""
    bios = _Strings(device)
    uefi = device.firmware == "uefi"
    bios_body = struct.pack(
        "<BBHBBQBBBBBB",
        bios("bios_vendor"),
        bios("bios_version"),
        0 if uefi else 0xF000,  # the segment
        bios("bios_date"),
        0 if uefi else 3,  # in units of 64 KiB, less one
        1 << 3 if uefi else 1 << 4,  # characteristics: not supported; ISA
        0,
        (1 << 3 if uefi else 0) | 1 << 4,  # UEFI; a virtual machine
        *_release(device),
        0xFF,  # no embedded controller
        0xFF,
    )
    system = _Strings(device)
    system_body = bytes(
        system(name) for name in ("sys_vendor", "product_name", "product_version", "product_serial")
    )
    # `dmi_save_uuid`: the first fields are little-endian since version 2.6.
    system_body += (device.uuid.bytes_le if uefi else device.uuid.bytes) + bytes(
        (6, system("product_sku"), system("product_family"))  # 6: the power switch woke it
    )
    board = _Strings(device)
    names = ("board_vendor", "board_name", "board_version", "board_serial", "board_asset_tag")
    board_body = bytes(board(name) for name in names)
    board_body += struct.pack("<BBHBB", 0x09, 0, 0x300, 10, 0)  # hosting board; a motherboard
    chassis = _Strings(device)
    chassis_body = bytes((
        chassis("chassis_vendor"),
        _chassis_type(device),
        chassis("chassis_version"),
        chassis("chassis_serial"),
        chassis("chassis_asset_tag"),
        3, 3, 3, 3,  # states: safe; security: none
    ))  # fmt: skip
    chassis_body += struct.pack("<IBBBB", 0, 0, 0, 0, 0)
    return [
        _structure(0, 0, bios_body, bytes(bios)),
        _structure(1, 0x100, system_body, bytes(system)),
        _structure(2, 0x200, board_body, bytes(board)),
        _structure(3, 0x300, chassis_body, bytes(chassis)),
        _structure(127, 0xFEFF, b""),
    ]


def _with_checksum(anchor: bytes, at: int) -> bytes:
    """The same with the byte that makes the sum of all zero."""
    return anchor[:at] + bytes((-sum(anchor) & 0xFF,)) + anchor[at + 1 :]


def _entry_point(device: DmiDevice, tables: list[bytes]) -> bytes:
    """Version 3.1 where the firmware is UEFI, else 2.3."""
    length = sum(map(len, tables))
    if device.firmware == "uefi":
        entry = struct.pack("<5sBBBBBBBIQ", b"_SM3_", 0, 24, 3, 1, 0, 1, 0, length, TABLES_AT)
        return _with_checksum(entry, 5)
    legacy = struct.pack("<5sBHIHB", b"_DMI_", 0, length, TABLES_AT, len(tables), 0x23)
    longest = max(map(len, tables))
    head = struct.pack("<4sBBBBHB5s", b"_SM_", 0, 31, 2, 3, longest, 0, b"")
    return _with_checksum(head + _with_checksum(legacy, 5), 4)


def firmware_dmi_directory(kernel: Kernel) -> Directory:
    """/sys/firmware/dmi: for root alone, as serial numbers are in it."""
    tables = _tables(kernel.dmi)
    files = {"DMI": b"".join(tables), "smbios_entry_point": _entry_point(kernel.dmi, tables)}

    def file(name: str) -> Attribute:
        return Attribute(0o400, (kernel.dmi, name), lambda: files[name], size=len(files[name]))

    return Directory(entries={"tables": Directory(entries={name: file(name) for name in files})})
