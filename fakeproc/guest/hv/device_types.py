"""A type of VMBus device, as Linux knows it: a row of `drivers/hv/channel_mgmt.c: vmbus_devs[]`.

Each row is in the module of the driver that takes such devices (`drivers/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.protocol.classes import CLASS_GUIDS

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["HV_UNKNOWN", "UNSUPPORTED", "DeviceType", "index_by_class"]


@dataclass(frozen=True, slots=True)
class DeviceType:
    """One row.

    `index` is its place in the table, which the sysfs file `device` prints;
    `name` is that of its class in `CLASS_GUIDS`.
    """

    index: int
    name: str
    irq_name: str  # of a channel that its driver gives no other name (patch 3 of the series)
    perf: bool = False  # whether its channels are spread over the CPUs
    isolated: bool = False  # `allowed_in_isolated`: taken by a confidential guest too


HV_UNKNOWN = DeviceType(0x10, "unknown", "")

# Windows has drivers for these, Linux has none.  Patch 1 of the series drops
# their offers before a channel is made (`is_unsupported_vmbus_devs`).
UNSUPPORTED = frozenset(CLASS_GUIDS[name] for name in ("avma1", "avma2", "rdv", "imc"))


def index_by_class(*rows: DeviceType) -> dict[UUID, DeviceType]:
    """The rows by their class GUID."""
    return {CLASS_GUIDS[row.name]: row for row in rows}
