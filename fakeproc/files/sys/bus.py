"""/sys/bus and /sys/class, derived from buses and classes: `drivers/base/bus.c`, `class.c`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fakeproc.files.sys.device import extended, links
from fakeproc.files.sys.uevent import synthetic_uevent
from fakeproc.files.text.kstrtox import word
from fakeproc.files.tree import Attributes, Directory, Listing
from fakeproc.guest.base.device import Bus, DeviceDriver
from fakeproc.guest.kernel import Kernel

if TYPE_CHECKING:
    from fakeproc.guest.base.device import Class
    from fakeproc.timeline import Sleeper

__all__ = ["BusDriver", "bus_directory", "class_directory"]


class BusOf(NamedTuple):
    """A bus, and its kernel."""

    kernel: Kernel
    bus: Bus[Any]


class BusDriver(NamedTuple):
    """A driver, and its kernel."""

    kernel: Kernel
    driver: DeviceDriver


BUS = Attributes[BusOf]()
DRIVER = Attributes[BusDriver]()
BINDING = Attributes[BusDriver]()


@BUS.show
def drivers_autoprobe_show(it: BusOf) -> str:
    """Whether a new device is given to a driver at once."""
    return f"{it.bus.autoprobe:d}\n"


@BUS.store
def drivers_autoprobe_store(it: BusOf, data: bytes) -> None:
    """Only a `0` in the first place says no."""
    it.bus.autoprobe = not data.startswith(b"0")


@BUS.store
def drivers_probe_store(it: BusOf, data: bytes) -> Sleeper[None]:
    """Give a device to a driver; OSError ENODEV for one that is not."""
    yield from it.kernel.devices.driver_core.probe(it.bus, word(data))


@BUS.store(name="uevent")
def bus_uevent_store(it: BusOf, data: bytes) -> None:
    """A synthetic uevent of the bus; OSError EINVAL for an unknown action."""
    action, more = synthetic_uevent(data)
    it.kernel.uevents.emit(action, f"/{it.bus.path}", "bus", **more)


@DRIVER.store(name="uevent")
def driver_uevent_store(it: BusDriver, data: bytes) -> None:
    """A synthetic uevent of the driver; OSError EINVAL for an unknown action."""
    action, more = synthetic_uevent(data)
    it.kernel.uevents.emit(action, f"/{it.driver.path}", "drivers", **more)


@BINDING.store
def bind_store(it: BusDriver, data: bytes) -> Sleeper[None]:
    """Bind a device; OSError ENODEV, EBUSY, or what the probe gives."""
    yield from it.kernel.devices.driver_core.bind(it.driver, word(data))


@BINDING.store
def unbind_store(it: BusDriver, data: bytes) -> Sleeper[None]:
    """Unbind a device; OSError ENODEV for one that the driver does not have."""
    yield from it.kernel.devices.driver_core.unbind(it.driver, word(data))


def bus_directory(kernel: Kernel, bus: Bus[Any]) -> Directory:
    """/sys/bus/<name>."""
    if not isinstance(bus.sd, Directory):
        drivers = Listing(Directory, lambda: bus.drivers, lambda name: _driver(kernel, bus, name))
        common = Directory(
            (BUS.on(BusOf(kernel, bus), bus),),
            {
                "devices": Directory(listings=(links(f"{bus.path}/devices", bus.devices),)),
                "drivers": Directory(listings=(drivers,)),
            },
        )
        bus.sd = extended(kernel, bus, common)
    return bus.sd


def _driver(kernel: Kernel, bus: Bus[Any], name: str) -> Directory | None:
    """/sys/bus/<name>/drivers/<name>."""
    driver = bus.drivers.get(name)
    if driver is None:
        return None
    if not isinstance(driver.sd, Directory):
        it = BusDriver(kernel, driver)
        groups = (DRIVER.on(it, driver), BINDING.on(it, driver))
        devices = links(driver.path, driver.devices)
        driver.sd = extended(kernel, driver, Directory(groups, listings=(devices,)))
    return driver.sd


def class_directory(class_: Class) -> Directory:
    """/sys/class/<name>."""
    return Directory(listings=(links(class_.path, class_.devices),))
