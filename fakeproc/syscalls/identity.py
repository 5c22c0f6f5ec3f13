"""Calls that say what machine this is: uname, sysinfo, statfs and fstatfs."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from fakeproc.files.roots import proc_root
from fakeproc.files.tree import Attribute
from fakeproc.pages import PAGE_SIZE
from fakeproc.syscalls import memory
from fakeproc.syscalls.statx import device_of
from fakeproc.syscalls.tasks import contents
from fakeproc.syscalls.verdict import Verdict
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from fakeproc.machine import Machine
    from fakeproc.syscalls.listener import Call
    from fakeproc.syscalls.verdict import Handler, Model

__all__ = ["PROC_MAGIC", "SYSFS_MAGIC", "Identity"]

# include/uapi/linux/magic.h.
PROC_MAGIC = 0x9FA0
SYSFS_MAGIC = 0x6265_6572

_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
_UTS = 65  # `__NEW_UTS_LEN` and a zero
# `struct sysinfo` and `struct statfs`, of 64-bit kernels.
_SYSINFO = struct.Struct("q3Q6QHH4x2QI4x")
_STATFS = struct.Struct("2q5Q2i3q4q")
# ST_VALID, nosuid, nodev, noexec, relatime, as distributions mount both.
_MOUNT_FLAGS = 0x0020 | 0x0002 | 0x0004 | 0x0008 | 0x1000


class Identity:
    """What the guest says of itself.

    `file_systems` maps the device number of each of the guest's mounts to the magic
    number of the file system that it stands for.
    """

    def __init__(self, model: Model, file_systems: Callable[[], Mapping[int, int]]) -> None:
        self._model = model
        self._find_file_systems = file_systems

    def handlers(self) -> dict[str, Handler]:
        """The calls, by name."""
        return {
            "uname": self.uname,
            "sysinfo": self.sysinfo,
            "statfs": self.statfs,
            "fstatfs": self.fstatfs,
        }

    @cached_property
    def _file_systems(self) -> Mapping[int, int]:
        return self._find_file_systems()

    def uname(self, call: Call) -> int:
        """`uname(buf)`.  The name of the node is this computer's, as in /proc/sys/kernel."""
        with self._model() as machine:
            profile = machine.profile
        real = os.uname()
        fields = (
            "Linux",
            real.nodename,
            profile.kernel.uname_release,
            profile.kernel.build,
            _MACHINES[profile.architecture],
            _domain(),
        )
        data = b"".join(text.encode()[: _UTS - 1].ljust(_UTS, b"\0") for text in fields)
        memory.write(call.tid, call.arguments[0], data)
        return 0

    def sysinfo(self, call: Call) -> int:
        """`sysinfo(info)` (`kernel/sys.c: do_sysinfo`), as /proc has it."""
        with self._model() as machine:
            lines = _proc(machine, "meminfo").splitlines()
            loads = _proc(machine, "loadavg").split()
            now = machine.timeline.now
        sizes = {name.rstrip(":"): int(value) * 1024 for name, value, *_ in map(str.split, lines)}
        data = _SYSINFO.pack(
            -(-now // SECOND),
            *(round(float(load) * (1 << 16)) for load in loads[:3]),
            sizes["MemTotal"],
            sizes["MemFree"],
            sizes["Shmem"],
            sizes["Buffers"],
            sizes["SwapTotal"],
            sizes["SwapFree"],
            int(loads[3].partition("/")[2]),
            0,
            0,
            0,
            1,
        )
        memory.write(call.tid, call.arguments[0], data)
        return 0

    def statfs(self, call: Call) -> int | Verdict:
        """`statfs(path, buf)`, of the guest's files."""
        path = os.fsdecode(memory.read_text(call.tid, call.arguments[0]))
        try:
            if not path.startswith("/"):
                path = os.path.join(os.readlink(f"/proc/{call.tid}/cwd"), path)  # noqa: PTH115, PTH118
            # What leads elsewhere is not looked at: the kernel does that, as the program.
            if PurePosixPath(os.path.normpath(path)).parts[1:2] not in (("proc",), ("sys",)):
                return Verdict.PROCEED
            device = device_of(f"/proc/{call.tid}/root{path}")
        except (OSError, ValueError):  # no such file: the kernel says which errno
            return Verdict.PROCEED
        return self._statfs(call, device)

    def fstatfs(self, call: Call) -> int | Verdict:
        """`fstatfs(fd, buf)`, of the guest's files."""
        number = call.arguments[0] & 0xFFFF_FFFF
        try:
            device = device_of(f"/proc/{call.tid}/fd/{number}")
        except OSError:
            return Verdict.PROCEED
        return self._statfs(call, device)

    def _statfs(self, call: Call, device: int) -> int | Verdict:
        magic = self._file_systems.get(device)
        if magic is None:
            return Verdict.PROCEED
        data = _STATFS.pack(
            magic, PAGE_SIZE, 0, 0, 0, 0, 0, 0, 0, 255, PAGE_SIZE, _MOUNT_FLAGS, 0, 0, 0, 0
        )
        memory.write(call.tid, call.arguments[1], data)
        return 0


def _domain() -> str:
    """The NIS domain name of this computer, which Python's uname leaves out."""
    try:
        return contents("/proc/sys/kernel/domainname").decode().strip()
    except OSError:
        return "(none)"


def _proc(machine: Machine, name: str) -> str:
    node = proc_root(machine).lookup(name)
    assert isinstance(node, Attribute)  # noqa: S101 - every guest has it
    assert node.show is not None  # noqa: S101
    return node.show().decode()
