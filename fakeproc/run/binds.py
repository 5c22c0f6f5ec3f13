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

_PROC = Path("/proc")
_SYS = Path("/sys")
_HOSTS_PCI = _PROC / "bus/pci"  # lists the host's devices to lspci


def open_window(guest: Path, *, host_writable: bool = False) -> None:
    """Show this process the guest that is mounted at `guest`.

    What is not the guest's is read-only, unless it is `host_writable`.  Raises
    NamespaceError, and OSError where the guest's files are not there or not
    ours to see.
    """
    private_mounts()
    names = {entry.name for entry in (guest / "proc").iterdir()}
    for name in sorted(names):
        target = _PROC / name
        if target.exists():
            bind(guest / "proc" / name, target)
    if not host_writable:
        _protect_proc(names)
    _cover_sys(guest / "sys", host_writable)
    if _HOSTS_PCI.is_dir():
        mount_tmpfs(_HOSTS_PCI, "size=4k,mode=555", read_only=True)
    open_run_directory(guest)
    # A working directory that is covered now would still be the host's.
    with suppress(OSError):
        os.chdir(os.getcwd())  # noqa: PTH109 - as text, for chdir


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
