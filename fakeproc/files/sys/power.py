"""power/: what `drivers/base/power/sysfs.c` shows of a device without runtime PM."""

from __future__ import annotations

from errno import EBUSY, EINVAL, EIO
from typing import TYPE_CHECKING

from fakeproc.files.text.kstrtox import parse_int
from fakeproc.files.tree import Attributes, Directory, constant

if TYPE_CHECKING:
    from fakeproc.guest.base.device import Device

__all__ = ["device_power_directory"]

POWER = Attributes[None]()
RESUME_LATENCY = Attributes[None]()


@POWER.show
def control_show(_none: None) -> str:
    """Whether the device may be suspended while the machine runs."""
    return "auto\n"


@POWER.store
def control_store(_none: None, data: bytes) -> None:
    """`auto` or `on`: no device here is ever suspended; OSError EINVAL for other words."""
    if data.removesuffix(b"\n") not in {b"auto", b"on"}:
        raise OSError(EINVAL, "neither auto nor on")


@POWER.show
def autosuspend_delay_ms_show(_none: None) -> str:
    """OSError EIO: the driver does not use it."""
    raise OSError(EIO, "the driver does not use autosuspend")


@POWER.store
def autosuspend_delay_ms_store(_none: None, _data: bytes) -> None:
    """OSError EIO: the driver does not use it."""
    raise OSError(EIO, "the driver does not use autosuspend")


@RESUME_LATENCY.show
def pm_qos_resume_latency_us_show(_none: None) -> str:
    """The longest that waking up may take: as long as it likes."""
    return "0\n"


@RESUME_LATENCY.store
def pm_qos_resume_latency_us_store(_none: None, data: bytes) -> None:
    """Limit it; OSError EINVAL for no number, EBUSY for a limit, as no state is ever left."""
    if parse_int(data) != 0:
        raise OSError(EBUSY, "there is no idle state to limit")


# What is the same of every device without runtime power management.
_RUNTIME = {
    "runtime_active_time": constant("0\n"),
    "runtime_status": constant("unsupported\n"),
    "runtime_suspended_time": constant("0\n"),
}


def device_power_directory(device: Device) -> Directory:
    """The directory of a device whose driver has no runtime power management."""
    groups = [POWER.on(None, device)]
    if device.resume_latency:
        groups.append(RESUME_LATENCY.on(None, device))
    return Directory(tuple(groups), _RUNTIME)
