"""The system calls of a run: namespaces, mounts, and who dies with whom.

Python has `os.unshare` and `os.setns` only from 3.12 on, and mount(2) and
prctl(2) not at all.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from fakeproc.mount.mountinfo import mounts_at

__all__ = [
    "NamespaceError",
    "bind",
    "join",
    "join_network",
    "make_read_only",
    "map_root",
    "mount_tmpfs",
    "private_mounts",
    "private_network",
]

_libc = ctypes.CDLL(None, use_errno=True)

# include/uapi/linux/sched.h, mount.h and prctl.h.
_CLONE_NEWNS = 0x0002_0000
_CLONE_NEWUSER = 0x1000_0000
_CLONE_NEWNET = 0x4000_0000
_MS_RDONLY = 1
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 1 << 18

_MOUNT_ATTR_RDONLY = 1

# From mount_setattr(2) on, numbers are the same on all architectures
# (include/uapi/asm-generic/unistd.h).
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000

_SYSCTL = Path("/proc/sys")


class NamespaceError(Exception):
    """What we need is forbidden here; the message is a sentence that says why and what helps."""


def _check(result: int, subject: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), subject)


def private_mounts() -> None:
    """Give this process mounts of its own, which nobody outside sees.

    An ordinary user becomes root of a user namespace for that: root over what
    is theirs, and over nothing else.  Raises NamespaceError.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        if uid == 0:
            _check(_libc.unshare(_CLONE_NEWNS), "unshare")
        else:
            _check(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "unshare")
            _map_to_root(uid, gid)
        # What is mounted here from now on is to stay here.
        try:
            _make_private()
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            _make_root_a_mount()
            _make_private()
    except OSError as error:
        raise NamespaceError(why_refused(error, uid)) from error


def _make_private() -> None:
    """Keep the mounts of this namespace from other ones.  Raises OSError: EINVAL in a chroot."""
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)


def _make_root_a_mount() -> None:
    """Make "/" a mount point, as a chroot's directory need not be one."""
    here = os.getcwd()  # noqa: PTH109 - as text, for chdir
    _mount("/", "/", None, _MS_BIND | _MS_REC)
    os.chroot("/..")  # "/" is what is below the new mount; only ".." steps onto it
    os.chdir(here)


def _map_to_root(uid: int, gid: int) -> None:
    """Be uid 0 and gid 0 in the new user namespace; outside, remain who one is."""
    for name, text in (
        ("setgroups", "deny"),  # otherwise one may not map the group
        ("uid_map", f"0 {uid} 1"),
        ("gid_map", f"0 {gid} 1"),
    ):
        Path("/proc/self", name).write_text(text)


def why_refused(error: OSError, uid: int, sysctl: Path = _SYSCTL) -> str:
    """Which setting of this system refuses namespaces, and what to do about it."""
    if uid == 0:
        return (
            f"no mount namespace can be made here ({error.strerror}): this root has no "
            "CAP_SYS_ADMIN; start the container with --device /dev/fuse --cap-add SYS_ADMIN"
            " --security-opt apparmor=unconfined"
        )
    for name, refusing, allowing in (
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("user.max_user_namespaces", "0", "10000"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ):
        if _setting(sysctl / name.replace(".", "/")) == refusing:
            return (
                f"this system forbids ordinary users to make namespaces by {name}={refusing}: "
                f"'sysctl {name}={allowing}' as root allows it, or use sudo"
            )
    if not mounts_at(Path("/")):
        return (
            "this is a chroot whose directory is no mount point, where the kernel forbids "
            "ordinary users to make namespaces: outside of it, as root, "
            "'mount --bind DIRECTORY DIRECTORY' before the chroot allows it"
        )
    return (
        f"this system does not let ordinary users make namespaces ({error.strerror}): "
        "use sudo, or in a container start it with --security-opt seccomp=unconfined"
        " --security-opt apparmor=unconfined"
    )


def _setting(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:  # this kernel has no such setting
        return None


def join(pid: int) -> None:
    """Enter the namespaces of a process: its mounts, and its user namespace if it has another."""
    try:
        here = os.getcwd()  # noqa: PTH109 - as text, for chdir
    except FileNotFoundError:  # it has been deleted, for the command as well
        here = "/"
    kinds = ("user", "mnt") if _is_elsewhere(pid, "user") else ("mnt",)
    descriptors = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
    for descriptor in descriptors:
        _check(_libc.setns(descriptor, 0), f"namespaces of process {pid}")
        os.close(descriptor)
    os.chdir(here)  # setns has changed to the root


def private_network() -> None:
    """Give this process a network namespace, which belongs to a user namespace of its own.

    Nobody has a number in that, until somebody else maps one.  Raises OSError.
    """
    _check(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET), "unshare")


def map_root(pid: int, uid: int) -> bool:
    """Let a process's user namespace have `uid` as its root; False where we may not."""
    try:
        Path(f"/proc/{pid}/uid_map").write_text(f"0 {uid} 1")
    except PermissionError:
        return False
    return True


def join_network(pid: int) -> None:
    """Enter the network namespace of a process.  Raises OSError."""
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(descriptor, _CLONE_NEWNET), f"the network of process {pid}")
    finally:
        os.close(descriptor)


def _is_elsewhere(pid: int, kind: str) -> bool:
    try:
        return not Path(f"/proc/{pid}/ns/{kind}").samefile(f"/proc/self/ns/{kind}")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH):
            raise ProcessLookupError(errno.ESRCH, "it has ended", f"process {pid}") from error
        raise


def bind(source: str | Path, target: Path, *, with_submounts: bool = False) -> None:
    """Mount `source` on `target` as well.

    By the system call, as mount(8) would follow a source in /proc/self/fd and
    mount what is found by its name.
    """
    _mount(source, target, None, _MS_BIND | (_MS_REC if with_submounts else 0))


class _MountAttributes(ctypes.Structure):
    """`struct mount_attr` (include/uapi/linux/mount.h)."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def make_read_only(target: Path) -> None:
    """Make a mount read-only, and all that is mounted below it.

    Raises NamespaceError where the kernel is older than 5.12, and OSError.
    """
    attributes = _MountAttributes(attr_set=_MOUNT_ATTR_RDONLY)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_long(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_long(_AT_RECURSIVE),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    if result < 0 and ctypes.get_errno() == errno.ENOSYS:
        raise NamespaceError(
            f"this kernel is older than 5.12 and cannot protect this system's {target}: "
            "add --host-writable to run without that"
        )
    _check(result, str(target))


def mount_tmpfs(target: Path, options: str, *, read_only: bool = False) -> None:
    """Mount an empty directory on `target`."""
    _mount("tmpfs", target, "tmpfs", _MS_RDONLY if read_only else 0, options)


def _mount(
    source: str | Path | None,
    target: str | Path,
    file_system: str | None,
    flags: int,
    options: str | None = None,
) -> None:
    encoded = [
        None if text is None else os.fsencode(text)
        for text in (source, target, file_system, options)
    ]
    source_, target_, file_system_, options_ = encoded
    _check(
        _libc.mount(source_, target_, file_system_, ctypes.c_ulong(flags), options_), str(target)
    )
