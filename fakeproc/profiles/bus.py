"""The VMBus in a profile: its devices and their channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, model_validator

from fakeproc.profiles.cpu_sets import Cpu
from fakeproc.profiles.errors import ContradictionError, Location
from fakeproc.profiles.fields import Counts, Rate, Register, Table, TrafficKind
from fakeproc.protocol.classes import CLASS_GUIDS, MAX_DISK_GIB, STORAGE
from fakeproc.protocol.messages import CONFIDENTIAL_SINCE, CONNECTIONS_SINCE, MAX_RELID

__all__ = ["MAX_RELID", "Device", "MonitorSlot", "Subchannel", "VMBus"]

MAX_CONNECTIONS = 4  # to keep what is shown readable; no host is known to have more than 2
MAX_DELAY_US = 3_600_000_000  # an hour


def _class_guid(value: Any) -> Any:
    """A class by its name here, or by its GUID."""
    if not isinstance(value, str):
        return value  # pydantic says what it should be
    if value in CLASS_GUIDS:
        return CLASS_GUIDS[value]
    try:
        return UUID(value)
    except ValueError:
        raise ValueError(
            f"{value!r} is neither a GUID nor one of: {', '.join(CLASS_GUIDS)}"
        ) from None


Relid = Annotated[int, Field(ge=1, le=MAX_RELID)]
Delay = Annotated[int, Field(ge=0, le=MAX_DELAY_US)]
DiskSize = Annotated[int, Field(ge=1, le=MAX_DISK_GIB)]
ClassGuid = Annotated[UUID, BeforeValidator(_class_guid)]


class MonitorSlot(Table):
    """A channel's slot in the monitor pages; `latency` in units of 100 ns."""

    id: int = Field(ge=0, lt=128)  # which slot
    connection_id: Register  # what the host is signalled by
    latency: Register = 0  # how often the host looks, in units of 100 ns


class _Channel(Table):
    """What primary and sub-channels have in common."""

    relid: Relid  # the channel's number
    monitor: MonitorSlot | None = None  # a table; only storage and network have one
    counts: Counts = Field(
        default={}
    )  # interrupts so far: a list from CPU 0 on, or a table CPU = count
    rate: Rate = 0.0  # interrupts a second, once the quiet time is over
    traffic: TrafficKind = "steady"  # how they are spread over time
    # The CPU that it interrupts when the guest has booted; default: the one that Linux chooses.
    target_cpu: Cpu | None = None


class Subchannel(_Channel):
    """A sub-channel that the host offers when the driver asks for some."""


class Device(_Channel):
    """A VMBus device, in the order in which the host offers them."""

    class_id: ClassGuid = Field(alias="class")  # a name, or a class GUID
    instance: UUID  # the instance GUID, by which sysfs names the device
    subchannels: tuple[Subchannel, ...] = ()  # a list of tables, in the order of the offers
    # Sub-channels beyond those listed, with relids as the host likes.
    more_subchannels: int = Field(default=0, ge=0, lt=MAX_RELID)
    pci: Literal["nic", "mana", "nvme", "none"] = "nic"  # what lies behind a vpci device
    # The disks of a storage controller (scsi, ide, fc), without data: GiB of each, from unit 0 on.
    disks_gib: tuple[DiskSize, ...] = ()
    encrypted: bool = False  # whether the paravisor offers it, on a confidential VMBus
    connection: int = Field(default=1, ge=1, le=MAX_CONNECTIONS)  # on which it is offered
    # Drivers probe devices side by side, so that which SCSI controller becomes
    # host0 is a race on a real machine.  Who is late here says who loses it.
    probe_delay_us: Delay = 0
    subchannel_delay_us: Delay = 0  # the same, until it asks for sub-channels

    @property
    def channels(self) -> tuple[Device | Subchannel, ...]:
        """The primary channel and the sub-channels."""
        return (self, *self.subchannels)


class VMBus(Table):
    """The bus that the host offers, and where Linux hangs it."""

    # The highest version that the host speaks; 4.1 can move channels, 5.3 says when it has.
    protocol: Literal["2.4", "3.0", "4.0", "4.1", "5.0", "5.1", "5.2", "5.3", "6.0"] = "5.3"
    hibernation: bool = False  # whether the ACPI tables let the guest hibernate (S4)
    parent: str = "LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00"  # below /sys/devices
    devices: tuple[Device, ...] = ()  # a list of tables, in the order of the offers
    # Whether the guest is confidential: it takes few classes of devices, and on protocol 6.0,
    # which Linux speaks since 6.19, it knows the paravisor that offers some of them.
    confidential: bool = False
    connections: int = Field(default=1, ge=1, le=MAX_CONNECTIONS)  # several: protocol 5.0
    # Whether a relid means one channel of the guest, or one of each connection.
    relids: Literal["global", "per connection"] = "global"
    # Whether the guest has one IRQ domain for all channels, or one for each connection.
    domains: Literal["global", "per connection"] = "per connection"

    @property
    def version(self) -> tuple[int, int]:
        """The protocol as (major, minor), to compare."""
        major, minor = self.protocol.split(".")
        return int(major), int(minor)

    @property
    def located_channels(self) -> Iterator[tuple[Location, Device | Subchannel]]:
        """Every channel, and where it stands in this table."""
        for number, device in enumerate(self.devices):
            yield ("devices", number), device
            for sub, channel in enumerate(device.subchannels):
                yield ("devices", number, "subchannels", sub), channel

    @model_validator(mode="after")
    def _check(self) -> VMBus:
        encrypted = [at for at, device in enumerate(self.devices) if device.encrypted]
        if encrypted and not (self.confidential and self.version >= CONFIDENTIAL_SINCE):
            raise ContradictionError(
                ("devices", encrypted[0], "encrypted"),
                "only a confidential VMBus has it, on protocol 6.0",
            )
        if self.connections > 1 and self.version < CONNECTIONS_SINCE:
            raise ContradictionError(
                ("connections",), f"protocol {self.protocol} has one connection, 5.0 has several"
            )
        relids: set[tuple[int, int]] = set()
        instances: set[UUID] = set()
        for location, channel in self.located_channels:
            on = self.devices[int(location[1])].connection if self.relids != "global" else 1
            if (on, channel.relid) in relids:
                raise ContradictionError(
                    (*location, "relid"), f"relid {channel.relid} is given to two channels"
                )
            relids.add((on, channel.relid))
        for number, device in enumerate(self.devices):
            if device.connection > self.connections:
                raise ContradictionError(
                    ("devices", number, "connection"), f"the host has {self.connections}"
                )
            if device.disks_gib and device.class_id not in {CLASS_GUIDS[name] for name in STORAGE}:
                raise ContradictionError(
                    ("devices", number, "disks_gib"), "only a storage controller has disks"
                )
            if device.instance in instances:
                raise ContradictionError(
                    ("devices", number, "instance"),
                    f"instance {device.instance} is given to two devices",
                )
            instances.add(device.instance)
        return self
