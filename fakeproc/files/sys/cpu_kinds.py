"""/sys/devices/cpu_core, cpu_atom: which CPUs of a hybrid processor are of which kind."""

from __future__ import annotations

from typing import NamedTuple

from fakeproc.files.subjects import list_line
from fakeproc.files.sys.device import shows
from fakeproc.files.tree import Attributes, Directory
from fakeproc.guest.base.pmu import HybridPmu
from fakeproc.guest.kernel import Kernel

__all__: list[str] = []


class Pmu(NamedTuple):
    """The counters of one kind of CPU."""

    kernel: Kernel
    device: HybridPmu


PMU = Attributes[Pmu]()


@PMU.show
def cpus_show(it: Pmu) -> str:
    """The CPUs of this kind that run."""
    return list_line(it.device.cpus & it.kernel.cpus.online)


@shows(HybridPmu)
def pmu_files(kernel: Kernel, device: HybridPmu) -> Directory:
    """/sys/devices/cpu_core; the events of perf are not there."""
    return Directory((PMU.on(Pmu(kernel, device), device),))
