"""Devices meet drivers: `drivers/base/dd.c`, and what user space asks of `bus.c`.

A device's lock is held while it is bound or unbound.  Whatever is held across
a sleep is looked at again afterwards: the device may have died meanwhile.
"""

from __future__ import annotations

from errno import EBUSY, EINVAL, ENODEV
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.guest.base.device import Bus, Device, DeviceDriver
    from fakeproc.timeline import Sleeper

__all__ = ["DriverCore", "override_name"]

LONGEST_OVERRIDE = 4095  # bytes, without the terminating NUL: a page


def override_name(text: bytes) -> str | None:
    """`driver_set_override`: the driver's name that is written, None where it is lifted.

    Raises OSError EINVAL for a name that does not fit into a page.
    """
    if len(text) >= LONGEST_OVERRIDE:
        raise OSError(EINVAL, "the name does not fit into a page")
    return text.split(b"\n", 1)[0].decode(errors="surrogateescape") or None


def _bus_of(device: Device) -> Bus[Any]:
    if device.bus is None:
        raise OSError(ENODEV, f"{device.name} is on no bus")
    return device.bus


class DriverCore:
    """Binds and unbinds, for every bus of a kernel."""

    def __init__(self, uevent: Callable[[Device, str], None]) -> None:
        self._uevent = uevent

    def attach(self, device: Device) -> Sleeper[None]:
        """`device_attach`: bind a device to the first driver that wants it, if any.

        A probe that fails leaves it without one.
        """
        bus = _bus_of(device)
        for driver in bus.drivers.values():
            if bus.match(device, driver):
                yield from self._try(driver, device)
                return

    def driver_attach(self, driver: DeviceDriver) -> Sleeper[None]:
        """`driver_attach`: let a driver take those unbound devices that it matches."""
        bus = driver.bus
        for device in list(bus.devices.values()) if bus else ():
            if device.driver is None and not device.dead and _bus_of(device).match(device, driver):
                yield from self._try(driver, device)

    def _try(self, driver: DeviceDriver, device: Device) -> Sleeper[None]:
        with (yield from device.lock.acquire()):
            if device.driver is not None or device.dead:
                return
            try:
                yield from self._really_probe(driver, device)
            except OSError:
                return  # the bus has said so in the log

    def _really_probe(self, driver: DeviceDriver, device: Device) -> Sleeper[None]:
        device.driver = driver
        try:
            yield from _bus_of(device).probe(driver, device)
        except OSError:
            device.driver = device.drvdata = None
            raise
        driver.devices[device.name] = device
        self._uevent(device, "bind")

    def detach(self, device: Device, driver: DeviceDriver | None = None) -> Sleeper[None]:
        """`device_release_driver`.

        Raises OSError ENODEV where a `driver` is named and the device has
        another one, or none.
        """
        with (yield from device.lock.acquire()):
            bound = device.driver
            if driver is not None and driver is not bound:
                raise OSError(ENODEV, f"{device.name} is not bound to {driver.name}")
            if bound is not None:
                yield from _bus_of(device).remove(bound, device)
                device.driver = device.drvdata = None
                del bound.devices[device.name]
                self._uevent(device, "unbind")

    # What user space asks for

    def bind(self, driver: DeviceDriver, name: str) -> Sleeper[None]:
        """`bind_store`.

        Raises OSError: ENODEV for a device that the bus does not have, that
        the driver does not match or that is going; EBUSY for one that is
        bound; else what the probe raises.
        """
        bus = driver.bus
        device = bus.devices.get(name) if bus else None
        if bus is None or device is None or not bus.match(device, driver):
            raise OSError(ENODEV, f"{driver.name} has no match for a device {name!r}")
        with (yield from device.lock.acquire()):
            if device.dead:
                raise OSError(ENODEV, f"{device.name} is going")
            if device.driver is not None:
                raise OSError(EBUSY, f"{device.name} is bound to {device.driver.name}")
            yield from self._really_probe(driver, device)

    def unbind(self, driver: DeviceDriver, name: str) -> Sleeper[None]:
        """`unbind_store`; OSError ENODEV for a device that the driver does not have."""
        device = driver.bus.devices.get(name) if driver.bus else None
        if device is None or device.driver is not driver:
            raise OSError(ENODEV, f"{driver.name} is not bound to a device {name!r}")
        yield from self.detach(device, driver)
        yield from _bus_of(device).unbound(device)

    def probe(self, bus: Bus[Any], name: str) -> Sleeper[None]:
        """`drivers_probe_store`; OSError ENODEV for a device that the bus does not have."""
        device = bus.devices.get(name)
        if device is None:
            raise OSError(ENODEV, f"the bus {bus.name} has no device {name!r}")
        yield from self.attach(device)
