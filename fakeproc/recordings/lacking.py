"""What the kernel of a recording does not have of the files that are emulated.

Files that every kernel has are worked out where they were not recorded (the list of a
set of CPUs of its mask).  What some kernels or processors have, and this recording has
of no CPU, cache or node, is not there on the imported machine either.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from fakeproc.recordings.lscpu import LSCPU

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakeproc.recordings.tree import Recording

__all__ = ["lacks_of"]

_TOPOLOGY = "sys/devices/system/cpu/cpu*/topology"
_CACHE = "sys/devices/system/cpu/cpu*/cache/index*"
_NODE = "sys/devices/system/node/node*"

# A directory that was recorded, and what may be missing there: the first releases that have
# it are in the comments.
_OPTIONAL = (
    ("sys/devices/system/cpu", "cpuidle"),
    ("sys/devices/system/cpu", "hotplug"),  # v4.6
    ("sys/devices/system/cpu", "smt"),  # v4.19
    ("sys/devices/system/cpu", "isolated"),  # v4.2
    ("sys/devices/system/cpu", "nohz_full"),  # v4.2
    ("sys/devices/system/cpu", "modalias"),
    ("sys/devices/system/cpu/cpu*", "cpu_capacity"),
    ("sys/devices/system/cpu/cpu*", "hotplug"),
    ("sys/devices/system/cpu/cpu*", "regs"),  # v4.8
    (_TOPOLOGY, "core_cpus*"),  # v5.3
    (_TOPOLOGY, "package_cpus*"),  # v5.3
    (_TOPOLOGY, "die_*"),  # v5.2
    (_TOPOLOGY, "cluster_*"),  # v5.16
    (_CACHE, "id"),  # v4.11
    (_NODE, "distance"),  # v2.6.8
    (_NODE, "hugepages"),  # v2.6.32
    (_NODE, "x86"),  # v5.17
    ("sys", "class/dmi"),  # v2.6.23
    ("sys", "firmware/dmi"),  # v4.2
)


def lacks_of(recording: Recording) -> list[str]:
    """Patterns of paths, for `kernel.lacks`.

    None of a recording without cpu<n>/topology, or where lscpu's summary is all there is of it.
    """
    if LSCPU in recording.files or not any(_matching(recording, _TOPOLOGY.split("/"))):
        return []
    lacks = []
    for directory, name in _OPTIONAL:
        names = directory.split("/")
        if any(_matching(recording, names)) and not any(
            _matching(recording, [*names, *name.split("/")])
        ):
            lacks.append(f"{directory}/{name}")
    if "sys/class/dmi" in lacks:
        lacks.append("sys/devices/virtual/dmi")
    memory = [*_matching(recording, [*_NODE.split("/"), "meminfo"])]
    if (
        not memory
        and "proc/meminfo" not in recording.files
        and any(_matching(recording, _NODE.split("/")))
    ):
        lacks.append(f"{_NODE}/meminfo")  # how much each node has would be made up
    return lacks


def _matching(recording: Recording, names: list[str], top: str = "") -> Iterator[str]:
    """The recorded paths that a pattern names."""
    if not names:
        yield top
        return
    for name in recording.names(top):
        if fnmatchcase(name, names[0]):
            yield from _matching(recording, names[1:], f"{top}/{name}" if top else name)
