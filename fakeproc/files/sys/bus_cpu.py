"""/sys/bus/cpu, and what the buses of system devices have in common: `drivers/base/bus.c`."""

from __future__ import annotations

from errno import EBUSY, ENODEV
from typing import TYPE_CHECKING

from fakeproc.files.sys.uevent import synthetic_uevent
from fakeproc.files.text.kstrtox import word
from fakeproc.files.tree import Attributes, Directory, Listing, Symlink
from fakeproc.guest.cpus import cpus_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.guest.kernel import Kernel

__all__ = ["bus_cpu_directory", "links", "system_bus_directory"]

BUS = Attributes[Listing]()
DRIVER = Attributes[Listing]()


def links(prefix: str, numbers: Callable[[], int], up: str) -> Listing:
    """Links to the devices of /sys/devices/system/`prefix` in a set, `up` leading to it."""

    def make(name: str) -> Symlink | None:
        digits = name.removeprefix(prefix)
        number = int(digits) if digits.isascii() and digits.isdecimal() else 0
        there = name == f"{prefix}{number}" and numbers() >> number & 1
        return Symlink(f"{up}/{prefix}/{name}") if there else None

    def names() -> list[str]:
        return [f"{prefix}{number}" for number in cpus_in(numbers())]

    return Listing(Symlink, names, make)


@BUS.show
def drivers_autoprobe_show(_devices: Listing) -> str:
    """Whether a new device is given to a driver at once."""
    return "1\n"


@BUS.store
def drivers_autoprobe_store(_devices: Listing, data: bytes) -> None:
    """Only a `0` in the first place says no; OSError EBUSY, as no device is ever new."""
    if data.startswith(b"0"):
        raise OSError(EBUSY, "the drivers of this bus always probe")


@BUS.store
def drivers_probe_store(devices: Listing, data: bytes) -> None:
    """Give a device to a driver, which they all are; OSError ENODEV for one that is not."""
    if devices.make(word(data)) is None:
        raise OSError(ENODEV, "no such device on this bus")


@BUS.store(name="uevent")
def bus_uevent_store(_devices: Listing, data: bytes) -> None:
    """A synthetic uevent; OSError EINVAL for an unknown action."""
    synthetic_uevent(data)


@DRIVER.store
def bind_store(devices: Listing, data: bytes) -> None:
    """Bind a CPU; OSError ENODEV for one that is not, EBUSY for one that is bound."""
    if devices.make(word(data)) is None:
        raise OSError(ENODEV, "no such device on this bus")
    raise OSError(EBUSY, "the device has a driver")


@DRIVER.store
def unbind_store(devices: Listing, data: bytes) -> None:
    """Unbind a CPU; OSError ENODEV for one that is not, EBUSY as it is not emulated."""
    if devices.make(word(data)) is None:
        raise OSError(ENODEV, "no such device with this driver")
    raise OSError(EBUSY, "unbinding a processor is not emulated")


@DRIVER.store(name="uevent")
def driver_uevent_store(_devices: Listing, data: bytes) -> None:
    """A synthetic uevent; OSError EINVAL for an unknown action."""
    synthetic_uevent(data)


def system_bus_directory(
    name: str, devices: Listing, drivers: dict[str, Directory] | None = None
) -> Directory:
    """/sys/bus/`name`, for devices that are there from boot on and stay."""
    return Directory(
        (BUS.on(devices, f"bus {name}"),),
        {
            "devices": Directory(listings=(devices,)),
            "drivers": Directory(entries=drivers or {}),
        },
    )


def bus_cpu_directory(kernel: Kernel) -> Directory:
    """/sys/bus/cpu."""

    def present() -> int:
        return kernel.cpus.present

    bound = links("cpu", present, "../../../../devices/system")
    processor = Directory((DRIVER.on(bound, "driver processor"),), listings=(bound,))
    devices = links("cpu", present, "../../../devices/system")
    return system_bus_directory("cpu", devices, {"processor": processor})
