"""The device types that Linux knows: `drivers/hv/channel_mgmt.c: vmbus_devs[]`.

A type's place in the table is what the sysfs file `device` prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.protocol.classes import CLASS_GUIDS

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["HV_UNKNOWN", "UNSUPPORTED", "DeviceType", "device_type"]


@dataclass(frozen=True, slots=True)
class DeviceType:
    """One row: `perf` devices get their channels spread over the CPUs."""

    index: int
    name: str
    irq_name: str  # patch 3 of the series
    perf: bool = False
    isolated: bool = False  # offered in confidential guests


_TYPES = (
    DeviceType(0x0, "ide", "storvsc", perf=True),
    DeviceType(0x1, "scsi", "storvsc", perf=True, isolated=True),
    DeviceType(0x2, "fc", "storvsc", perf=True),
    DeviceType(0x3, "netvsc", "netvsc", perf=True, isolated=True),
    DeviceType(0x4, "netdirect", "netdirect", perf=True),
    DeviceType(0x5, "vpci", "vpci", isolated=True),
    DeviceType(0x6, "framebuffer", "framebuffer"),
    DeviceType(0x7, "keyboard", "keyboard"),
    DeviceType(0x8, "mouse", "mouse"),
    DeviceType(0x9, "kvp", "kvp"),
    DeviceType(0xA, "timesync", "timesync", isolated=True),
    DeviceType(0xB, "heartbeat", "heartbeat", isolated=True),
    DeviceType(0xC, "shutdown", "shutdown", isolated=True),
    DeviceType(0xD, "fcopy", "fcopy"),
    DeviceType(0xE, "vss", "vss"),
    DeviceType(0xF, "balloon", "balloon"),
)
HV_UNKNOWN = DeviceType(0x10, "unknown", "")

_BY_GUID = {CLASS_GUIDS[row.name]: row for row in _TYPES}

# Windows has drivers for these, Linux has none.  Patch 1 of the series drops
# their offers before a channel is made (`is_unsupported_vmbus_devs`).
UNSUPPORTED = frozenset(CLASS_GUIDS[name] for name in ("avma1", "avma2", "rdv", "imc"))


def device_type(class_id: UUID) -> DeviceType:
    """The row of a class GUID (`hv_get_dev_type`), or HV_UNKNOWN."""
    return _BY_GUID.get(class_id, HV_UNKNOWN)
