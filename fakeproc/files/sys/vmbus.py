"""/sys/bus/vmbus: the files of the bus and of its drivers that only they have."""

from __future__ import annotations

from errno import EINVAL
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from fakeproc.files.sys.device import shows
from fakeproc.files.tree import Attributes, Directory
from fakeproc.guest.hv.bus_type import HvBus
from fakeproc.guest.hv.channel import Driver
from fakeproc.guest.kernel import Kernel

if TYPE_CHECKING:
    from fakeproc.timeline import Sleeper

__all__: list[str] = []

GUID_LENGTH = 36


class HvDriver(NamedTuple):
    """A driver of the bus, and its kernel."""

    kernel: Kernel
    driver: Driver


BUS = Attributes[Kernel]()
DRIVER = Attributes[HvDriver]()


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
def hibernation_show(kernel: Kernel) -> str:
    """Whether the host lets the guest hibernate."""
    return f"{kernel.profile.vmbus.hibernation:d}\n"


@DRIVER.store
def new_id_store(it: HvDriver, data: bytes) -> Sleeper[None]:
    """Match a class GUID too; OSError EINVAL for no GUID, EEXIST for one it has."""
    yield from it.kernel.vmbus.bus.add_id(it.driver, _guid(data))


@DRIVER.store
def remove_id_store(it: HvDriver, data: bytes) -> None:
    """Match it no more; OSError EINVAL for no GUID, ENODEV for one it was not given."""
    it.kernel.vmbus.bus.remove_id(it.driver, _guid(data))


@shows(HvBus)
def hv_bus_files(kernel: Kernel, bus: HvBus) -> Directory:
    """/sys/bus/vmbus."""
    return Directory((BUS.on(kernel, bus),))


@shows(Driver)  # type: ignore[type-abstract]  # it is looked up, never called
def driver_files(kernel: Kernel, driver: Driver) -> Directory:
    """/sys/bus/vmbus/drivers/<name>."""
    return Directory((DRIVER.on(HvDriver(kernel, driver), driver),))
