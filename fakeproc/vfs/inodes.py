"""What a node is to a caller: its type, mode and owner, and what they let the caller do.

Every file system checks its own permissions, for two reasons: kernfs refuses what
the mode refuses to everybody even to root, and where the kernel does the check
(`default_permissions`) it first fetches the attributes of every directory on the
way, a round trip each (nine of them to `channels/<relid>/cpu`).
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from fakeproc.files.tree import Attribute, Directory, Node, Symlink
from fakeproc.vfs.lookup import Paths
from fakeproc.vfs.permissions import Caller, Capability, Inode, own_ids, permitted, permitted_to_all
from fakeproc.vfs.setattr import Change, Changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.vfs.fstypes import FileSystemType
    from fakeproc.vfs.request import Boundary

__all__ = ["O_ACCMODE", "Inodes", "file_type"]

O_ACCMODE = os.O_WRONLY | os.O_RDWR  # Windows does not have it

_WANTED = {
    os.O_RDONLY: os.R_OK,
    os.O_WRONLY: os.W_OK,
    os.O_RDWR: os.R_OK | os.W_OK,
    O_ACCMODE: os.R_OK | os.W_OK,  # may do neither, but must be allowed both
}

_TYPES: dict[type, int] = {
    Attribute: stat.S_IFREG,
    Directory: stat.S_IFDIR,
    Symlink: stat.S_IFLNK,
}

_UNCHANGED = Change(owner=None)


def file_type(kind: type[Node]) -> int:
    """The S_IF… bits of a kind of node."""
    found = _TYPES.get(kind)
    if found is None:  # a sort of directory, seen for the first time
        found = _TYPES[kind] = next(_TYPES[base] for base in kind.__mro__ if base in _TYPES)
    return found


class Inodes:
    """The nodes of one file system, with what was changed about them; `caller` says who asks."""

    def __init__(
        self,
        fstype: FileSystemType,
        root: Directory,
        boundary: Boundary,
        caller: Callable[[], Caller],
    ) -> None:
        self.fstype = fstype
        self.boundary = boundary
        self.caller = caller
        self.changes = Changes()
        self.paths = Paths(root, boundary)
        # What root is to a real guest, whoever mounts is to this one.
        self._uid, self._gid = own_ids()

    def inode(self, path: str, node: Node) -> Inode:
        """Type and mode, and whose it is, changes included."""
        change = self.changes.of(path, node) or _UNCHANGED
        return Inode(
            file_type(type(node)) | (node.mode if change.mode is None else change.mode),
            self._uid if change.uid is None else change.uid,
            self._gid if change.gid is None else change.gid,
        )

    def node(self, path: str) -> Node:
        """The node at `path`, for a caller who may go there.  Raises EACCES, ENOENT, ENOTDIR."""
        if self.changes.closed:
            self._require_search(path)
        return self.paths.node(path)

    def attribute(self, path: str) -> Attribute:
        """The file at `path`.  Raises ENOENT, EISDIR, ELOOP."""
        node = self.node(path)
        if isinstance(node, Directory):
            raise OSError(errno.EISDIR, path)
        if isinstance(node, Symlink):
            raise OSError(errno.ELOOP, path)
        return node

    def directory(self, path: str) -> Directory:
        """The directory at `path`.  Raises ENOENT, ENOTDIR."""
        node = self.node(path)
        if not isinstance(node, Directory):
            raise OSError(errno.ENOTDIR, path)
        return node

    def _require_search(self, path: str) -> None:
        """Raise EACCES if the caller may not pass a directory on the way to `path`."""
        for top in self.changes.closed:
            if path.startswith(top.rstrip("/") + "/") and path != top:
                directory = self.paths.find(top)
                if directory is not None:
                    self.require(top, directory, os.X_OK)

    def require(self, path: str, node: Node, wanted: int) -> Inode:
        """Raise EACCES if the caller may not do `wanted` (R_OK, W_OK, X_OK)."""
        inode = self.inode(path, node)
        # Who asks is looked up only where it matters.
        if not permitted_to_all(inode, wanted) and not permitted(inode, self.caller(), wanted):
            raise OSError(errno.EACCES, path)
        return inode

    def check_open(self, path: str, node: Attribute, flags: int) -> Inode:
        """Raise EACCES if the caller may not open this file so (`fs/namei.c: may_open`)."""
        truncated = os.W_OK if flags & os.O_TRUNC else 0
        return self.require(path, node, _WANTED[flags & O_ACCMODE] | truncated)

    def require_owner(self, path: str, node: Node) -> None:
        """Raise EPERM if the caller is not the owner."""
        if not self._is_owner(path, node):
            raise OSError(errno.EPERM, path)

    def require_owner_or_writer(self, path: str, node: Node) -> None:
        """Raise EACCES if the caller is neither the owner nor may write."""
        if not self._is_owner(path, node):
            self.require(path, node, os.W_OK)

    def check_chown(self, path: str, node: Node, uid: int, gid: int) -> None:
        """Raise EPERM if the caller may not give this node to others.

        Mirrors `fs/attr.c`: the owner may give a node to a group of theirs, no more.
        """
        inode, caller = self.inode(path, node), self.caller()
        of_the_owner = (
            caller.uid == inode.uid
            and uid in (-1, inode.uid)
            and (gid in (-1, inode.gid) or caller.is_in(gid))
        )
        if not of_the_owner and not caller.capable(Capability.CHOWN):
            raise OSError(errno.EPERM, path)

    def _is_owner(self, path: str, node: Node) -> bool:
        caller = self.caller()
        return caller.uid == self.inode(path, node).uid or caller.capable(Capability.FOWNER)
