"""A VMBus device's directory: `drivers/hv/vmbus_drv.c: vmbus_dev_attrs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.files.kernels.versions import shown
from fakeproc.files.subjects import Device
from fakeproc.files.sys.device import shows
from fakeproc.files.sys.vmbus_channel import ring_of
from fakeproc.files.tree import Attributes, Directory
from fakeproc.guest.hv.channel import VmbusDevice
from fakeproc.guest.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.guest.hv.ring import Ring
    from fakeproc.protocol.messages import Monitor

__all__: list[str] = []

DEVICE = Attributes[Device]()

MICROSOFT = 0x1414


def _has_monitor(it: Device) -> bool:
    """`vmbus_dev_attr_is_visible`: the monitor files exist where a slot does."""
    return it.device.offer.monitor is not None


@DEVICE.show
def id_show(it: Device) -> str:
    """The relid of the primary channel."""
    return f"{it.device.primary.relid}\n"


@DEVICE.show
def state_show(it: Device) -> str:
    """The state of the primary channel: 2 when offered, 3 when opened."""
    return f"{it.device.primary.state:d}\n"


@DEVICE.show
def class_id_show(it: Device) -> str:
    """The class GUID."""
    return f"{{{it.device.offer.class_id}}}\n"


@DEVICE.show
def device_id_show(it: Device) -> str:
    """The instance GUID."""
    return f"{{{it.device.offer.instance_id}}}\n"


@DEVICE.show
def modalias_show(it: Device) -> str:
    """What udev finds the driver by."""
    return f"{it.device.modalias}\n"


@DEVICE.show
def numa_node_show(it: Device) -> str:
    """The node of the CPU that the primary channel interrupts."""
    return f"{it.kernel.cpus.node_of(it.device.primary.target_cpu)}\n"


@DEVICE.show
def channel_vp_mapping_show(it: Device) -> str:
    """A line `relid:cpu` for each channel, the primary first."""
    return "".join(f"{c.relid}:{c.target_cpu}\n" for c in it.device.channels)


@DEVICE.show
def vendor_show(_it: Device) -> str:
    """Microsoft, always."""
    return f"{MICROSOFT:#x}\n"


@DEVICE.show
def device_show(it: Device) -> str:
    """The place in Linux's table of device types."""
    return f"{it.device.type.index:#x}\n"


def _declare_monitor_files() -> None:
    """Both ends of the monitor slot: the server (host to guest) and the client."""
    values: dict[str, Callable[[Monitor], int]] = {
        "pending": lambda _monitor: 0,
        "latency": lambda monitor: monitor.latency,
        "conn_id": lambda monitor: monitor.connection_id,
    }

    def show(value: Callable[[Monitor], int]) -> Callable[[Device], str]:
        def index_show(it: Device) -> str:
            monitor = it.device.offer.monitor
            return f"{value(monitor) if monitor else 0}\n"

        return index_show

    DEVICE.show(name="monitor_id", visible=_has_monitor)(show(lambda monitor: monitor.id))
    for end in ("server", "client"):
        for name, value in values.items():
            DEVICE.show(name=f"{end}_monitor_{name}", visible=_has_monitor)(show(value))


def _declare_ring_files() -> None:
    """What both rings of the primary channel look like; EINVAL while it has none."""
    values: dict[str, Callable[[Ring], int]] = {
        "intr_mask": lambda _ring: 0,  # both ends want every interrupt
        "read_index": lambda ring: ring.index,
        "write_index": lambda ring: ring.index,
        "read_bytes_avail": lambda _ring: 0,
        "write_bytes_avail": lambda ring: ring.data_size,
    }

    def show(direction: str, value: Callable[[Ring], int]) -> Callable[[Device], str]:
        def index_show(it: Device) -> str:
            outbound, inbound = it.device.primary.rings
            number = value(ring_of(outbound if direction == "out" else inbound))
            if not (direction == "out" and shown(it.kernel).index_is_unsigned):
                number -= (number & 1 << 31) << 1  # %d of an u32
            return f"{number}\n"

        return index_show

    for direction in ("out", "in"):
        for name, value in values.items():
            DEVICE.show(name=f"{direction}_{name}")(show(direction, value))


_declare_monitor_files()
_declare_ring_files()


@DEVICE.show
def driver_override_show(it: Device) -> str:
    """The only driver that may bind, or (null)."""
    return f"{it.device.driver_override or '(null)'}\n"


@DEVICE.store
def driver_override_store(it: Device, data: bytes) -> None:
    """`driver_set_override`; OSError EINVAL for a name of a page or more."""
    it.kernel.vmbus.bus.override(it.device, data)


@shows(VmbusDevice)
def vmbus_device_files(kernel: Kernel, device: VmbusDevice) -> Directory:
    """/sys/devices/…/<instance GUID>."""
    return Directory((DEVICE.on(Device(kernel, device), device),))
