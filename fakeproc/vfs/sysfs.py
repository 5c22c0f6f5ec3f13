"""What sysfs checks and keeps on top of the other file systems."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from fakeproc.vfs.fstypes import SYSFS
from fakeproc.vfs.inodes import O_ACCMODE
from fakeproc.vfs.operations import Operations
from fakeproc.vfs.request import Boundary, request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fakeproc.files.tree import Attribute, Directory
    from fakeproc.vfs.permissions import Caller, Inode

__all__ = ["SysfsOperations"]

# The extended attributes that kernfs keeps: `fs/kernfs/inode.c`.
_KEPT_XATTRS = ("trusted.", "security.")
_KNOWN_XATTRS = (*_KEPT_XATTRS, "user.")


class SysfsOperations(Operations):
    """sysfs: what nobody may do is refused to root, too, and extended attributes are kept."""

    def __init__(self, root: Directory, boundary: Boundary, caller: Callable[[], Caller]) -> None:
        super().__init__(SYSFS, root, boundary, caller)

    def check_open(self, path: str, node: Attribute, flags: int) -> Inode:
        """Mirrors `fs/kernfs/file.c: kernfs_fop_open`: more than the mode says.

        What nobody may do, and what the attribute has no method for, is
        refused to root as well.
        """
        inode = super().check_open(path, node, flags)
        access, mode = flags & O_ACCMODE, inode.mode
        if access in (os.O_WRONLY, os.O_RDWR) and (not mode & 0o222 or node.store is None):
            raise OSError(errno.EACCES, "this file is not to be written, not even by root")
        if access in (os.O_RDONLY, os.O_RDWR) and (not mode & 0o444 or node.show is None):
            raise OSError(errno.EACCES, "this file is not to be read, not even by root")
        return inode

    # -- Extended attributes -----------------------------------------------------

    @request
    def getxattr(self, path: str, name: str) -> bytes:
        """ENODATA, until somebody sets one."""
        node = self.node(path)
        if not name.startswith(_KNOWN_XATTRS):
            raise OSError(errno.EOPNOTSUPP, name)
        change = self.changes.of(path, node)
        if change is None or name not in change.xattrs:
            raise OSError(errno.ENODATA, name)
        return change.xattrs[name]

    @request
    def setxattr(self, path: str, name: str, value: bytes, options: int) -> int:
        """Kept until the node goes, if it is one that kernfs keeps."""
        node = self.node(path)
        self._check_xattr(path, name)
        xattrs = self.changes.to(path, node).xattrs
        if options & os.XATTR_CREATE and name in xattrs:
            raise OSError(errno.EEXIST, name)
        if options & os.XATTR_REPLACE and name not in xattrs:
            raise OSError(errno.ENODATA, name)
        xattrs[name] = value
        return 0

    @request
    def removexattr(self, path: str, name: str) -> int:
        """ENODATA where there is none."""
        node = self.node(path)
        self._check_xattr(path, name)
        xattrs = self.changes.to(path, node).xattrs
        if name not in xattrs:
            raise OSError(errno.ENODATA, name)
        del xattrs[name]
        return 0

    @request
    def listxattr(self, path: str) -> Sequence[str]:
        """What was set."""
        change = self.changes.of(path, self.node(path))
        return () if change is None else tuple(change.xattrs)

    def _check_xattr(self, path: str, name: str) -> None:
        if not name.startswith(_KEPT_XATTRS):
            self._refuse_xattr(path, name)
