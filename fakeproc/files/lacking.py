"""A tree without the files that a machine's kernel does not have (`kernel.lacks` of a profile)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

from fakeproc.files.tree import Directory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fakeproc.files.tree import Kind, Node

__all__ = ["lacking"]

Patterns: TypeAlias = list[list[str]]  # of paths, name by name


def lacking(root: Directory, top: str, patterns: Iterable[str]) -> Directory:
    """The tree at `root`, called `top`, without what the patterns of paths name."""
    below = [names[1:] for names in (pattern.split("/") for pattern in patterns) if names[0] == top]
    return _Lacking(root, below) if below else root


class _Lacking(Directory):
    """A directory of which some entries, or some further down, are not there."""

    def __init__(self, whole: Directory, patterns: Patterns) -> None:
        super().__init__(mode=whole.mode, owner=whole.owner)
        self._whole = whole
        self._patterns = patterns

    def lookup(self, name: str) -> Node | None:
        """The entry of that name, or None."""
        matching = self._matching(name)
        if [] in matching:
            return None
        node = self._whole.lookup(name)
        return _Lacking(node, matching) if matching and isinstance(node, Directory) else node

    def children(self) -> list[tuple[str, Kind]]:
        """Name and kind of every entry, in readdir order."""
        return [child for child in self._whole.children() if [] not in self._matching(child[0])]

    @property
    def nlink(self) -> int:
        """2 and one for each sub-directory, or each entry, as with all of them."""
        return self._whole.nlink - sum(
            kind is Directory and [] in self._matching(name)
            for name, kind in self._whole.children()
        )

    def _matching(self, name: str) -> Patterns:
        """What is left of the patterns that begin with this name."""
        return [names[1:] for names in self._patterns if fnmatchcase(name, names[0])]
