"""In what procfs, sysfs and the host console differ, as data.

The errnos are those of `fs/proc` and `fs/kernfs` as the virtual file system
reports them to root; what a caller may not do anyway is EACCES or EPERM before
these are asked.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from fakeproc.pages import PAGE_SIZE

__all__ = ["HOST", "PROCFS", "PROCFS_OF_NO_SIZE", "SYSFS", "FileSystemType"]


@dataclass(frozen=True, slots=True)
class FileSystemType:
    """The rules of one file system.

    `of_the_guest`: a real guest has it, too.  `refusals` says how an operation
    fails that this file system does not have.
    `declared_size`: st_size in bytes where the attribute says nothing else; None
    where it is the length of the text.  `gone` is what reading and writing an open file
    gives once its device has gone away.  Of one write(2) at most `largest_write` bytes are taken;
    `ignores_empty_writes`: of 0 bytes no store hears (`fs/sysfs/file.c: sysfs_kf_write`).
    `writes_move`: a write moves the position (`fs/kernfs/file.c`).
    `new_names_are_enoent`: a name that is not there is ENOENT before anybody asks
    whether the caller may make it (`fs/proc/generic.c: proc_lookup_de`).
    """

    name: str
    of_the_guest: bool
    block_size: int
    gone: int
    declared_size: int | None
    largest_write: int | None
    ignores_empty_writes: bool
    writes_move: bool
    new_names_are_enoent: bool
    refusals: Mapping[str, int]


PROCFS = FileSystemType(
    name="proc",
    of_the_guest=True,
    block_size=1024,
    gone=errno.EIO,
    declared_size=None,
    largest_write=None,
    ignores_empty_writes=False,
    writes_move=False,
    new_names_are_enoent=True,
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
)

# As procfs reports it: nearly every file is 0 bytes long, and sendfile(2) copies nothing.
PROCFS_OF_NO_SIZE = replace(PROCFS, declared_size=0)

HOST = replace(PROCFS, name="host", of_the_guest=False)

SYSFS = FileSystemType(
    name="sys",
    of_the_guest=True,
    block_size=PAGE_SIZE,
    gone=errno.ENODEV,
    declared_size=PAGE_SIZE,
    largest_write=PAGE_SIZE,
    ignores_empty_writes=True,
    writes_move=True,
    new_names_are_enoent=False,
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
)
