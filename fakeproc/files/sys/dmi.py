"""/sys/devices/virtual/dmi/id: `drivers/firmware/dmi-id.c`, on a Generation 2 machine."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from fakeproc.files.sys.power import device_power_directory
from fakeproc.files.sys.uevent import synthetic_uevent
from fakeproc.files.tree import Attributes, Directory, Symlink, constant
from fakeproc.guest.kernel import Kernel

if TYPE_CHECKING:
    from uuid import UUID

    from fakeproc.files.tree import Attribute

__all__ = ["dmi_id_directory"]

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

DMI = Attributes[Kernel]()


def _uuid(kernel: Kernel) -> UUID:
    """The machine's own, out of its profile's seed."""
    return uuid5(NAMESPACE_URL, f"fakeproc:{kernel.profile.name}:{kernel.profile.seed}")


def _serial(kernel: Kernel) -> str:
    """26 digits, as Hyper-V gives board, chassis and machine alike."""
    digits = f"{_uuid(kernel).int:039d}"[-26:]
    return "-".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def _modalias() -> str:
    # `ascii_filter`: no blanks, and nothing that ends a field.
    fields = (
        f"{key}{PUBLIC[name]}".replace(" ", "").replace(":", "") for key, name in MODALIAS.items()
    )
    return ":".join(("dmi", *fields, ""))


@DMI.show
def modalias_show(_kernel: Kernel) -> str:
    """What udev finds drivers by."""
    return f"{_modalias()}\n"


@DMI.show
def uevent_show(_kernel: Kernel) -> str:
    """The variables of its uevents."""
    return f"MODALIAS={_modalias()}\n"


@DMI.store
def uevent_store(_kernel: Kernel, data: bytes) -> None:
    """A synthetic uevent; OSError EINVAL for an unknown action."""
    synthetic_uevent(data)


def _secret(text: str) -> Attribute:
    """A file for root's eyes only: what tells this machine from all others."""
    return constant(f"{text}\n", 0o400)


def dmi_id_directory(kernel: Kernel) -> Directory:
    """/sys/devices/virtual/dmi/id."""
    serial = _secret(_serial(kernel))
    return Directory(
        (DMI.on(kernel),),
        {
            **{name: constant(f"{text}\n") for name, text in PUBLIC.items()},
            "board_serial": serial,
            "chassis_serial": serial,
            "power": device_power_directory(),
            "product_serial": serial,
            "product_uuid": _secret(str(_uuid(kernel))),
            "subsystem": Symlink("../../../../class/dmi"),
        },
    )
