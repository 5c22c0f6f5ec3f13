"""A device left to user space: `drivers/uio/uio.c`."""

from __future__ import annotations

from fakeproc.files.sys.device import shows
from fakeproc.files.tree import Attributes, Directory
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.uio import UIO_MAJOR, UioClassDevice, UioMap

__all__: list[str] = []

UIO = Attributes[UioClassDevice]()
MAP = Attributes[UioMap]()


@UIO.show
def dev_show(device: UioClassDevice) -> str:
    """The numbers of /dev/uio<n>, major:minor."""
    return f"{UIO_MAJOR}:{device.number}\n"


@UIO.show
def event_show(_device: UioClassDevice) -> str:
    """Interrupts so far: none, as nobody can open it."""
    return "0\n"


@UIO.show
def name_show(device: UioClassDevice) -> str:
    """What its driver calls itself."""
    return f"{device.info_name}\n"


@UIO.show
def version_show(device: UioClassDevice) -> str:
    """The version of its driver."""
    return f"{device.version}\n"


@MAP.show
def addr_show(it: UioMap) -> str:
    """Where the memory begins."""
    return f"0x{it.memory.address:016x}\n"


@MAP.show(name="name")
def map_name_show(it: UioMap) -> str:
    """What the memory is."""
    return f"{it.memory.name}\n"


@MAP.show
def offset_show(_it: UioMap) -> str:
    """Where in its first page it begins."""
    return "0x0\n"


@MAP.show
def size_show(it: UioMap) -> str:
    """Bytes."""
    return f"0x{it.memory.size:016x}\n"


@shows(UioClassDevice)
def uio_files(_kernel: Kernel, device: UioClassDevice) -> Directory:
    """/sys/devices/…/uio/uio<n>."""
    return Directory((UIO.on(device),))


@shows(UioMap)
def map_files(_kernel: Kernel, it: UioMap) -> Directory:
    """maps/map<n>."""
    return Directory((MAP.on(it),))
