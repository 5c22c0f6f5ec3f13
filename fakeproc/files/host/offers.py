"""Devices and connections that come and go: the commands of `host/offer` and `host/rescind`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from fakeproc.files.host.words import (
    Action,
    at_most,
    channel_with,
    guid_of,
    is_relid,
    one_of,
    quoted,
    whole,
)
from fakeproc.guest.pci.models import MODELS
from fakeproc.host.devices import MAX_RELID
from fakeproc.protocol.classes import HV_SOCK, MAX_DISK_GIB, MAX_PORT, STORAGE, service_of_port

if TYPE_CHECKING:
    from fakeproc.host.devices import HostChannel, HostDevice
    from fakeproc.machine import Machine

__all__ = ["offer_command", "rescind_command"]

OPTIONS = ("guid", "relid", "subchannels", "pci", "disks", "count", "connection")
SOCKET_OPTIONS = ("guid", "relid", "count", "port", "service", "initiator")
INITIATORS = ("host", "guest")


def offer_command(machine: Machine, words: list[str]) -> Action:
    """`CLASS [count=N] [guid=G] [relid=N] [subchannels=N] [pci=nic|mana|nvme] [connection=N]`.

    A storage controller also: `disks=GIB,GIB...`, the sizes of its disks.
    A connection by socket: `hv_sock [count=N] [guid=G] [relid=N]
    [port=N|service=GUID] [initiator=host|guest]`.
    """
    if not machine.profile.hyperv:
        raise ValueError("the machine is no guest of Hyper-V, and has no VMBus")
    if words[0] == HV_SOCK:
        return _connections(machine, _options(words[1:], SOCKET_OPTIONS))
    options = _options(words[1:], OPTIONS)
    subchannels = whole(
        options.get("subchannels", "0"), "a number of sub-channels", 0, MAX_RELID - 1
    )
    pci = one_of(options.get("pci", "nic"), tuple(MODELS))
    sizes = options["disks"].split(",") if "disks" in options else []
    disks = [whole(size, "GiB of a disk", 1, MAX_DISK_GIB) for size in sizes]
    if disks and words[0] not in STORAGE:
        raise ValueError(f"disks= is for {', '.join(STORAGE)}")
    guid, relid, inventory = _guid(options), _relid(options), machine.inventory
    connections = len(machine.host.connections)
    connection = whole(options.get("connection", "1"), "a connection", 1, connections) - 1
    devices = [
        inventory.plan(words[0], guid, relid, subchannels, pci, connection, disks)
        for _ in range(_count(options))
    ]
    return lambda: _offer(machine, devices)


def _connections(machine: Machine, options: dict[str, str]) -> Action:
    service = _service(options)
    guid, relid, inventory = _guid(options), _relid(options), machine.inventory
    initiator = one_of(options.get("initiator", "host"), INITIATORS)
    count = _count(options)
    if initiator == "guest":
        taken = {option for option in ("guid", "relid") if option in options}
        if taken:
            raise ValueError(f"where the guest connects, {min(taken)}= is not yours to choose")
        endpoints = [inventory.plan_connect(service) for _ in range(count)]
        return lambda: _connect(machine, endpoints)
    devices = [inventory.plan_socket(service, guid, relid) for _ in range(count)]
    return lambda: _offer(machine, devices)


def _offer(machine: Machine, devices: list[HostDevice]) -> None:
    for device in devices:
        machine.inventory.offer(device)


def _connect(machine: Machine, endpoints: list[HostDevice]) -> None:
    """Programs in the guest connect; raises OSError where one cannot even send its request."""
    for endpoint in endpoints:
        machine.kernel.vmbus.sockets.connect(endpoint.class_id, endpoint.instance)


def _options(words: list[str], allowed: tuple[str, ...]) -> dict[str, str]:
    options: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in allowed or key in options:
            known = ", ".join(f"{option}=" for option in allowed)
            raise ValueError(f"{quoted(word)} is none of {known}, or is there twice")
        options[key] = value
    return options


def _guid(options: dict[str, str]) -> UUID | None:
    return guid_of(options["guid"]) if "guid" in options else None


def _relid(options: dict[str, str]) -> int | None:
    return whole(options["relid"], "a relid", 1, MAX_RELID) if "relid" in options else None


def _count(options: dict[str, str]) -> int:
    count = whole(options.get("count", "1"), "a count", 1, MAX_RELID)
    for option in ("guid", "relid"):
        if count > 1 and option in options:
            raise ValueError(f"{count} devices cannot have the same {option}")
    return count


def _service(options: dict[str, str]) -> UUID | None:
    if "port" in options and "service" in options:
        raise ValueError("a port stands for a service: give one of the two")
    if "port" in options:
        return service_of_port(whole(options["port"], "a port", 0, MAX_PORT))
    return guid_of(options["service"]) if "service" in options else None


def rescind_command(machine: Machine, words: list[str]) -> Action:
    """`GUID` or `RELID`; `hv_sock [COUNT]`: the oldest connections, or all."""
    if words[0] == HV_SOCK:
        return _rescind_connections(machine, words[1:])
    at_most(words, 1)
    host = machine.host
    if is_relid(words[0]):
        channel = channel_with(machine, words[0])
    else:
        guid = guid_of(words[0])
        devices = [d for d in host.devices if d.instance == guid and d.primary.relid]
        if not devices:
            raise ValueError(f"the host offers no device {guid}")
        channel = devices[0].primary
    if channel.leaving:
        raise ValueError(f"relid {channel.relid} is going already")
    return lambda: host.rescind(channel)


def _rescind_connections(machine: Machine, words: list[str]) -> Action:
    at_most(words, 1)
    host = machine.host
    channels: list[HostChannel] = [d.primary for d in host.devices if d.is_hvsock]
    if words:
        channels = channels[: whole(words[0], "a number of connections", 1, len(channels) or 1)]
    if not channels:
        raise ValueError("no socket is connected")

    def rescind() -> None:
        for channel in channels:
            host.rescind(channel)

    return rescind
