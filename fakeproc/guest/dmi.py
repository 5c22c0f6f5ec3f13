"""What the firmware says of the machine: `drivers/firmware/dmi-id.c`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, UUID, uuid5

from fakeproc.guest.base.device import Device

if TYPE_CHECKING:
    from fakeproc.guest.base.core import Devices
    from fakeproc.profiles.schema import Profile

__all__ = ["DmiDevice", "dmi_id_init"]

MICROSOFT = "Microsoft Corporation"
MACHINE = "Virtual Machine"

# What both generations say.
_COMMON = {
    "board_name": MACHINE,
    "board_vendor": MICROSOFT,
    "chassis_type": "3",  # a desktop
    "chassis_vendor": MICROSOFT,
    "product_name": MACHINE,
    "sys_vendor": MICROSOFT,
}


def _versions(version: str) -> dict[str, str]:
    return {f"{part}_version": version for part in ("board", "chassis", "product")}


UEFI_RELEASE = "Hyper-V UEFI Release v4.1"
FIRMWARE = {
    # Generation 2, as guests of the series' time report it
    "uefi": {
        **_COMMON,
        **_versions(UEFI_RELEASE),
        "bios_date": "11/28/2023",
        "bios_release": "4.1",
        "bios_vendor": MICROSOFT,
        "bios_version": UEFI_RELEASE,
        "board_asset_tag": "None",
        "product_family": MACHINE,
        "product_sku": "None",
    },
    # Generation 1: a field that the tables leave out has no file.
    "bios": {
        **_COMMON,
        **_versions("7.0"),
        "bios_date": "12/07/2018",
        "bios_release": "8.0",
        "bios_vendor": "American Megatrends Inc.",
        "bios_version": "090008",
    },
}

SERIALS = ("board_serial", "chassis_serial", "product_serial")
SECRET = frozenset({*SERIALS, "product_uuid"})  # for root alone: they tell machines apart

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

    What a profile says stands in place of Hyper-V's fields; where the machine is no guest
    of Hyper-V's, it is all there is.  `public` are the fields that everybody may read,
    `secret` those that tell this machine from all others, by their names.
    """

    def __init__(self, devices: Devices, profile: Profile) -> None:
        super().__init__("id", class_=devices.class_of("dmi"))
        whose = profile.dmi.identity or profile.name
        uuid = uuid5(NAMESPACE_URL, f"fakeproc:{whose}:{profile.seed}")
        digits = f"{uuid.int:039d}"[-26:]  # 26, as Hyper-V gives board, chassis and machine alike
        serial = "-".join(digits[at : at + 4] for at in range(0, len(digits), 4))
        dmi = profile.dmi
        self.firmware = dmi.firmware or ("bios" if profile.pic else "uefi")
        stated = {str(name): text for name, text in dmi.ids.items()}
        # Azure puts its own tag there, by which its agents know it.
        fields = FIRMWARE[self.firmware] | {"chassis_asset_tag": dmi.asset_tag or serial}
        fields |= dict.fromkeys(SERIALS, serial) | {"product_uuid": str(uuid)}
        fields = stated if stated and not profile.hyperv else fields | stated
        self.public = {name: text for name, text in fields.items() if name not in SECRET}
        self.secret = {name: text for name, text in fields.items() if name in SECRET}
        try:
            self.uuid = UUID(self.secret.get("product_uuid", ""))
        except ValueError:  # "Not Settable": the firmware's tables then say nothing of it
            self.uuid = UUID(int=0)

    @property
    def modalias(self) -> str:
        """`get_modalias`: no blanks, and nothing that ends a field (`ascii_filter`)."""
        fields = (
            f"{key}{self.public[name]}".replace(" ", "").replace(":", "")
            for key, name in MODALIAS.items()
            if name in self.public
        )
        return ":".join(("dmi", *fields, ""))


def dmi_id_init(devices: Devices, profile: Profile) -> DmiDevice:
    """`dmi_id_init`."""
    device = DmiDevice(devices, profile)
    devices.add(device)
    return device
