"""The devices, buses and classes of one kernel, and what udev hears of them.

Mirrors `device_add` and `device_del` of `drivers/base/core.c`.
"""

from __future__ import annotations

from errno import EEXIST
from typing import TYPE_CHECKING, Any

from fakeproc.guest.base.device import Class, Device, Kobject
from fakeproc.guest.base.driver_core import DriverCore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakeproc.guest.base.device import Bus, DeviceDriver
    from fakeproc.guest.base.uevents import Uevents
    from fakeproc.timeline import Sleeper

__all__ = ["Devices"]


class Devices:
    """Every device of a kernel, by its place, by its bus and by its class."""

    def __init__(self, uevents: Uevents) -> None:
        self.root = Kobject("devices")
        self.system = self.directory("system")  # `system_kset`
        self.virtual = self.directory("virtual")  # `virtual_device_parent`
        self.buses: dict[str, Bus[Any]] = {}
        self.classes: dict[str, Class] = {}
        self.driver_core = DriverCore(self.uevent)
        self._uevents = uevents

    def directory(self, path: str) -> Kobject:
        """The kobject at `path`, below /sys/devices; made with those above it if need be."""
        here = self.root
        for name in path.split("/"):
            if name not in here.children:
                Kobject(name, here).link()
            here = here.children[name]
        return here

    def add_bus(self, bus: Bus[Any]) -> None:
        """`bus_register`."""
        self.buses[bus.name] = bus

    def subsystem(self, bus: Bus[Any], root: type[Device] = Device) -> None:
        """`subsys_system_register`: a bus whose devices lie in /sys/devices/system/<bus>.

        `root` is the type of that directory, which itself is a device.
        """
        bus.root = root(bus.name, self.system)
        bus.root.link()
        self.add_bus(bus)

    def class_of(self, name: str) -> Class:
        """The class of that name (`class_register` where it is new)."""
        return self.classes.setdefault(name, Class(name))

    def add_driver(self, bus: Bus[Any], driver: DeviceDriver) -> Sleeper[None]:
        """`driver_register`: it takes those unbound devices that it matches."""
        driver.bus = bus
        bus.drivers[driver.name] = driver
        if bus.autoprobe:
            yield from self.driver_core.driver_attach(driver)

    # Devices that come and go

    def add(self, device: Device) -> None:
        """`device_add` without the probe: the device is there, and udev hears of it.

        Raises OSError EEXIST where the name is taken.
        """
        groups = [group for group in (device.bus, device.class_) if group is not None]
        for group in groups:
            if device.name in group.devices:
                raise OSError(EEXIST, f"{group.path} has a device {device.name} already")
        device.container = self._place(device)
        device.link()
        for group in groups:
            group.devices[device.name] = device
        self.uevent(device, "add")

    def register(self, device: Device) -> Sleeper[None]:
        """`device_add`: as `add`, then a driver is looked for."""
        self.add(device)
        if device.bus is not None and device.bus.autoprobe:
            yield from self.driver_core.attach(device)

    def remove(self, device: Device) -> Sleeper[None]:
        """`device_del`: the driver goes, then the device; its children have gone before."""
        device.dead = True
        yield from self.driver_core.detach(device)
        self.forget(device)

    def forget(self, device: Device) -> None:
        """The second half of `device_del`, for a device without a driver."""
        device.dead = True
        for group in (device.bus, device.class_):
            if group is not None:
                del group.devices[device.name]
        device.unlink()
        self.uevent(device, "remove")
        self._drop_glue(device)

    def rename(self, device: Device, name: str) -> None:
        """`device_rename`; the name is known to be free."""
        old = device.path
        groups = [group for group in (device.bus, device.class_) if group is not None]
        for group in groups:
            del group.devices[device.name]
        device.unlink()
        device.name = name
        device.link()
        for group in groups:
            group.devices[name] = device
        self.uevent(device, "move", {"DEVPATH_OLD": f"/{old}"})

    def _place(self, device: Device) -> Kobject:
        """`get_device_parent`: the directory that a device lies in.

        A device of a class lies in a directory named by the class, so that it
        cannot get in the way of what else its parent has, unless the parent is
        of a class itself.
        """
        parent = device.parent
        if device.class_ is None:
            if parent is None and device.bus is not None and device.bus.root is not None:
                return device.bus.root
            return parent or self.root
        if parent is None:
            parent = self.virtual
        elif isinstance(parent, Device) and parent.class_ is not None:
            return parent
        name = device.class_.name
        if name not in parent.children:
            Kobject(name, parent).link()
        return parent.children[name]

    @staticmethod
    def _drop_glue(device: Device) -> None:
        """`cleanup_glue_dir`."""
        glue = device.container
        lies_in_glue = device.class_ is not None and glue is not device.parent
        if glue is not None and lies_in_glue and not glue.children:
            glue.unlink()

    # What udev hears

    def uevent(self, device: Device, action: str, more: Mapping[str, str] | None = None) -> None:
        """`kobject_uevent_env` of a device; one without a bus and a class says nothing.

        `more` is what somebody else has to say, which stands first.
        """
        subsystem = device.subsystem
        if subsystem is None:
            return
        variables = device.uevent_variables()
        if action == "unbind":
            variables.pop("MODALIAS", None)  # zap_modalias_env: udev would load the module again
        self._uevents.emit(
            action, f"/{device.path}", subsystem.name, **{**(more or {}), **variables}
        )
