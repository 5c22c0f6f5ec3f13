"""Network adapters: the commands of `host/ethtool`."""

from __future__ import annotations

import re
from errno import ENODEV
from typing import TYPE_CHECKING

from fakeproc.files.host.words import Action, channel_with, guid_of, is_relid, quoted, whole
from fakeproc.guest.hv.drivers.netvsc import Netvsc, NetvscDevice

if TYPE_CHECKING:
    from fakeproc.guest.hv.channel import VmbusDevice
    from fakeproc.machine import Machine
    from fakeproc.timeline import Sleeper

__all__ = ["ethtool_command", "ethtool_text"]

_NAME = re.compile(r"(?!\.{1,2}$)[!-.0-9;-~]{1,15}")  # dev_valid_name: no /, no :, no blanks


def ethtool_text(machine: Machine) -> str:
    """A line `GUID combined N of MAX name INTERFACE` for each network adapter."""
    return "".join(
        f"{name} combined {len(device.channels)} of {1 + device.offer.subchannels_available}"
        f" name {device.drvdata.interface}\n"
        for name, device in machine.kernel.vmbus.devices.items()
        if isinstance(device.drvdata, NetvscDevice)
    )


def ethtool_command(machine: Machine, words: list[str]) -> Action:
    """`GUID|RELID combined N`: what `ethtool -L` does; `GUID|RELID name NAME`: what `ip` does."""
    match words:
        case [who, "combined", number]:
            return _combined(machine, who, whole(number, "a number of channels", 1, 64))
        case [who, "name", name]:
            return _rename(machine, who, name)
    raise ValueError("it is not of the form: GUID|RELID combined N, or GUID|RELID name NAME")


def _adapter(machine: Machine, who: str) -> VmbusDevice:
    name = str(channel_with(machine, who).device.instance if is_relid(who) else guid_of(who))
    device = machine.kernel.vmbus.devices.get(name)
    if device is None or not isinstance(device.driver, Netvsc):
        raise ValueError(f"{who} is no network adapter with a driver")
    return device


def _driver_now(machine: Machine, name: str) -> tuple[Netvsc, VmbusDevice]:
    """A command on a line before may have taken its time, and the adapter gone: OSError ENODEV."""
    adapter = machine.kernel.vmbus.devices.get(name)
    if adapter is None or not isinstance(adapter.driver, Netvsc):
        raise OSError(ENODEV, f"{name} is no network adapter any more")
    return adapter.driver, adapter


def _combined(machine: Machine, who: str, number: int) -> Action:
    device = _adapter(machine, who)
    most = 1 + device.offer.subchannels_available
    if number > most:
        raise ValueError(f"the adapter has no more than {most} channels")

    def set_channels() -> Sleeper[None]:
        driver, adapter = _driver_now(machine, device.name)
        yield from driver.set_channels(adapter, number)

    return set_channels


def _rename(machine: Machine, who: str, name: str) -> Action:
    device = _adapter(machine, who)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{quoted(name)} is no name of an interface")

    def rename() -> None:
        driver, adapter = _driver_now(machine, device.name)
        driver.rename(adapter, name)

    return rename
