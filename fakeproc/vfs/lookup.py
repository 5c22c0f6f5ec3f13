"""From paths to nodes."""

from __future__ import annotations

import errno

from fakeproc.files.tree import Directory, Node
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
