"""What sysfs checks and keeps on top of the other file systems.

Its permissions are checked here and not by the kernel, for two reasons: kernfs
refuses what the mode refuses to everybody even to root, and the kernel's check
would cost a round trip for every directory on the way (nine of them to
`channels/<relid>/cpu`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

from fakeproc.files.tree import Attribute, Directory, Node
from fakeproc.mount import libfuse
from fakeproc.mount.libfuse import Caller
from fakeproc.vfs.fstypes import SYSFS
from fakeproc.vfs.operations import Operations
from fakeproc.vfs.permissions import Capability, Credentials, permitted
from fakeproc.vfs.request import Boundary, request

__all__ = ["SysfsOperations"]

_ACCMODE = os.O_WRONLY | os.O_RDWR  # O_ACCMODE, which Windows does not have

_WANTED = {
    os.O_RDONLY: os.R_OK,
    os.O_WRONLY: os.W_OK,
    os.O_RDWR: os.R_OK | os.W_OK,
    _ACCMODE: os.R_OK | os.W_OK,  # may do neither, but must be allowed both
}

# The extended attributes that kernfs keeps: `fs/kernfs/inode.c`.
_KEPT_XATTRS = ("trusted.", "security.")
_KNOWN_XATTRS = (*_KEPT_XATTRS, "user.")


class SysfsOperations(Operations):
    """sysfs: `caller` says who made the request."""

    def __init__(
        self,
        root: Directory,
        boundary: Boundary,
        on_ready: Callable[[], None],
        caller: Callable[[], Caller] = libfuse.caller,
    ) -> None:
        super().__init__(SYSFS, root, boundary, on_ready, caller)

    # -- Permissions -----------------------------------------------------------

    @request
    def access(self, path: str, wanted: int) -> int:
        """Whether the caller may: asked for a check, or to change into a directory."""
        self.require(path, self.paths.node(path), wanted)
        return 0

    def require(self, path: str, node: Node, wanted: int) -> None:
        """Raise EACCES if the caller may not do `wanted`."""
        if not permitted(self.inode(path, node), self._credentials(), wanted):
            raise OSError(errno.EACCES, path)

    def check_open(self, path: str, node: Attribute, flags: int) -> None:
        """Mirrors `fs/kernfs/file.c: kernfs_fop_open`: more than the mode says.

        What nobody may do, and what the attribute has no method for, is
        refused to root as well.
        """
        access = flags & _ACCMODE
        truncated = os.W_OK if flags & os.O_TRUNC else 0
        self.require(path, node, _WANTED[access] | truncated)
        mode = self.inode(path, node).mode
        if access in (os.O_WRONLY, os.O_RDWR) and (not mode & 0o222 or node.store is None):
            raise OSError(errno.EACCES, "this file is not to be written, not even by root")
        if access in (os.O_RDONLY, os.O_RDWR) and (not mode & 0o444 or node.show is None):
            raise OSError(errno.EACCES, "this file is not to be read, not even by root")

    def require_owner(self, path: str, node: Node) -> None:
        """Raise EPERM if the caller is not the owner."""
        if not self._is_owner(path, node):
            raise OSError(errno.EPERM, path)

    def require_owner_or_writer(self, path: str, node: Node) -> None:
        """Raise EACCES if the caller is neither the owner nor may write."""
        if not self._is_owner(path, node):
            self.require(path, node, os.W_OK)

    def check_chown(self, path: str, node: Node, uid: int, gid: int) -> None:
        """Mirrors `fs/attr.c`: the owner may give a node to a group of theirs, no more."""
        inode, caller = self.inode(path, node), self._credentials()
        of_the_owner = (
            caller.uid == inode.uid
            and uid in (-1, inode.uid)
            and (gid in (-1, inode.gid) or caller.is_in(gid))
        )
        if not of_the_owner and not caller.capable(Capability.CHOWN):
            raise OSError(errno.EPERM, path)

    def _is_owner(self, path: str, node: Node) -> bool:
        caller = self._credentials()
        return caller.uid == self.inode(path, node).uid or caller.capable(Capability.FOWNER)

    def _credentials(self) -> Credentials:
        return Credentials(*self.caller())

    # -- Extended attributes -----------------------------------------------------

    @request
    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:  # noqa: ARG002
        """ENODATA, until somebody sets one."""
        node = self.paths.node(path)
        if not name.startswith(_KNOWN_XATTRS):
            raise OSError(errno.EOPNOTSUPP, name)
        change = self.changes.of(path, node)
        if change is None or name not in change.xattrs:
            raise OSError(errno.ENODATA, name)
        return change.xattrs[name]

    @request
    def setxattr(self, path: str, name: str, value: bytes, options: int, position: int = 0) -> int:  # noqa: ARG002
        """Kept until the node goes, if it is one that kernfs keeps."""
        node = self.paths.node(path)
        self._check_xattr(path, node, name)
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
        node = self.paths.node(path)
        self._check_xattr(path, node, name)
        xattrs = self.changes.to(path, node).xattrs
        if name not in xattrs:
            raise OSError(errno.ENODATA, name)
        del xattrs[name]
        return 0

    @request
    def listxattr(self, path: str) -> Sequence[str]:
        """What was set."""
        change = self.changes.of(path, self.paths.node(path))
        return () if change is None else tuple(change.xattrs)

    def _check_xattr(self, path: str, node: Node, name: str) -> None:
        if name.startswith("user."):
            self.require(path, node, os.W_OK)
        if not name.startswith(_KEPT_XATTRS):
            raise OSError(errno.EOPNOTSUPP, name)
