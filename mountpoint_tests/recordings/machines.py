"""Recordings to import, written by hand or taken of a guest of ours."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

TABLE = """\
           CPU0       CPU1       
  8:          0          1   IO-APIC   8-edge      rtc0
  9:          0          0   IO-APIC   9-fasteoi   acpi
 24:      70123       5510   PCI-MSI 65536-edge      nvme0q0, nvme0q1
NMI:          0          0   Non-maskable interrupts
LOC:     812345     798001   Local timer interrupts
ERR:          0
"""  # noqa: W291 - as the kernel prints it

CPU = "sys/devices/system/cpu"
FILES = {
    "proc/interrupts": TABLE,
    "proc/version": "Linux version 6.1.0-18-amd64 (a@b) (gcc 12) #1 SMP Debian 6.1.76-1\n",
    "proc/irq/24/smp_affinity": "2\n",
    "proc/irq/24/effective_affinity_list": "1\n",
    f"{CPU}/possible": "0-3\n",
    f"{CPU}/present": "0-1\n",
    f"{CPU}/online": "0-1\n",
    f"{CPU}/cpu0/topology/core_id": "0\n",
    f"{CPU}/cpu0/topology/physical_package_id": "36\n",
    f"{CPU}/cpu1/topology/core_id": "0\n",
    f"{CPU}/cpu1/topology/physical_package_id": "8442\n",
    "sys/devices/system/node/node2/cpumap": "00000000,00000003\n",
    "sys/devices/system/node/node2/meminfo": "Node 2 MemTotal:  2097151 kB\n",
}


def as_directory(files: dict[str, str], top: Path) -> Path:
    """The files on a disk."""
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return top


def as_archive(
    files: dict[str, str], path: Path, more: list[tarfile.TarInfo] | None = None
) -> Path:
    """The files in a tar archive of the compression that the name says, and some more members."""
    kind = path.suffix.removeprefix(".")
    with tarfile.open(path, "w" if kind == "tar" else f"w:{kind}") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"machine/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
        for info in more or []:
            archive.addfile(info)
    return path


def whole_tree(machine) -> dict[str, str]:
    """Every file and link below /proc and /sys of a machine, or the errno of one that fails."""
    found, waiting = {}, ["/proc", "/sys"]
    while waiting:
        path = waiting.pop()
        try:
            found[path] = f"-> {machine.readlink(path)}"
            continue
        except OSError:
            pass
        try:
            names = machine.list(path)
        except NotADirectoryError:
            try:
                found[path] = machine.read(path)
            except OSError as error:
                found[path] = f"errno {error.errno}"
        else:
            found[path] = " ".join(sorted(names))
            waiting += [f"{path}/{name}" for name in names]
    return found
