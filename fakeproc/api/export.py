"""A guest handed on: as an archive, as a directory that tools read, as a profile."""

from __future__ import annotations

import errno
import os
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from fakeproc.files.tree import Directory, Symlink
from fakeproc.recordings.record import TOP, Root, record
from fakeproc.recordings.tree import EXPORTED

if TYPE_CHECKING:
    from fakeproc.files.tree import Node
    from fakeproc.vfs.namespace import Namespace

__all__ = ["ExportForm", "NamespaceRoot", "export", "form_of"]

ExportForm = Literal["archive", "directory", "profile"]

_COMPRESSIONS = {".gz": "gz", ".tgz": "gz", ".bz2": "bz2", ".xz": "xz"}


class NamespaceRoot(Root):
    """The files of a guest in this process, to be recorded."""

    def __init__(self, files: Namespace) -> None:
        super().__init__("")
        self._files = files

    def _node(self, below: str) -> Node | None:
        try:
            return self._files.node(f"/{below}", follow_last=False)
        except FileNotFoundError:
            return None

    def is_link(self, below: str) -> bool:
        """Whether a path is a symbolic link itself."""
        return isinstance(self._node(below), Symlink)

    def is_directory(self, below: str) -> bool:
        """Whether a path is a directory, and no link to one."""
        return isinstance(self._node(below), Directory)

    def exists(self, below: str) -> bool:
        """Whether there is anything, a link that leads nowhere included."""
        return self._node(below) is not None

    def names(self, below: str) -> list[str]:
        """The entries of a directory, sorted."""
        return sorted(self._files.list(f"/{below}"))

    def readlink(self, below: str) -> str:
        """Where a link leads.  Raises OSError."""
        return self._files.readlink(f"/{below}")

    def read(self, below: str, most: int) -> bytes:
        """A file's first bytes.  Raises OSError."""
        return self._files.read(f"/{below}")[:most]


class _Unpacked:
    """A directory that takes members as an archive does, without the directory above them."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def addfile(self, info: tarfile.TarInfo, content: IO[bytes] | None = None) -> None:
        """Write a file, a link or a directory.  Raises OSError."""
        path = self._top / info.name.removeprefix(f"{TOP}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if info.isdir():
            path.mkdir(exist_ok=True)
        elif info.issym():
            path.symlink_to(info.linkname)
        else:
            path.write_bytes(b"" if content is None else content.read())


def form_of(path: str | os.PathLike[str]) -> ExportForm:
    """What a name asks for: a profile (.toml), an archive (.tar, .tgz, .tar.xz), or a directory."""
    name = Path(path).name
    if name.endswith(".toml"):
        return "profile"
    return "archive" if name.endswith(".tgz") or ".tar" in name else "directory"


def export(root: Root, profile: str, path: str | os.PathLike[str], form: ExportForm) -> None:
    """Write what is below `root`, or the TOML of its profile alone.

    Nothing is replaced: names and addresses are the guest's own.  Raises OSError, EEXIST where
    the file is there, or a directory that is not empty.
    """
    to = Path(path)
    more = {EXPORTED: profile.encode()}
    if form == "profile":
        with to.open("x", encoding="utf-8") as file:
            file.write(profile)
    elif form == "archive":
        with to.open("xb") as raw:
            try:
                compression = _COMPRESSIONS.get(to.suffix, "")
                # A stream: each member is written once, and nothing is read back.
                with tarfile.open(fileobj=raw, mode=f"w|{compression}") as archive:  # type: ignore[call-overload]
                    record(root, archive, keep_names=True, more=more)
            except BaseException:
                to.unlink()
                raise
    else:
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(to))
        to.mkdir(exist_ok=True)
        record(root, _Unpacked(to), keep_names=True, more=more)
