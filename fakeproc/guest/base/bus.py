"""Buses and their drivers: `struct bus_type`, `struct device_driver` (`drivers/base/bus.c`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fakeproc.guest.base.device import Device, Kobject

if TYPE_CHECKING:
    from fakeproc.timeline import Sleeper

D = TypeVar("D", bound=Device)

__all__ = ["Bus", "DeviceDriver"]


class DeviceDriver(Kobject):
    """`struct device_driver`: `bus` is set as long as it is registered.

    `bind_attributes` is whether user space may bind and unbind
    (`suppress_bind_attrs` is the opposite).
    """

    bind_attributes = True

    def __init__(self, name: str, bus: Bus[Any] | None = None) -> None:
        super().__init__(name)
        self.bus = bus
        self.devices: dict[str, Device] = {}  # those that it has

    @property
    def path(self) -> str:
        """Where it is, below /sys."""
        return f"{self.bus.path}/drivers/{self.name}" if self.bus else self.name


class Bus(Kobject, Generic[D]):
    """`struct bus_type`; a bus of its own kind overrides what it does otherwise.

    `root` is `dev_root`, the device below /sys/devices/system in which the
    devices of a subsystem lie.
    """

    def __init__(self, name: str, root: Device | None = None) -> None:
        super().__init__(name)
        self.root = root
        self.devices: dict[str, D] = {}  # by name, in the order in which they came
        self.drivers: dict[str, DeviceDriver] = {}
        self.autoprobe = True  # drivers_autoprobe

    @property
    def path(self) -> str:
        """Where it is, below /sys."""
        return f"bus/{self.name}"

    def match(self, device: D, driver: DeviceDriver) -> bool:
        """Whether a driver may have a device; without a rule every driver may."""
        del device, driver
        return True

    def probe(self, driver: DeviceDriver, device: D) -> Sleeper[None]:
        """Give a device to a driver; raises OSError where that fails."""
        del driver, device
        yield from ()

    def remove(self, driver: DeviceDriver, device: D) -> Sleeper[None]:
        """Take a device from its driver; nothing refuses."""
        del driver, device
        yield from ()

    def unbound(self, device: D) -> Sleeper[None]:
        """What a write to `unbind` waits for after the driver is gone."""
        del device
        yield from ()
