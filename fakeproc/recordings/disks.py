"""The disks below a recorded SCSI host: how large each is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.protocol.classes import MAX_DISK_GIB

if TYPE_CHECKING:
    from fakeproc.recordings.tree import Recording

__all__ = ["disks_of"]

_SECTORS_OF_A_GIB = 1 << 21  # of 512 bytes, in which `size` counts


def disks_of(recording: Recording, host: str) -> list[int]:
    """GiB of each disk below .../host<n>, in the order of targets and units; part ones count."""
    sizes = []
    for target in _named(recording, host, "target"):
        for unit in _named(recording, target, ""):
            for disk in _named(recording, f"{unit}/block", ""):
                sectors = recording.number(f"{disk}/size")
                if sectors:
                    sizes.append(min(-(-sectors // _SECTORS_OF_A_GIB), MAX_DISK_GIB))
    return sizes


def _named(recording: Recording, path: str, prefix: str) -> list[str]:
    names = [name for name in recording.names(path) if name.startswith(prefix)]
    return [f"{path}/{name}" for name in sorted(names, key=lambda name: (len(name), name))]
