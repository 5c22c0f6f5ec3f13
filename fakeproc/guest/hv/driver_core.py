"""Devices meet drivers: `drivers/base/bus.c`, `dd.c` and `hv_vmbus`'s part of it."""

from __future__ import annotations

from errno import EBUSY, EEXIST, EINVAL, ENODEV
from typing import TYPE_CHECKING, Protocol

from fakeproc.guest.log import KERN_ERR

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from fakeproc.guest.hv.channel import Driver, VmbusDevice
    from fakeproc.guest.log import KernelLog
    from fakeproc.timeline import Sleeper, Timeline

__all__ = ["DriverCore", "Prober"]


class Prober(Protocol):
    """What the bus does when a driver meets a device."""

    def probe(self, driver: Driver, device: VmbusDevice) -> Sleeper[None]:
        """Let the driver open the device; raises OSError."""

    def remove(self, driver: Driver, device: VmbusDevice) -> Sleeper[None]:
        """Let the driver close the device."""

    def subchannels_gone(self, device: VmbusDevice) -> Sleeper[None]:
        """Wait until a closed device has no sub-channels any more."""

    def uevent(self, device: VmbusDevice, action: str, **more: str) -> None:
        """Tell udev of a device."""


class DriverCore:
    """Which driver has which device, and who decides."""

    def __init__(
        self,
        timeline: Timeline,
        log: KernelLog,
        bus: Prober,
        devices: Mapping[str, VmbusDevice],
        drivers: list[Driver],
    ) -> None:
        self.drivers = {driver.name: driver for driver in drivers}
        self.autoprobe = True
        self._timeline = timeline
        self._log = log
        self._bus = bus
        self._devices = devices

    def match(self, device: VmbusDevice) -> Driver | None:
        """The first driver that wants the device."""
        return next((d for d in self.drivers.values() if d.matches(device)), None)

    def attach(self, device: VmbusDevice, driver: Driver | None = None) -> Sleeper[None]:
        """`device_attach`: bind a device to the first driver that wants it, if any.

        Or, as `driver_attach` does, to a driver that is named.  A driver whose
        probe fails is said so in the log, and the device stays without one.
        """
        driver = driver or self.match(device)
        if driver is None:
            return
        primary = device.primary  # which may go while somebody else has the lock
        yield from device.lock.acquire()
        try:
            if device.driver is None and not primary.rescinded:
                yield from self._really_probe(driver, device)
        except OSError as error:
            self._say_probe_failed(device, error)
        finally:
            device.lock.release()

    def _really_probe(self, driver: Driver, device: VmbusDevice) -> Sleeper[None]:
        device.driver = driver
        try:
            yield from self._bus.probe(driver, device)
        except OSError:
            device.driver = None
            raise
        self._bus.uevent(device, "bind", DRIVER=driver.name, MODALIAS=device.modalias)

    def _say_probe_failed(self, device: VmbusDevice, error: OSError) -> None:
        self._log.say(
            f"hv_vmbus: probe failed for device {device.name} ({-(error.errno or 0)})", KERN_ERR
        )

    def detach(self, device: VmbusDevice, driver: Driver | None = None) -> Sleeper[None]:
        """`device_release_driver`.

        Raises OSError ENODEV where a `driver` is named and the device has
        another one, or none.
        """
        yield from device.lock.acquire()
        try:
            if driver not in {None, device.driver}:
                raise OSError(ENODEV, f"{device.name} is not bound")
            if device.driver is not None:
                yield from self._bus.remove(device.driver, device)
                device.driver = None
                self._bus.uevent(device, "unbind")
        finally:
            device.lock.release()

    # What user space asks for.  Each waits until the work is done, as the
    # write(2) that asks does.

    def bind(self, driver: Driver, name: str) -> None:
        """`bind_store`.

        Raises OSError: ENODEV for a device that is not or that the driver does
        not match, EBUSY for one that is bound, else what the probe raises.
        """
        device = self._devices.get(name)
        if device is None or not driver.matches(device):
            raise OSError(ENODEV, f"{driver.name} has no match for a device {name!r}")
        self._timeline.finish(self._bind(driver, device))

    def _bind(self, driver: Driver, device: VmbusDevice) -> Sleeper[None]:
        primary = device.primary  # which may go while somebody else has the lock
        yield from device.lock.acquire()
        try:
            if primary.rescinded:
                raise OSError(ENODEV, f"{device.name} is going")
            if device.driver is not None:
                raise OSError(EBUSY, f"{device.name} is bound to {device.driver.name}")
            try:
                yield from self._really_probe(driver, device)
            except OSError as error:
                self._say_probe_failed(device, error)
                raise
        finally:
            device.lock.release()

    def unbind(self, driver: Driver, name: str) -> None:
        """`unbind_store`; OSError ENODEV for a device that the driver does not have."""
        device = self._devices.get(name)
        if device is None or device.driver is not driver:
            raise OSError(ENODEV, f"{driver.name} is not bound to a device {name!r}")
        self._timeline.finish(self._unbind(driver, device))

    def _unbind(self, driver: Driver, device: VmbusDevice) -> Sleeper[None]:
        yield from self.detach(device, driver)
        yield from self._bus.subchannels_gone(device)

    def probe(self, name: str) -> None:
        """`drivers_probe_store`; OSError ENODEV for a device that is not."""
        device = self._devices.get(name)
        if device is None:
            raise OSError(ENODEV, f"there is no device {name!r}")
        self._timeline.finish(self.attach(device))

    def add_id(self, driver: Driver, class_id: UUID) -> None:
        """`new_id_store`: match a class from now on, and take the unbound devices of it.

        Raises OSError EEXIST where the driver matches it by new_id already.
        """
        if class_id in driver.dynamic_ids:
            raise OSError(EEXIST, f"{driver.name} has been given {class_id} already")
        driver.dynamic_ids.append(class_id)
        for device in list(self._devices.values()):
            if device.driver is None and driver.matches(device):
                self._timeline.finish(self.attach(device, driver))

    def remove_id(self, driver: Driver, class_id: UUID) -> None:
        """`remove_id_store`; OSError ENODEV for a class that new_id did not give."""
        if class_id not in driver.dynamic_ids:
            raise OSError(ENODEV, f"{driver.name} was not given {class_id} by new_id")
        driver.dynamic_ids.remove(class_id)

    def override(self, device: VmbusDevice, text: bytes) -> None:
        """`driver_set_override`: let one driver only have the device; nothing lifts that.

        Raises OSError EINVAL for a name that does not fit into a page.
        """
        if len(text) >= 4095:
            raise OSError(EINVAL, "the name does not fit into a page")
        name = text.split(b"\n", 1)[0].decode(errors="surrogateescape")
        device.driver_override = name or None
