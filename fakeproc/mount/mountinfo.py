"""What is mounted, and unmounting.

A mount whose daemon was killed answers no system call but with ENOTCONN, and
`os.path.ismount` says that it is none; /proc/self/mountinfo still lists it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

__all__ = ["Mount", "UnmountError", "fusermount", "is_stale", "mounts_at", "unmount"]

FILE_SYSTEM = "fuse.fakeproc"

_UMOUNT_NOFOLLOW = 8
_MNT_DETACH = 2


class UnmountError(Exception):
    """A mount could not be removed; the message says why."""


class Mount(NamedTuple):
    """A line of /proc/self/mountinfo."""

    mountpoint: Path
    file_system: str
    options: str

    @property
    def is_ours(self) -> bool:
        """Whether fakeproc made it, for any user."""
        return self.file_system == FILE_SYSTEM

    @property
    def may_be_unmounted(self) -> bool:
        """Whether this user may unmount it: who mounted it, and root."""
        return os.geteuid() == 0 or f"user_id={os.geteuid()}" in self.options.split(",")


def mounts_at(mountpoint: Path) -> list[Mount]:
    """What is mounted on this very directory, the topmost last."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return [mount for mount in map(_parsed, lines) if mount.mountpoint == mountpoint]


def _parsed(line: bytes) -> Mount:
    before, _, after = line.partition(b" - ")
    path = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), before.split(b" ")[4])
    file_system, _source, options = after.split(b" ")
    return Mount(Path(os.fsdecode(path)), file_system.decode(), options.decode())


def is_stale(mountpoint: Path) -> bool:
    """Whether the daemon behind this mount is dead."""
    try:
        mountpoint.stat()
    except OSError as error:
        # Aborted: it was killed just now, and this request was already on its way.
        return error.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    return False


def unmount(mountpoint: Path) -> bool:
    """Unmount what is on top of this directory; True if it was busy.

    What is busy goes lazily: its name is gone at once, and the rest when the
    last open file is closed.  Raises UnmountError.
    """
    detach = _umount2 if os.geteuid() == 0 else _fusermount
    refusal = detach(mountpoint, False)
    if refusal is None:
        return False
    refusal = detach(mountpoint, True)
    if refusal is not None:
        raise UnmountError(f"{mountpoint} could not be unmounted: {refusal}")
    return True


def _umount2(mountpoint: Path, lazily: bool) -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _UMOUNT_NOFOLLOW | (_MNT_DETACH if lazily else 0)
    if libc.umount2(os.fsencode(mountpoint), flags) == 0:
        return None
    return os.strerror(ctypes.get_errno())


def _fusermount(mountpoint: Path, lazily: bool) -> str | None:
    program = fusermount()
    if program is None:
        return "fusermount3 is missing; install the package fuse3"
    command = [program, "-u", *(["-z"] if lazily else []), "--", str(mountpoint)]
    # In English, and only ours: "fusermount3: failed to unmount …".
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return None if done.returncode == 0 else done.stderr.strip()


def fusermount() -> str | None:
    """The program by which ordinary users mount and unmount."""
    return shutil.which("fusermount3") or shutil.which("fusermount")
