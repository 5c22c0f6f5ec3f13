"""In what procfs, sysfs and the host console differ, as data.

The errnos are those of `fs/proc` and `fs/kernfs` as the virtual file system
reports them to root; what a caller may not do anyway is EACCES or EPERM before
these are asked.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fakeproc.mount.libfuse import Options

__all__ = ["HOST", "PROCFS", "SYSFS", "Flavour"]


@dataclass(frozen=True, slots=True)
class Flavour:
    """The rules of one file system.

    `of_the_guest`: a real guest has it, too.  `refusals` says how an operation
    fails that this file system does not have.
    `exact_sizes`: st_size is the length of the text; otherwise it is what the
    attribute says, or a page.  `gone` is what reading and writing an open file
    gives once its device has gone away, `unwritable` what writing a file gives
    that has no store.  Of one write(2) at most `largest_write` bytes are taken.
    """

    name: str
    of_the_guest: bool
    block_size: int
    exact_sizes: bool
    gone: int
    unwritable: int
    largest_write: int | None
    refusals: Mapping[str, int]
    options: Options


# Names stay valid for an hour: `stat` and `open` of a name reach the daemon
# all the same, so that one that has gone is ENOENT at once.  Attributes are
# never kept, because texts and so sizes change; missing names are never kept,
# because devices come.
_TIMEOUTS: Options = {"attr_timeout": 0, "entry_timeout": 3600, "negative_timeout": 0}
_OPTIONS: Options = {"fsname": "fakeproc", "subtype": "fakeproc", **_TIMEOUTS}

# The kernel checks the modes, exactly as it does for procfs, and for that
# fetches the attributes at every open.  This keeps the length fresh, which
# sendfile(2) (`busybox cat`) trusts.
_CHECKED_BY_THE_KERNEL: Options = {**_OPTIONS, "default_permissions": True}

PROCFS = Flavour(
    name="proc",
    of_the_guest=True,
    block_size=1024,
    exact_sizes=True,
    gone=errno.EIO,
    unwritable=errno.EIO,
    largest_write=None,
    refusals=MappingProxyType(
        {
            # A directory of procfs does not find names that do not exist, not
            # even to create them.
            "create": errno.ENOENT,
            "mknod": errno.ENOENT,
            "mkdir": errno.ENOENT,
            "symlink": errno.ENOENT,
            "link": errno.ENOENT,
            "rename": errno.ENOENT,
            "rename over": errno.EPERM,
            "unlink": errno.EPERM,
            "rmdir": errno.EPERM,
            "fsync": errno.EINVAL,
            "fsyncdir": errno.EINVAL,
        }
    ),
    options=_CHECKED_BY_THE_KERNEL,
)

HOST = Flavour(
    name="host",
    of_the_guest=False,
    block_size=PROCFS.block_size,
    exact_sizes=True,
    gone=PROCFS.gone,
    unwritable=PROCFS.unwritable,
    largest_write=None,
    refusals=PROCFS.refusals,
    options=_CHECKED_BY_THE_KERNEL,
)

SYSFS = Flavour(
    name="sys",
    of_the_guest=True,
    block_size=4096,
    exact_sizes=False,
    gone=errno.ENODEV,
    unwritable=errno.EIO,
    largest_write=4096,
    refusals=MappingProxyType(
        {
            "create": errno.EACCES,
            "mknod": errno.EPERM,
            "mkdir": errno.EPERM,
            "symlink": errno.EPERM,
            "link": errno.EPERM,
            "rename": errno.EPERM,
            "rename over": errno.EPERM,
            "unlink": errno.EPERM,
            "rmdir": errno.EPERM,
            "fsyncdir": errno.EINVAL,
        }
    ),
    # No default_permissions: sysfs has a rule of its own (`sysfs.py`), and the
    # kernel's check would fetch the attributes of every directory on the way.
    options=_OPTIONS,
)
