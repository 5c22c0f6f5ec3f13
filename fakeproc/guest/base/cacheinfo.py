"""A CPU's caches as devices, while it runs: `drivers/base/cacheinfo.c`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.base.device import Device
from fakeproc.guest.cpus import cpus_in

if TYPE_CHECKING:
    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.base.cpu import CpuDevice
    from fakeproc.guest.base.device import Bus
    from fakeproc.guest.cpus import Cpus
    from fakeproc.profiles.schema import Cache
    from fakeproc.timeline import Sleeper

__all__ = ["CacheDevice", "CacheInfo"]


class _CachesDevice(Device):
    """`per_cpu_cache_dev`: cpuN/cache."""

    pm = False


class CacheDevice(Device):
    """`per_cpu_index_dev`: cpuN/cache/indexM, a cache that CPU `cpu` uses."""

    pm = False

    def __init__(self, index: int, parent: Device, cpu: int, cache: Cache) -> None:
        super().__init__(f"index{index}", parent)
        self.cpu = cpu
        self.cache = cache


class CacheInfo:
    """`base/cacheinfo:online`: the devices come and go with the CPUs."""

    def __init__(self, devices: Devices, bus: Bus[CpuDevice], cpus: Cpus) -> None:
        self._devices = devices
        self._bus = bus
        self._caches = cpus.profile.caches
        for cpu in cpus_in(cpus.online):
            self.online(cpu)

    def online(self, cpu: int) -> None:
        """`cache_add_dev`; nothing where the firmware tells of no caches."""
        if not self._caches:
            return
        top = _CachesDevice("cache", self._bus.devices[f"cpu{cpu}"])
        self._devices.add(top)
        for index, cache in enumerate(self._caches):
            self._devices.add(CacheDevice(index, top, cpu, cache))

    def offline(self, cpu: int) -> Sleeper[None]:
        """`cpu_cache_sysfs_exit`; nothing refuses."""
        if self._caches:
            top = self._bus.devices[f"cpu{cpu}"].children["cache"]
            for child in (*top.children.values(), top):
                if isinstance(child, Device):
                    yield from self._devices.remove(child)
