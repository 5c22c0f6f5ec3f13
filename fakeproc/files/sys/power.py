"""power/: what `drivers/base/power/sysfs.c` shows of a device without runtime PM."""

from __future__ import annotations

from errno import EINVAL, EIO

from fakeproc.files.tree import Attributes, Directory, constant

__all__ = ["device_power_directory"]

POWER = Attributes[None]()


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


def device_power_directory() -> Directory:
    """The directory of a device whose driver has no runtime power management."""
    return Directory(
        (POWER.on(None, "power"),),
        {
            "runtime_active_time": constant("0\n"),
            "runtime_status": constant("unsupported\n"),
            "runtime_suspended_time": constant("0\n"),
        },
    )
