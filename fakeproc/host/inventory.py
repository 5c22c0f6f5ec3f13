"""New devices and connections at run time: what a host chooses where it is not told."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fakeproc.host.devices import MAX_RELID, HostChannel, HostDevice, Relids, socket_device
from fakeproc.protocol.classes import CLASS_GUIDS, HV_SOCK, MAX_PORT, service_of_port
from fakeproc.protocol.messages import TlConnectRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fakeproc.host.hypervisor import Host

__all__ = ["Inventory"]

FIRST_PORT = 0x400  # LAST_RESERVED_PORT + 1 (net/vmw_vsock/af_vsock.c)

# Services that Hyper-V gives the same instance GUID in every guest.
WELL_KNOWN = {
    "heartbeat": UUID("fd149e91-82e0-4a7d-afa6-2a4166cbd7c0"),
    "kvp": UUID("242ff919-07db-4180-9c2e-b86cb68c8c55"),
    "shutdown": UUID("b6650ff7-33bc-4840-8048-e0676786f393"),
    "timesync": UUID("2dd1ce17-079e-403c-b352-a1921ee207ee"),
    "vss": UUID("2450ee40-33bf-4fbd-892e-9fb06e9214cf"),
    "fcopy": UUID("eb765408-105f-49b6-b4aa-c123b64d17d4"),
    "balloon": UUID("1eccfd72-4b41-45ef-b73a-4a6e44c12924"),
    "mouse": UUID("58f75a6d-d949-4320-99e1-a2a2576d581c"),
    "keyboard": UUID("d34b2567-b9b6-42b9-8778-0a4ec0b955bf"),
    "framebuffer": UUID("5620e0c7-8062-4dce-aeb7-520c7ef76171"),
}


class Inventory:
    """Makes devices for a host to offer; draws what it has to invent from a seed.

    Devices are planned first, so that several can be checked against each
    other before the first is offered, and taken back together.
    """

    def __init__(self, host: Host, seed: int) -> None:
        self._host = host
        self._random = Random(f"{seed}/inventory")  # noqa: S311 - not for secrets
        self._next_port = FIRST_PORT  # to connect to, where none is given
        self._local_port: int | None = None  # that the guest connected from last
        self.begin()

    def begin(self) -> None:
        """Plan from here on, for the host as it is now."""
        self._planned: list[HostDevice] = []
        self._before = self._state()
        # A device that goes has its instance until the guest has forgotten it.
        self._instances = {channel.device.instance for channel in self._host.channels()}
        self._room: dict[int, int] = {}  # relids that nobody may want, by connection

    def rollback(self) -> None:
        """Forget what was planned, as if it had never been."""
        state, self._next_port, self._local_port = self._before
        self._random.setstate(state)

    def _state(self) -> tuple[tuple[Any, ...], int, int | None]:
        return self._random.getstate(), self._next_port, self._local_port

    def plan(
        self,
        kind: str,
        instance: UUID | None,
        relid: int | None,
        subchannels: int,
        pci_model: str,
        connection: int = 0,
        disks_gib: Sequence[int] = (),
    ) -> HostDevice:
        """A device of the class called `kind`, to be offered.

        Raises ValueError for a class that is not, for an instance GUID or a
        relid that another device has, and when its channels, those that the
        guest has yet to request included, need more relids than are left.
        """
        if kind not in CLASS_GUIDS:
            known = ", ".join((HV_SOCK, *CLASS_GUIDS))
            raise ValueError(f"no class is called {kind[:60]!r}; the classes are {known}")
        instance = self._instance(instance, WELL_KNOWN.get(kind))
        device = HostDevice(CLASS_GUIDS[kind], instance, pci_model=pci_model, connection=connection)
        device.disks = tuple(gib << 30 for gib in disks_gib)
        device.channels = [
            HostChannel(device, index, relid if index == 0 else None)
            for index in range(1 + subchannels)
        ]
        return self._plan(device)

    def plan_socket(
        self, service: UUID | None, instance: UUID | None, relid: int | None
    ) -> HostDevice:
        """A connection that a program on the host makes to a service of the guest.

        Without a service it is one port after the other.  Raises ValueError as
        `plan`, and where the protocol has no sockets.
        """
        self._check_sockets()
        service = self._service(service)
        return self._plan(socket_device(service, self._instance(instance), relid, from_host=True))

    def plan_connect(self, service: UUID | None) -> HostDevice:
        """A connection that a program in the guest is going to request; raises as `plan_socket`.

        Its instance is the local port, as a service; the host gives it a relid
        when it comes to that.
        """
        self._check_sockets()
        taken = self._instances
        while self._local_port is None or service_of_port(self._local_port) in taken:
            # `__vsock_bind_connectible`: a random port first, from then on the next one
            last = self._local_port
            first = self._random.randrange(FIRST_PORT, MAX_PORT)
            self._local_port = first if last in {None, MAX_PORT} else (last or 0) + 1
        endpoint = service_of_port(self._local_port)
        return self._plan(socket_device(self._service(service), endpoint, None, from_host=False))

    def _check_sockets(self) -> None:
        connection = self._host.connections[0]  # sockets have the first one
        if not connection.has(TlConnectRequest):
            major, minor = connection.version
            raise ValueError(f"VMBus protocol {major}.{minor} has no sockets")

    def _service(self, service: UUID | None) -> UUID:
        if service is None:
            service = service_of_port(self._next_port)
            self._next_port += 1
        return service

    def _instance(self, wanted: UUID | None, known: UUID | None = None) -> UUID:
        taken = self._instances
        if wanted in taken:
            raise ValueError(f"there is a device {wanted} already")
        return wanted or (known if known and known not in taken else self._invent())

    def _plan(self, device: HostDevice) -> HostDevice:
        relid = device.primary.preferred
        relids = self._host.connections[device.connection].relids
        if relid is not None:
            planned = {other.primary.preferred for other in self._planned_with(relids)}
            if relid in relids.taken or relid in planned:
                raise ValueError(f"relid {relid} is taken")
        self._check_relids(len(device.channels), device.connection)
        self._planned.append(device)
        self._instances.add(device.instance)
        return device

    def _planned_with(self, relids: Relids) -> list[HostDevice]:
        """The planned devices that have their relids from there."""
        connections = self._host.connections
        return [d for d in self._planned if connections[d.connection].relids is relids]

    def _check_relids(self, wanted: int, connection: int) -> None:
        """Raise ValueError where the guest could ask for more channels than there are relids."""
        connections = self._host.connections
        relids = connections[connection].relids
        sharing = [c.number for c in connections if c.relids is relids]
        if connection not in self._room:
            channels = set(relids.taken.values())  # also of devices that are going
            for device in self._host.devices:
                if device.connection in sharing:
                    channels.update(device.channels)
            self._room.update(dict.fromkeys(sharing, MAX_RELID - len(channels)))
        left = self._room[connection]
        if wanted > left:
            raise ValueError(
                f"the host has no relid left for {wanted} more channels: {max(0, left)} of"
                f" {MAX_RELID} are free"
            )
        self._room.update(dict.fromkeys(sharing, left - wanted))

    def offer(self, device: HostDevice) -> None:
        """Let the host offer it."""
        self._host.add(device)

    def _invent(self) -> UUID:
        return UUID(int=self._random.getrandbits(128), version=4)
