"""sysfs, derived from devices: `drivers/base/core.c`, `fs/sysfs`.

Every device has a directory with `uevent`, `power/`, `subsystem` and what
else `device_add` makes; what only one type of object has is registered beside
its show functions:

    @shows(CpuDevice)
    def cpu_files(kernel: Kernel, cpu: CpuDevice) -> Directory: ...

returns the attribute groups, links and sub-directories that are the type's
own.  Buses and drivers (files/sys/bus.py) register theirs in the same way.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from fakeproc.files.sys.power import device_power_directory
from fakeproc.files.sys.uevent import synthetic_uevent
from fakeproc.files.tree import Attributes, Directory, Listing, Symlink
from fakeproc.guest.base.device import Device, Kobject
from fakeproc.guest.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fakeproc.files.tree import Node
    from fakeproc.guest.base.device import Class

__all__ = ["DeviceOf", "directory_of", "extended", "link", "links", "shows"]

K = TypeVar("K", bound=Kobject)


class DeviceOf(NamedTuple):
    """A device, and its kernel."""

    kernel: Kernel
    device: Device


DEVICE = Attributes[DeviceOf]()

_OWN: dict[type[Kobject], Callable[[Kernel, Kobject], Directory]] = {}


def shows(kind: type[K]) -> Callable[[Callable[[Kernel, K], Directory]], object]:
    """Register what the directory of every `kind` of kobject has beside what all have."""

    def register(files: Callable[[Kernel, K], Directory]) -> object:
        _OWN[kind] = files  # type: ignore[assignment]  # called with that kind alone
        return files

    return register


def extended(kernel: Kernel, kobject: Kobject, common: Directory) -> Directory:
    """What all kobjects of a sort have, and in it what is registered for this one's type."""
    parts = [common]
    parts += [_OWN[kind](kernel, kobject) for kind in type(kobject).__mro__ if kind in _OWN]
    return Directory(
        groups=tuple(group for part in parts for group in part.groups),
        entries={name: entry for part in parts for name, entry in part.entries.items()},
        listings=tuple(listing for part in parts for listing in part.listings),
        owner=kobject,
    )


def link(directory: Kobject, to: Kobject | Class) -> Symlink:
    """A link that lies in `directory`."""
    return Symlink.between(directory.path, to.path)


def links(path: str, targets: Mapping[str, Kobject]) -> Listing:
    """The links in the directory at `path`, by their names, as they come and go."""

    def make(name: str) -> Symlink | None:
        target = targets.get(name)
        return None if target is None else Symlink.between(path, target.path)

    return Listing(Symlink, lambda: targets, make)


@DEVICE.show
def uevent_show(it: DeviceOf) -> str:
    """What its uevents say of it (`dev_uevent`)."""
    return "".join(f"{key}={value}\n" for key, value in it.device.uevent_variables().items())


@DEVICE.store
def uevent_store(it: DeviceOf, data: bytes) -> None:
    """A synthetic uevent; OSError EINVAL for an unknown action or wrong arguments."""
    it.kernel.devices.uevent(it.device, *synthetic_uevent(data))


def directory_of(kernel: Kernel, kobject: Kobject) -> Directory:
    """The directory of a kobject; what lies in it is looked up when it is asked for."""
    if not isinstance(kobject.sd, Directory):
        kobject.sd = _made(kernel, kobject)
    return kobject.sd


def _made(kernel: Kernel, kobject: Kobject) -> Directory:
    children = Listing(Directory, kobject.children.keys, partial(_child, kernel, kobject))
    if isinstance(kobject, Device):
        return extended(kernel, kobject, _device(kernel, kobject, children))
    return extended(kernel, kobject, Directory(listings=(children,)))


def _child(kernel: Kernel, kobject: Kobject, name: str) -> Directory | None:
    child = kobject.children.get(name)
    return None if child is None else directory_of(kernel, child)


def _device(kernel: Kernel, device: Device, children: Listing) -> Directory:
    """`device_add`: the files and links that every device has."""
    groups = [DEVICE.on(DeviceOf(kernel, device), device)]
    entries: dict[str, Node | Callable[[], Node | None]] = {"driver": partial(_driver, device)}
    if device.pm:
        entries["power"] = device_power_directory(device)
    if device.class_ is not None and isinstance(device.parent, Device):
        entries["device"] = link(device, device.parent)
    if device.subsystem is not None:
        entries["subsystem"] = link(device, device.subsystem)
    return Directory(tuple(groups), entries, (children,))


def _driver(device: Device) -> Symlink | None:
    return link(device, device.driver) if device.driver else None
