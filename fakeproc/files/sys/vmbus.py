"""/sys/bus/vmbus: `drivers/base/bus.c`, `driver.c` and `hv_vmbus`'s own files."""

from __future__ import annotations

from errno import EINVAL
from typing import NamedTuple
from uuid import UUID

from fakeproc.files.subjects import device_path
from fakeproc.files.sys.uevent import synthetic_uevent
from fakeproc.files.text.kstrtox import word
from fakeproc.files.tree import Attributes, Directory, Listing, Symlink
from fakeproc.guest.hv.channel import Driver
from fakeproc.guest.kernel import Kernel

__all__ = ["vmbus_directory"]

GUID_LENGTH = 36


class BusDriver(NamedTuple):
    """A driver of the bus, and its kernel."""

    kernel: Kernel
    driver: Driver


BUS = Attributes[Kernel]()
DRIVER = Attributes[BusDriver]()


def _guid(data: bytes) -> UUID:
    """`guid_parse` of the first 36 characters; raises OSError EINVAL."""
    text = data[:GUID_LENGTH].decode("ascii", errors="replace")
    try:
        guid = UUID(text)
    except ValueError:
        guid = None
    if guid is None or str(guid) != text.lower():
        raise OSError(EINVAL, "no GUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
    return guid


@BUS.show
def drivers_autoprobe_show(kernel: Kernel) -> str:
    """Whether a new device is given to a driver at once."""
    return f"{kernel.vmbus.driver_core.autoprobe:d}\n"


@BUS.store
def drivers_autoprobe_store(kernel: Kernel, data: bytes) -> None:
    """Only a `0` in the first place says no."""
    kernel.vmbus.driver_core.autoprobe = not data.startswith(b"0")


@BUS.store
def drivers_probe_store(kernel: Kernel, data: bytes) -> None:
    """Give a device to a driver; OSError ENODEV for one that is not."""
    kernel.vmbus.driver_core.probe(word(data))


@BUS.store
def uevent_store(_kernel: Kernel, data: bytes) -> None:
    """A synthetic uevent; OSError EINVAL for an unknown action."""
    synthetic_uevent(data)


@BUS.show
def hibernation_show(kernel: Kernel) -> str:
    """Whether the host lets the guest hibernate."""
    return f"{kernel.profile.vmbus.hibernation:d}\n"


@DRIVER.store
def bind_store(it: BusDriver, data: bytes) -> None:
    """Bind a device; OSError ENODEV, EBUSY, or what the probe gives."""
    it.kernel.vmbus.driver_core.bind(it.driver, word(data))


@DRIVER.store
def unbind_store(it: BusDriver, data: bytes) -> None:
    """Unbind a device; OSError ENODEV for one that the driver does not have."""
    it.kernel.vmbus.driver_core.unbind(it.driver, word(data))


@DRIVER.store
def new_id_store(it: BusDriver, data: bytes) -> None:
    """Match a class GUID too; OSError EINVAL for no GUID, EEXIST for one it has."""
    it.kernel.vmbus.driver_core.add_id(it.driver, _guid(data))


@DRIVER.store
def remove_id_store(it: BusDriver, data: bytes) -> None:
    """Match it no more; OSError EINVAL for no GUID, ENODEV for one it was not given."""
    it.kernel.vmbus.driver_core.remove_id(it.driver, _guid(data))


@DRIVER.store(name="uevent")
def driver_uevent_store(_it: BusDriver, data: bytes) -> None:
    """A synthetic uevent; OSError EINVAL for an unknown action."""
    synthetic_uevent(data)


def _links(kernel: Kernel, up: str, driver: Driver | None = None) -> Listing:
    """Links to the devices: all of them, or those of one driver."""
    devices = kernel.vmbus.devices

    def make(name: str) -> Symlink | None:
        device = devices.get(name)
        if device is None or (driver is not None and device.driver is not driver):
            return None
        return Symlink(up + device_path(kernel, device))

    def names() -> list[str]:
        return [name for name in devices if make(name) is not None]

    return Listing(Symlink, names, make)


def _driver_directory(kernel: Kernel, driver: Driver) -> Directory:
    return Directory(
        (DRIVER.on(BusDriver(kernel, driver), driver),),
        listings=(_links(kernel, "../../../../", driver),),
        owner=driver,
    )


def vmbus_directory(kernel: Kernel) -> Directory:
    """/sys/bus/vmbus."""
    drivers = kernel.vmbus.driver_core.drivers
    return Directory(
        (BUS.on(kernel),),
        {
            "devices": Directory(listings=(_links(kernel, "../../../"),)),
            "drivers": Directory(
                entries={name: _driver_directory(kernel, d) for name, d in drivers.items()}
            ),
        },
    )
