"""The three trees, read like `ls`: proc/, sys/ and host/."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import fakeproc.files.sys
from fakeproc.files.host.console import CONSOLE
from fakeproc.files.lacking import lacking
from fakeproc.files.proc.interrupts import interrupts_file
from fakeproc.files.proc.irq import irq_directory
from fakeproc.files.proc.schedstat import schedstat_file
from fakeproc.files.proc.stat import softirqs_file, stat_file
from fakeproc.files.proc.sysctl import sys_directory
from fakeproc.files.proc.system import SYSTEM
from fakeproc.files.sys.block import block_numbers
from fakeproc.files.sys.bus import bus_directory, class_directory
from fakeproc.files.sys.device import directory_of, links
from fakeproc.files.sys.kernel_irq import kernel_irq_directory
from fakeproc.files.sys.smbios import firmware_dmi_directory
from fakeproc.files.tree import Directory, Listing, ProcDirectory, constant

if TYPE_CHECKING:
    from fakeproc.guest.kernel import Kernel
    from fakeproc.machine import Machine

__all__ = ["host_root", "proc_root", "sys_root"]

# Each module of files/sys registers what its devices show (`device.shows`) when it is imported.
for _module in pkgutil.iter_modules(fakeproc.files.sys.__path__, "fakeproc.files.sys."):
    importlib.import_module(_module.name)


def proc_root(machine: Machine) -> Directory:
    """/proc: the files that tell of interrupts, processors and the machine."""
    kernel = machine.kernel
    root = ProcDirectory(
        (SYSTEM.on(kernel),),
        {
            "interrupts": interrupts_file(kernel),
            "irq": irq_directory(kernel),
            "schedstat": schedstat_file(kernel),
            "softirqs": softirqs_file(kernel),
            "stat": stat_file(kernel),
            "sys": sys_directory(kernel),
        },
    )
    return lacking(root, "proc", kernel.profile.kernel.lacks)


def host_root(machine: Machine) -> Directory:
    """host/: the emulated Hyper-V's console."""
    return Directory((CONSOLE.on(machine),))


def sys_root(machine: Machine) -> Directory:
    """/sys, with an empty directory wherever a real subtree may be hung."""
    kernel = machine.kernel
    devices = kernel.devices
    empty = Directory()

    def bus(name: str) -> Directory | None:
        found = devices.buses.get(name)
        return None if found is None else bus_directory(kernel, found)

    def class_(name: str) -> Directory | None:
        found = devices.classes.get(name)
        return None if found is None else class_directory(found)

    root = Directory(
        mode=0o555,
        entries={
            "block": Directory(listings=(links("block", devices.class_of("block").devices),)),
            "bus": Directory(listings=(Listing(Directory, lambda: devices.buses, bus),)),
            "class": Directory(
                entries={
                    "scsi_generic": empty,
                },
                listings=(Listing(Directory, lambda: devices.classes, class_),),
            ),
            "dev": Directory(entries={"block": block_numbers(kernel), "char": empty}),
            "devices": directory_of(kernel, devices.root),
            "firmware": Directory(
                entries={"dmi": lambda: firmware_dmi_directory(kernel)},
            ),
            "fs": Directory(entries={"bpf": empty, "cgroup": empty, "selinux": empty}),
            "kernel": Directory(
                entries={
                    "debug": empty,
                    "irq": kernel_irq_directory(kernel),
                    "mm": empty,
                    "security": empty,
                    "tracing": empty,
                }
            ),
            "module": Directory(
                entries={"hv_vmbus": _hv_vmbus_module(kernel)} if kernel.profile.hyperv else {}
            ),
            "power": empty,
        },
    )
    return lacking(root, "sys", kernel.profile.kernel.lacks)


def _hv_vmbus_module(kernel: Kernel) -> Directory:
    """/sys/module/hv_vmbus; the version as major << 16 | minor."""
    major, minor = kernel.personality.version.vmbus_versions[0]
    return Directory(
        entries={
            "parameters": Directory(entries={"max_version": constant(f"{major << 16 | minor}\n")})
        }
    )
