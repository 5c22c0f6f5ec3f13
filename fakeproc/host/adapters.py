"""The MAC addresses that a host gives to network adapters and to the functions behind them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fakeproc.protocol.classes import CLASS_GUIDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from fakeproc.host.devices import HostDevice

__all__ = ["give_addresses"]

NETWORK_FUNCTIONS = frozenset({"nic", "mana"})
MICROSOFT = bytes.fromhex("00155d")  # the OUI of Hyper-V's own addresses


def give_addresses(devices: Sequence[HostDevice]) -> None:
    """Give an address to each that is for the network and has none.

    A function that the host passes through speeds up the first adapter that has no
    function yet, and has its address, by which the guest finds the two.
    """
    adapters = [each for each in devices if each.class_id == CLASS_GUIDS["netvsc"]]
    functions = [
        each
        for each in devices
        if each.class_id == CLASS_GUIDS["vpci"] and each.pci_model in NETWORK_FUNCTIONS
    ]
    for adapter in adapters:
        adapter.address = adapter.address or _address(adapter.instance)
    taken = {function.address for function in functions}
    for function in functions:
        if not function.address:
            free = (each.address for each in adapters if each.address not in taken)
            function.address = next(free, _address(function.instance))
            taken.add(function.address)


def _address(instance: UUID) -> bytes:
    """The address in an instance GUID, where Azure writes it, or one made of the GUID."""
    text = instance.bytes
    # 0022486b-1fa4-0022-486b-1fa40022486b: six bytes, over and over.
    if text[:6] == text[6:12] and text[12:] == text[:4]:
        return text[:6]
    return MICROSOFT + hashlib.blake2b(text, digest_size=3).digest()
