"""What the firmware says of the machine: `drivers/firmware/dmi-id.c`, a Generation 2 guest's."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from fakeproc.guest.base.device import Device

if TYPE_CHECKING:
    from fakeproc.guest.base.core import Devices
    from fakeproc.profiles.schema import Profile

__all__ = ["DmiDevice", "dmi_id_init"]

MICROSOFT = "Microsoft Corporation"
MACHINE = "Virtual Machine"
RELEASE = "Hyper-V UEFI Release v4.1"

PUBLIC = {
    "bios_date": "11/28/2023",  # as guests of the series' time report it
    "bios_release": "4.1",
    "bios_vendor": MICROSOFT,
    "bios_version": RELEASE,
    "board_asset_tag": "None",
    "board_name": MACHINE,
    "board_vendor": MICROSOFT,
    "board_version": RELEASE,
    "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77",  # MSFT AZURE VM, in ASCII codes
    "chassis_type": "3",
    "chassis_vendor": MICROSOFT,
    "chassis_version": RELEASE,
    "product_family": MACHINE,
    "product_name": MACHINE,
    "product_sku": "None",
    "product_version": RELEASE,
    "sys_vendor": MICROSOFT,
}

# `get_modalias`: what udev knows the fields by, in this order.
MODALIAS = {
    "bvn": "bios_vendor",
    "bvr": "bios_version",
    "bd": "bios_date",
    "br": "bios_release",
    "svn": "sys_vendor",
    "pn": "product_name",
    "pvr": "product_version",
    "rvn": "board_vendor",
    "rn": "board_name",
    "rvr": "board_version",
    "cvn": "chassis_vendor",
    "ct": "chassis_type",
    "cvr": "chassis_version",
    "sku": "product_sku",
}


class DmiDevice(Device):
    """The one device of the class dmi.

    `public` are the fields that everybody may read, `secret` those that tell
    this machine from all others, by their names.
    """

    def __init__(self, devices: Devices, profile: Profile) -> None:
        super().__init__("id", class_=devices.class_of("dmi"))
        uuid = uuid5(NAMESPACE_URL, f"fakeproc:{profile.name}:{profile.seed}")
        digits = f"{uuid.int:039d}"[-26:]  # 26, as Hyper-V gives board, chassis and machine alike
        serial = "-".join(digits[at : at + 4] for at in range(0, len(digits), 4))
        self.public = PUBLIC
        self.secret = {
            "board_serial": serial,
            "chassis_serial": serial,
            "product_serial": serial,
            "product_uuid": str(uuid),
        }

    @property
    def modalias(self) -> str:
        """`get_modalias`: no blanks, and nothing that ends a field (`ascii_filter`)."""
        fields = (
            f"{key}{self.public[name]}".replace(" ", "").replace(":", "")
            for key, name in MODALIAS.items()
        )
        return ":".join(("dmi", *fields, ""))


def dmi_id_init(devices: Devices, profile: Profile) -> None:
    """`dmi_id_init`."""
    devices.add(DmiDevice(devices, profile))
