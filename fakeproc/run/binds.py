"""A window on a guest: its files at the real paths, for one process and its children.

The real /proc stays, and single files of it are covered: processes, their
descriptors and namespaces must remain the kernel's own.  /sys is covered as a
whole, because sysfs has no place to hang a bus that the host does not have;
what programs need of the real one is then hung into the guest's.

What stays real is read-only: a program that tunes the guest, or ruins it, is
not to do that to the machine it runs on.  Processes are the exception, as their
files in /proc/<pid> belong to what runs here.  This keeps mistakes from
happening, not attacks: root in here may also unmount.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from fakeproc.run.modules import open_modules
from fakeproc.run.namespace import bind, make_read_only, mount_tmpfs, private_mounts
from fakeproc.run.run_directory import open_run_directory

__all__ = ["REAL_SUBTREES", "open_window"]

# Of the real /sys, where the guest has an empty directory for it: control
# groups and security modules, which belong to the processes that run here; huge
# pages, whose sizes malloc and hwloc ask for; tracing, which traces what runs.
REAL_SUBTREES = (
    "fs/bpf",
    "fs/cgroup",
    "fs/selinux",
    "kernel/mm",
    "kernel/security",
    "kernel/tracing",
)

# What a control group says of CPUs and nodes, and where the guest says the same.
_CPUS, _NODES = "devices/system/cpu/online", "devices/system/node/online"
_CPUSET = {
    "cpuset.cpus": _CPUS,
    "cpuset.mems": _NODES,
    "cpuset.cpus.effective": _CPUS,
    "cpuset.mems.effective": _NODES,
    "cpuset.effective_cpus": _CPUS,
    "cpuset.effective_mems": _NODES,
}

_PROC = Path("/proc")
_PROC_SYS = _PROC / "sys"  # of which the guest has some files, and the rest stays
_SYS = Path("/sys")
_HOSTS_PCI = _PROC / "bus/pci"  # lists the host's devices to lspci


def open_window(guest: Path, *, host_writable: bool = False) -> None:
    """Show this process the guest that is mounted at `guest`.

    What is not the guest's is read-only, unless it is `host_writable`.  Raises
    NamespaceError, and OSError where the guest's files are not there or not
    ours to see.
    """
    private_mounts()
    _cover_proc(guest / "proc", host_writable)
    _cover_sys(guest / "sys", host_writable)
    _cover_cpuset(guest / "sys")
    if _HOSTS_PCI.is_dir() and not (guest / "proc/bus/pci").is_dir():
        mount_tmpfs(_HOSTS_PCI, "size=4k,mode=555", read_only=True)
    open_run_directory(guest)
    open_modules(guest)
    # A working directory that is covered now would still be the host's.
    with suppress(OSError):
        os.chdir(os.getcwd())  # noqa: PTH109 - as text, for chdir


def _cover_proc(tree: Path, host_writable: bool) -> None:
    names = {
        entry.name
        for entry in tree.iterdir()
        if not (_PROC / entry.name).is_symlink()  # self, net, mounts: a process's
    } - {_PROC_SYS.name}
    for name in sorted(names):
        _cover(tree / name, _PROC / name)
    if not host_writable:
        _protect_proc(names)
    for kernels_own in sorted((tree / _PROC_SYS.name).rglob("*")):
        if kernels_own.is_file():
            _cover(kernels_own, _PROC_SYS / kernels_own.relative_to(tree / _PROC_SYS.name))


def _cover(source: Path, target: Path) -> None:
    if target.exists():
        bind(source, target)


def _protect_proc(covered: set[str]) -> None:
    """Make what is the kernel's own and not a process's read-only: sysctls, mtrr, pressure."""
    with os.scandir(_PROC) as entries:
        found = [entry for entry in entries if not entry.name.isdigit()]
    for entry in found:
        if entry.name in covered or entry.is_symlink():  # self, net, mounts: a process's
            continue
        # Whatever its mode, which root need not mind.
        target = _PROC / entry.name
        bind(target, target, with_submounts=True)
        make_read_only(target)


def _cover_sys(tree: Path, host_writable: bool) -> None:
    real = os.open(_SYS, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        bind(tree, _SYS)
        for name in REAL_SUBTREES:
            source, target = f"/proc/self/fd/{real}/{name}", _SYS / name
            if target.is_dir() and os.path.isdir(source):  # noqa: PTH112 - not to be resolved
                # In a user namespace a directory goes only together with what
                # is mounted below it.
                bind(source, target, with_submounts=True)
                if not host_writable:
                    make_read_only(target)
    finally:
        os.close(real)


def _cover_cpuset(tree: Path) -> None:
    """Let the control group of this process have the guest's CPUs and nodes (hwloc asks it).

    Its own are the computer's, of which the guest's CPUs are none.
    """
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "cpuset"):  # "" is version 2
            continue
        for mount in (_SYS / "fs/cgroup" / (controllers or "unified"), _SYS / "fs/cgroup"):
            for name, shown in _CPUSET.items():
                _cover(tree / shown, mount / path.lstrip("/") / name)
