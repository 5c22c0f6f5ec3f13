"""What chmod(2), chown(2), utimensat(2) and setxattr(2) have changed.

Like the real file systems, which keep this in memory until the node goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fakeproc.files.tree import Attribute, Directory, Node

__all__ = ["Change", "Changes"]


@dataclass(slots=True)
class Change:
    """What differs from the node as declared; None where nothing does."""

    owner: object
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    times: dict[str, int] = field(default_factory=dict)
    xattrs: dict[str, bytes] = field(default_factory=dict)


class Changes:
    """The changes of one mount, by path."""

    def __init__(self) -> None:
        self._by_path: dict[str, Change] = {}
        # Directories whose mode keeps somebody from what is below; few, and mostly none.
        self.closed: set[str] = set()

    def of(self, path: str, node: Node) -> Change | None:
        """What was changed about this node; forgotten once the path leads to another."""
        change = self._by_path.get(path)
        if change is None or change.owner == _owner(node):
            return change
        del self._by_path[path]
        return None

    def to(self, path: str, node: Node) -> Change:
        """The record to change."""
        return self.of(path, node) or self._by_path.setdefault(path, Change(_owner(node)))


def _owner(node: Node) -> object:
    return node.owner if isinstance(node, Attribute | Directory) else None
