"""The services of `drivers/hv/hv_util.c`, the balloon, input and display: one channel each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.hv.device_types import DeviceType
from fakeproc.guest.hv.drivers.simple import KIB, SimpleDriver, ring_size

if TYPE_CHECKING:
    from fakeproc.guest.hv.channel_ops import ChannelOps

__all__ = ["DEVICE_TYPES", "balloon", "display", "keyboard", "mouse", "utils"]

DEVICE_TYPES = (
    DeviceType(0x6, "framebuffer", "framebuffer"),
    DeviceType(0x7, "keyboard", "keyboard"),
    DeviceType(0x8, "mouse", "mouse"),
    DeviceType(0x9, "kvp", "kvp"),
    DeviceType(0xA, "timesync", "timesync", isolated=True),
    DeviceType(0xB, "heartbeat", "heartbeat", isolated=True),
    DeviceType(0xC, "shutdown", "shutdown", isolated=True),
    DeviceType(0xE, "vss", "vss"),
    DeviceType(0xF, "balloon", "balloon"),
)


def utils(ops: ChannelOps, *, fcopy: bool) -> SimpleDriver:
    """`drivers/hv/hv_util.c`; `fcopy` says whether it takes the file copy service too."""
    classes = ("shutdown", "timesync", "heartbeat", "kvp", "vss")
    return SimpleDriver(
        ops, "hv_utils", (*classes, "fcopy") if fcopy else classes, ring_size(12 * KIB)
    )


def balloon(ops: ChannelOps) -> SimpleDriver:
    """`drivers/hv/hv_balloon.c`."""
    return SimpleDriver(ops, "hv_balloon", ("balloon",), ring_size(16 * KIB))


def mouse(ops: ChannelOps) -> SimpleDriver:
    """`drivers/hid/hid-hyperv.c`."""
    return SimpleDriver(ops, "hid_hyperv", ("mouse",), ring_size(36 * KIB))


def keyboard(ops: ChannelOps) -> SimpleDriver:
    """`drivers/input/serio/hyperv-keyboard.c`."""
    return SimpleDriver(ops, "hyperv_keyboard", ("keyboard",), ring_size(36 * KIB))


def display(ops: ChannelOps) -> SimpleDriver:
    """`drivers/gpu/drm/hyperv`."""
    return SimpleDriver(ops, "hyperv_drm", ("framebuffer",), ring_size(256 * KIB))
