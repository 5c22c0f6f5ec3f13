"""What the firmware of a recorded machine says of it: /sys/class/dmi/id."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from fakeproc.recordings.tree import Recording

__all__ = ["DMI_TEXT", "DmiName", "dmi_of"]

_DIRECTORIES = ("sys/class/dmi/id", "sys/devices/virtual/dmi/id")
# The files that there may be, each the name of a field.
DmiName = Literal[
    "bios_vendor", "bios_version", "bios_date", "bios_release", "ec_firmware_release", "sys_vendor",
    "product_name", "product_version", "product_serial", "product_uuid", "product_family",
    "product_sku", "board_vendor", "board_name", "board_version", "board_serial", "board_asset_tag",
    "chassis_vendor", "chassis_type", "chassis_version", "chassis_serial", "chassis_asset_tag",
]  # fmt: skip
DMI_TEXT = r"[\t\n\r -~]{0,64}"  # with the blanks that firmware has in it
_PLAIN = re.compile(DMI_TEXT + r"\n?")


def dmi_of(recording: Recording) -> dict[str, str]:
    """The texts by the names of their files, with the blanks that the firmware has in them."""
    found: dict[str, str] = {}
    for top in _DIRECTORIES:
        for name in get_args(DmiName):
            text = recording.text(f"{top}/{name}")
            if text and _PLAIN.fullmatch(text):  # an empty file is one that could not be read
                found.setdefault(name, text.removesuffix("\n"))
    return found
