"""From paths to nodes."""

from __future__ import annotations

import errno

from fakeproc.files.tree import Attribute, Directory, Node, Symlink
from fakeproc.vfs.cache import Cache
from fakeproc.vfs.request import Boundary

__all__ = ["Paths"]


class Paths:
    """The paths of one file system, links not followed.  Looking one up costs its depth."""

    def __init__(self, root: Directory, boundary: Boundary) -> None:
        self._root = root
        self._nodes = Cache[Node](boundary)

    def find(self, path: str) -> Node | None:
        """The node at `path`, or None."""
        if path == "/":
            return self._root
        node = self._nodes.look(path)
        if node is None:
            parent, _, name = path.rpartition("/")
            directory = self.find(parent or "/")
            node = directory.lookup(name) if isinstance(directory, Directory) else None
            if node is not None:
                self._nodes.keep(path, node)
        return node

    def node(self, path: str) -> Node:
        """The node at `path`.  Raises ENOENT."""
        node = self.find(path)
        if node is None:
            raise OSError(errno.ENOENT, path)
        return node

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
