"""The VMBus as a bus of devices: `hv_bus` and the attributes of its drivers (`vmbus_drv.c`)."""

from __future__ import annotations

from errno import EEXIST, ENODEV
from typing import TYPE_CHECKING

from fakeproc.guest.base.device import Bus
from fakeproc.guest.base.driver_core import override_name
from fakeproc.guest.hv.channel import Driver, VmbusDevice
from fakeproc.guest.log import KERN_ERR

if TYPE_CHECKING:
    from uuid import UUID

    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.base.device import DeviceDriver
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.guest.log import KernelLog
    from fakeproc.timeline import Sleeper

__all__ = ["HvBus"]


class HvBus(Bus[VmbusDevice]):
    """`hv_bus`: matches by class GUID, by override, or by what new_id added."""

    def __init__(self, devices: Devices, ops: ChannelOps, log: KernelLog) -> None:
        super().__init__("vmbus")
        self._core = devices.driver_core
        self._ops = ops
        self._log = log

    def match(self, device: VmbusDevice, driver: DeviceDriver) -> bool:
        """`vmbus_match`."""
        return isinstance(driver, Driver) and driver.matches(device)

    def probe(self, driver: DeviceDriver, device: VmbusDevice) -> Sleeper[None]:
        """`vmbus_probe`: let a driver open a device.  Raises OSError, and logs it."""
        if not isinstance(driver, Driver):
            return
        try:
            yield from driver.probe(device)
        except OSError as error:
            self._log.say(
                f"hv_vmbus: probe failed for device {device.name} ({-(error.errno or 0)})",
                KERN_ERR,
            )
            raise

    def remove(self, driver: DeviceDriver, device: VmbusDevice) -> Sleeper[None]:
        """`vmbus_remove`: let a driver close a device."""
        if isinstance(driver, Driver):
            yield from driver.remove(device)

    def unbound(self, device: VmbusDevice) -> Sleeper[None]:
        """Wait until a closed device has no sub-channels any more."""
        yield from self._ops.subchannels_gone(device)

    # Attributes of drivers and devices

    def add_id(self, driver: Driver, class_id: UUID) -> Sleeper[None]:
        """`new_id_store`: match a class from now on, and take the unbound devices of it.

        Raises OSError EEXIST where new_id has added it to the driver already.
        """
        if class_id in driver.dynamic_ids:
            raise OSError(EEXIST, f"{driver.name} has been given {class_id} already")
        driver.dynamic_ids.append(class_id)
        yield from self._core.driver_attach(driver)

    def remove_id(self, driver: Driver, class_id: UUID) -> None:
        """`remove_id_store`; OSError ENODEV for a class that new_id did not give."""
        if class_id not in driver.dynamic_ids:
            raise OSError(ENODEV, f"{driver.name} was not given {class_id} by new_id")
        driver.dynamic_ids.remove(class_id)

    def override(self, device: VmbusDevice, text: bytes) -> None:
        """`driver_set_override`: only that driver may have the device; an empty name lifts it.

        Raises OSError EINVAL for a name that does not fit into a page.
        """
        device.driver_override = override_name(text)
