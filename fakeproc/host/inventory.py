"""New devices at run time: what a host chooses where it is not told."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fakeproc.host.devices import MAX_RELID, HostChannel, HostDevice
from fakeproc.protocol.classes import CLASS_GUIDS

if TYPE_CHECKING:
    from fakeproc.host.hypervisor import Host

__all__ = ["HV_SOCK", "Inventory"]

HV_SOCK = "hv_sock"
# For a connection from the host the class GUID is the port and this.
HV_SOCK_SERVICE = "-facb-11e6-bd58-64006a7986d3"
FIRST_PORT = 0x400

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
        self._next_port = FIRST_PORT
        self._planned: list[HostDevice] = []
        self._before = self._state()

    def begin(self) -> None:
        """Plan from here on."""
        self._planned.clear()
        self._before = self._state()

    def rollback(self) -> None:
        """Forget what was planned, as if it had never been."""
        self._planned.clear()
        state, self._next_port = self._before
        self._random.setstate(state)

    def _state(self) -> tuple[tuple[Any, ...], int]:
        return self._random.getstate(), self._next_port

    def plan(
        self,
        kind: str,
        instance: UUID | None,
        relid: int | None,
        subchannels: int,
        pci_model: str,
    ) -> HostDevice:
        """A device of the class called `kind`, to be offered.

        Raises ValueError for a class that is not, for an instance GUID or a
        relid that another device has, and when its channels, those that the
        guest has yet to request included, need more relids than are left.
        """
        if kind == HV_SOCK:
            class_id = UUID(f"{self._next_port:08x}{HV_SOCK_SERVICE}")
            self._next_port += 1
        elif kind in CLASS_GUIDS:
            class_id = CLASS_GUIDS[kind]
        else:
            raise ValueError(
                f"no class is called {kind[:60]!r}; there are {', '.join(CLASS_GUIDS)}"
            )
        taken = self._host.relids.taken
        planned = {device.primary.preferred for device in self._planned}
        if relid is not None and (relid in taken or relid in planned):
            raise ValueError(f"relid {relid} is taken")
        # A device that goes has its instance until the guest has forgotten it.
        instances = {channel.device.instance for channel in taken.values()}
        instances |= {device.instance for device in self._planned}
        if instance in instances:
            raise ValueError(f"there is a device {instance} already")
        if instance is None:
            known = WELL_KNOWN.get(kind)
            instance = known if known and known not in instances else self._invent()
        self._check_relids(1 + subchannels)
        device = HostDevice(class_id, instance, pci_model=pci_model, is_hvsock=kind == HV_SOCK)
        device.channels = [
            HostChannel(device, index, relid if index == 0 else None)
            for index in range(1 + subchannels)
        ]
        self._planned.append(device)
        return device

    def _check_relids(self, wanted: int) -> None:
        """Raise ValueError where the guest could ask for more channels than there are relids."""
        channels = set(self._host.relids.taken.values())  # also of devices that are going
        for device in (*self._host.devices, *self._planned):
            channels.update(device.channels)
        left = MAX_RELID - len(channels)
        if wanted > left:
            raise ValueError(
                f"the host has no relid left for {wanted} more channels: {max(0, left)} of"
                f" {MAX_RELID} are free"
            )

    def offer(self, device: HostDevice) -> None:
        """Let the host offer it."""
        self._host.add(device)

    def _invent(self) -> UUID:
        return UUID(int=self._random.getrandbits(128), version=4)
