"""What the firmware of a recorded machine says of it: /sys/class/dmi/id."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakeproc.recordings.tree import Recording

__all__ = ["dmi_of"]

_DIRECTORIES = ("sys/class/dmi/id", "sys/devices/virtual/dmi/id")
_FILES = (
    "bios_vendor", "bios_version", "bios_date", "bios_release", "ec_firmware_release", "sys_vendor",
    "product_name", "product_version", "product_serial", "product_uuid", "product_family",
    "product_sku", "board_vendor", "board_name", "board_version", "board_serial", "board_asset_tag",
    "chassis_vendor", "chassis_type", "chassis_version", "chassis_serial", "chassis_asset_tag",
)  # fmt: skip
_PLAIN = re.compile(r"[\t\n\r -~]{0,64}\n?")


def dmi_of(recording: Recording) -> dict[str, str]:
    """The texts by the names of their files, with the blanks that the firmware has in them."""
    found: dict[str, str] = {}
    for top in _DIRECTORIES:
        for name in _FILES:
            text = recording.text(f"{top}/{name}")
            if text and _PLAIN.fullmatch(text):  # an empty file is one that could not be read
                found.setdefault(name, text.removesuffix("\n"))
    return found
