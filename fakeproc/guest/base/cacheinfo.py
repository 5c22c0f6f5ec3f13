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
    from fakeproc.guest.topology import SharedCache
    from fakeproc.timeline import Sleeper

__all__ = ["CacheDevice", "CacheInfo"]


class _CachesDevice(Device):
    """`per_cpu_cache_dev`: cpuN/cache."""

    pm = False


class CacheDevice(Device):
    """`per_cpu_index_dev`: cpuN/cache/indexM, a cache that CPU `cpu` uses."""

    pm = False

    def __init__(self, index: int, parent: Device, cpu: int, cache: SharedCache) -> None:
        super().__init__(f"index{index}", parent)
        self.cpu = cpu
        self.cache = cache


class CacheInfo:
    """`base/cacheinfo:online`: the devices come and go with the CPUs."""

    def __init__(self, devices: Devices, bus: Bus[CpuDevice], cpus: Cpus) -> None:
        self._devices = devices
        self._bus = bus
        self._cpus = cpus
        for cpu in cpus_in(cpus.online):
            self.online(cpu)

    def online(self, cpu: int) -> None:
        """`cache_add_dev`; nothing where the firmware tells of no caches."""
        caches = [cache for cache in self._cpus.topology.caches if cache.mask(cpu)]
        if not caches:
            return
        top = _CachesDevice("cache", self._bus.devices[f"cpu{cpu}"])
        self._devices.add(top)
        for index, cache in enumerate(caches):
            self._devices.add(CacheDevice(index, top, cpu, cache))

    def offline(self, cpu: int) -> Sleeper[None]:
        """`cpu_cache_sysfs_exit`; nothing refuses."""
        top = self._bus.devices[f"cpu{cpu}"].children.get("cache")
        if top is not None:
            for child in (*top.children.values(), top):
                if isinstance(child, Device):
                    yield from self._devices.remove(child)
