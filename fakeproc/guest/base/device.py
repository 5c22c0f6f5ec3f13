"""Devices, drivers, buses and classes, which name each other: `include/linux/device.h`.

A `Kobject` is a name in a directory.  A `Device` is a kobject that belongs to
a bus or to a class and that a driver may have bound.  sysfs is derived from
both (files/sys/device.py); nothing here knows a text or a file.

Invariants: a kobject is in `container.children` from `link` to `unlink`; a
device is in `bus.devices` or `class_.devices` exactly as long; `driver` is
set exactly while the device is in `driver.devices`.
"""

from __future__ import annotations

from errno import EEXIST
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fakeproc.locking import Mutex

if TYPE_CHECKING:
    from fakeproc.timeline import Sleeper

__all__ = ["Bus", "Class", "Device", "DeviceDriver", "Kobject"]

D = TypeVar("D", bound="Device")


class Kobject:
    """`struct kobject`: a directory of sysfs, and what lies in it."""

    def __init__(self, name: str, container: Kobject | None = None) -> None:
        self.name = name
        self.container = container
        self.children: dict[str, Kobject] = {}
        self.sd: object = None  # `kobj->sd`: what sysfs keeps of it

    @property
    def path(self) -> str:
        """Where it is, below /sys, without a slash in front."""
        return f"{self.container.path}/{self.name}" if self.container else self.name

    def link(self) -> None:
        """Appear in the container; raises OSError EEXIST where the name is taken."""
        if self.container is not None:
            if self.name in self.container.children:
                raise OSError(EEXIST, f"cannot create duplicate filename '/{self.path}'")
            self.container.children[self.name] = self

    def unlink(self) -> None:
        """Disappear from the container."""
        if self.container is not None:
            del self.container.children[self.name]


class Class:
    """`struct class`: devices by what they do, at `path` whatever bus they are on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = f"class/{name}"
        self.devices: dict[str, Device] = {}


class Device(Kobject):
    """`struct device`.

    `parent` is the device above it, which is not always the directory that it
    lies in (`get_device_parent`).  A subclass is what the kernel embeds the
    struct in; `drvdata` belongs to the driver that is bound.
    """

    type_name: str | None = None  # `dev->type->name`, which its uevents call DEVTYPE
    pm: bool = True  # not `device_set_pm_not_required`: whether it has power/
    resume_latency: bool = False  # whether `dev_pm_qos_expose_latency_limit` was called

    def __init__(
        self,
        name: str,
        parent: Kobject | None = None,
        *,
        bus: Bus[Any] | None = None,
        class_: Class | None = None,
    ) -> None:
        super().__init__(name, parent)
        self.parent = parent
        self.bus = bus
        self.class_ = class_
        self.driver: DeviceDriver | None = None
        self.drvdata: object = None
        self.dead = False  # `dev->p->dead`: it is going, and no driver may have it any more
        self.lock = Mutex()  # `device_lock`: held by whoever binds or unbinds

    @property
    def subsystem(self) -> Bus[Any] | Class | None:
        """What `subsystem` points to."""
        return self.bus or self.class_

    @property
    def modalias(self) -> str | None:
        """What udev finds a driver's module by, or None."""
        return None

    def type_variables(self) -> dict[str, str]:
        """What its bus, class or type adds to its uevents (`->uevent`), in order."""
        return {} if self.modalias is None else {"MODALIAS": self.modalias}

    def uevent_variables(self) -> dict[str, str]:
        """`dev_uevent`: what its uevents say of it, and its file `uevent` shows."""
        variables: dict[str, str] = {}
        if self.type_name is not None:
            variables["DEVTYPE"] = self.type_name
        if self.driver is not None:
            variables["DRIVER"] = self.driver.name
        return variables | self.type_variables()


class DeviceDriver(Kobject):
    """`struct device_driver`: `bus` is set as long as it is registered."""

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
