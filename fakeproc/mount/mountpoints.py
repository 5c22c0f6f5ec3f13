"""Whether a guest can be mounted at a place, and why not: one sentence with the remedy."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fakeproc.mount import libfuse, registry
from fakeproc.mount.mountinfo import (
    UnmountError,
    fusermount,
    is_stale,
    mounts_at,
    unmount,
)
from fakeproc.shell_words import command_word, shown
from fakeproc.vfs.fstypes import HOST, PROCFS, SYSFS

__all__ = [
    "MountError",
    "check",
    "check_device",
    "check_machine",
    "clear",
    "directories",
    "is_mounted",
    "reserved",
    "resolved",
]

FUSE_DEVICE = Path("/dev/fuse")
MOUNT_TABLE = Path("/etc/mtab")
FUSE_CONFIGURATION = Path("/etc/fuse.conf")

# Files that a daemon has open at a time: three sessions with the kernel, and
# pipes and programs while they are made.
_DESCRIPTORS = 32


class MountError(Exception):
    """A guest cannot be mounted there; the message is a sentence that says why."""


def directories(mountpoint: Path) -> list[Path]:
    """The three directories that are mounted on."""
    return [mountpoint / fstype.name for fstype in (PROCFS, SYSFS, HOST)]


def resolved(mountpoint: str) -> Path:
    """The mountpoint as the kernel names it.  Raises MountError where it has no such name."""
    if not mountpoint:
        raise MountError("an empty path is no mountpoint")
    try:
        return Path(os.path.realpath(mountpoint))
    except FileNotFoundError as error:  # getcwd(2)
        raise MountError(
            f"the working directory has been deleted, so that {shown(mountpoint)} leads nowhere; "
            "change to another directory, or give an absolute path"
        ) from error


def is_mounted(mountpoint: Path) -> bool:
    """Whether any of the three is mounted there."""
    return any(mounts_at(directory) for directory in directories(mountpoint))


@contextmanager
def reserved(mountpoint: Path) -> Iterator[None]:
    """Keep others from mounting here for the time of the block.  Raises MountError."""
    try:
        directory = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield  # `check` says what is wrong
        return
    try:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MountError(
                f"another 'fakeproc mount' is at work on {shown(mountpoint)}"
            ) from error
        yield
    finally:
        os.close(directory)


def check(mountpoint: Path, allow_other: bool) -> str | None:
    """Raise MountError unless a guest can be mounted here.

    What a killed daemon has left is cleared first; returns the sentence that
    says so, or None.
    """
    check_machine(allow_other)
    _check_directory(mountpoint)
    cleared = _clear_stale(mountpoint)
    _check_empty(mountpoint)
    return cleared


def check_device() -> None:
    """Raise MountError if this user cannot open the FUSE device, or no library speaks to it."""
    _check_descriptors()
    if not FUSE_DEVICE.exists():
        raise MountError(
            f"this machine has no {FUSE_DEVICE}: load it with 'modprobe fuse', or start the "
            f"container with --device {FUSE_DEVICE} --cap-add SYS_ADMIN"
        )
    if not os.access(FUSE_DEVICE, os.R_OK | os.W_OK):
        raise MountError(
            f"you may not use {FUSE_DEVICE}: its mode must be 0666 for ordinary users "
            f"('chmod 666 {FUSE_DEVICE}' as root), or run as root"
        )
    try:
        libfuse.load()
    except libfuse.BindingError as missing:
        raise MountError(str(missing)) from missing


def _check_descriptors() -> None:
    """Raise MountError if this process may not open the files that a mount takes."""
    opened: list[int] = []
    try:
        while len(opened) < _DESCRIPTORS:
            opened.append(os.open("/", os.O_PATH))
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        raise MountError(
            f"this process may open {limit} files only, of which a mount needs {_DESCRIPTORS} "
            "for itself: raise the limit with: ulimit -n 256"
        ) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


def check_machine(allow_other: bool) -> None:
    """Raise MountError if this user can mount nowhere."""
    check_device()
    if os.geteuid() == 0:
        return
    if fusermount() is None:
        raise MountError(
            "fusermount3, by which ordinary users mount, is missing: install the package fuse3"
        )
    if not os.access(MOUNT_TABLE, os.R_OK):
        raise MountError(
            f"{MOUNT_TABLE} is missing, without which fusermount3 mounts and cannot unmount; as "
            f"root, make it with: ln -s ../proc/self/mounts {MOUNT_TABLE}"
        )
    if allow_other and not _users_may_allow_other():
        raise MountError(
            "--allow-other is for root, unless root writes the line 'user_allow_other' "
            f"into {FUSE_CONFIGURATION}"
        )


def _users_may_allow_other() -> bool:
    if not FUSE_CONFIGURATION.exists():
        return False
    lines = FUSE_CONFIGURATION.read_text().splitlines()
    return "user_allow_other" in (line.partition("#")[0].strip() for line in lines)


def _check_directory(mountpoint: Path) -> None:
    entry = registry.entry_of(mountpoint)
    if entry is not None and entry.is_alive():
        raise MountError(
            f"{shown(mountpoint)} is mounted already: {entry.profile}, by process "
            f"{entry.process.pid}; end it with: fakeproc umount {command_word(mountpoint)}"
        )
    mounts = mounts_at(mountpoint)
    if mounts:
        raise MountError(
            f"{shown(mountpoint)} is in use: a {mounts[-1].file_system} is mounted there"
        )
    try:
        status = mountpoint.stat()
    except FileNotFoundError as error:
        raise MountError(
            f"{shown(mountpoint)} does not exist; make it with: mkdir {command_word(mountpoint)}"
        ) from error
    except OSError as error:  # a loop of links, a name that is too long, no way to it
        raise MountError(f"{shown(mountpoint)}: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise MountError(f"{shown(mountpoint)} is not a directory")
    if not os.access(mountpoint, os.R_OK | os.W_OK | os.X_OK):
        raise MountError(f"you may not make directories in {shown(mountpoint)}")


def _clear_stale(mountpoint: Path) -> str | None:
    for directory in directories(mountpoint):
        for mount in mounts_at(directory):
            if not (mount.is_ours and is_stale(directory)):
                raise MountError(
                    f"{shown(mountpoint)} is in use: "
                    f"a {mount.file_system} is mounted on {shown(directory)}"
                )
    try:
        found = clear(mountpoint)
    except UnmountError as error:
        raise MountError(f"a killed daemon has left a mount, and {error}") from error
    if not found:
        return None
    return f"cleared what a killed daemon had left on {shown(mountpoint)}"


def _check_empty(mountpoint: Path) -> None:
    names = sorted(path.name for path in mountpoint.iterdir())
    if names:
        others = "" if len(names) == 1 else f" and {len(names) - 1} more"
        raise MountError(
            f"{shown(mountpoint)} is not empty: it has {command_word(names[0])}{others}"
        )


def clear(mountpoint: Path) -> bool:
    """Remove whatever is left of a mount whose daemon has ended, its entry included.

    Returns whether there was a mount left.  A mountpoint that fakeproc made is
    removed as well.  Raises UnmountError and OSError.
    """
    entry = registry.entry_of(mountpoint)
    found = False
    for directory in directories(mountpoint):
        for _ in mounts_at(directory):
            unmount(directory)
            found = True
        with suppress(FileNotFoundError):  # a daemon that ends by itself may be quicker
            if not any(directory.iterdir()):
                directory.rmdir()
    if entry is not None and entry.temporary:
        with suppress(OSError):  # it has gone already, or somebody put something into it
            mountpoint.rmdir()
    registry.forget(mountpoint)
    registry.discard_log(mountpoint)
    return found
