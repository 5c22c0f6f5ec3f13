"""What the kernel asks of a file system, answered from the tree.

The names and arguments of the operations are those of fusepy.  There is no
`flush` among them, and there must not be: told once that there is none, the
kernel saves that round trip at every close.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from fakeproc.files.tree import Attribute, Directory, Node, Symlink
from fakeproc.mount import libfuse
from fakeproc.mount.libfuse import Caller
from fakeproc.vfs.cache import Glimpses
from fakeproc.vfs.lookup import Paths
from fakeproc.vfs.open_files import Handle, Handles
from fakeproc.vfs.permissions import Inode, own_ids
from fakeproc.vfs.record import recorded
from fakeproc.vfs.request import Boundary, request
from fakeproc.vfs.setattr import Change, Changes

if TYPE_CHECKING:
    from fakeproc.mount.libfuse import FileInfo
    from fakeproc.vfs.fstypes import Flavour

__all__ = ["Operations"]

_TYPES: dict[type[Node], int] = {
    Attribute: stat.S_IFREG,
    Directory: stat.S_IFDIR,
    Symlink: stat.S_IFLNK,
}

_O_DIRECT = getattr(os, "O_DIRECT", 0)  # Linux only, and this runs elsewhere without a mount

_UNCHANGED = Change(owner=None)

# What utimensat(2) says instead of a time: `include/uapi/linux/stat.h`.
UTIME_NOW = (1 << 30) - 1
UTIME_OMIT = (1 << 30) - 2


class Operations:
    """One file system: a flavour, and the root of its tree.

    `on_ready` is called once the kernel has begun to ask; `caller` says who
    made the request.
    """

    # Read by fusepy: times are nanoseconds, and a time may be "now" or "leave it".
    use_ns = True
    flag_utime_omit_ok = 1

    def __init__(
        self,
        flavour: Flavour,
        root: Directory,
        boundary: Boundary,
        on_ready: Callable[[], None],
        caller: Callable[[], Caller] = libfuse.caller,
    ) -> None:
        self.flavour = flavour
        self.boundary = boundary
        self.caller = caller
        self.changes = Changes()
        self.handles = Handles()
        self._on_ready = on_ready
        self.paths = Paths(root, boundary)
        self._nlinks = Glimpses[int](boundary)
        self._texts = Glimpses[bytes](boundary)
        self._cut_short: set[str] = set()
        self._mounted = time.time_ns()
        # What root is to a real guest, whoever mounts is to this one.
        self._uid, self._gid = own_ids()

    def init(self, path: str) -> None:  # noqa: ARG002 - fusepy's signature
        """The kernel is there."""
        self._on_ready()

    # -- Looking ---------------------------------------------------------------

    @request
    @recorded
    def getattr(self, path: str, info: FileInfo | None = None) -> dict[str, int]:
        """stat(2), and fstat(2) of an open file, even of one that has gone."""
        handle = None if info is None else self.handles[info.fh]
        node = self.paths.node(path) if handle is None else handle.node
        return self.attributes(path, node, handle)

    def attributes(self, path: str, node: Node, handle: Handle | None = None) -> dict[str, int]:
        """The struct stat of a node."""
        inode = self.inode(path, node)
        self._cut_short.discard(path)
        attributes = {
            "st_mode": inode.mode,
            "st_uid": inode.uid,
            "st_gid": inode.gid,
            "st_nlink": self._nlink(path, node),
            "st_size": self._size(path, node, handle),
            "st_blksize": self.flavour.block_size,
            "st_atime": self._mounted,
            "st_mtime": self._mounted,
            "st_ctime": self._mounted,
        }
        change = self.changes.of(path, node)
        if change is not None:
            attributes |= change.times
        return attributes

    def inode(self, path: str, node: Node) -> Inode:
        """Type and mode, and whose it is, changes included."""
        change = self.changes.of(path, node) or _UNCHANGED
        return Inode(
            _type(node) | (node.mode if change.mode is None else change.mode),
            self._uid if change.uid is None else change.uid,
            self._gid if change.gid is None else change.gid,
        )

    def _nlink(self, path: str, node: Node) -> int:
        if not isinstance(node, Directory):
            return 1
        return self._nlinks.look(path) or self._nlinks.keep(path, node.nlink)

    def _size(self, path: str, node: Node, handle: Handle | None) -> int:
        if not isinstance(node, Attribute):
            return 0
        if not self.flavour.exact_sizes:
            return self.flavour.block_size if node.size is None else node.size
        if handle is not None and handle.text is not None:
            return len(handle.text)
        text = self._texts.look(path)
        if text is None:
            try:
                text = self._texts.keep(path, _render(node))
            except OSError as error:
                if error.errno is None:
                    raise
                return 0  # what cannot be read has no length; who reads it hears why
        return len(text)

    @request
    def readlink(self, path: str) -> str:
        """The target of a symbolic link."""
        node = self.paths.node(path)
        if not isinstance(node, Symlink):
            raise OSError(errno.EINVAL, "not a symbolic link")
        return node.target

    @request
    @recorded
    def opendir(self, path: str) -> int:
        """Whether the directory is there, and the caller may read it."""
        self.require(path, self.paths.directory(path), os.R_OK)
        return 0

    @request
    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:  # noqa: ARG002
        """Names and types, so that readers of d_type (irqbalance) see directories."""
        return list(self._entries(self.paths.directory(path)))

    def _entries(self, directory: Directory) -> Iterator[tuple[str, dict[str, int], int]]:
        for name in (".", ".."):
            yield name, {"st_mode": stat.S_IFDIR}, 0
        for name, kind in directory.children():
            yield name, {"st_mode": _TYPES[kind]}, 0

    @request
    def statfs(self, path: str) -> dict[str, int]:  # noqa: ARG002 - fusepy's signature
        """A file system of no size, which `df` leaves out."""
        return {"f_bsize": 4096, "f_frsize": 4096, "f_namemax": 255}

    # -- Open files ------------------------------------------------------------

    @request
    @recorded
    def open(self, path: str, info: FileInfo) -> int:
        """Remember who is being read or written; render nothing yet."""
        node = self.paths.attribute(path)
        self.check_open(path, node, info.flags)
        if info.flags & _O_DIRECT:
            raise OSError(errno.EINVAL, "O_DIRECT")
        self._have_size_looked_up(path)
        writable = bool(info.flags & (os.O_WRONLY | os.O_RDWR))
        info.fh = self.handles.open(Handle(path, node, writable))
        info.direct_io = 1  # a read asks us, whatever length the kernel believes in
        return 0

    @request
    @recorded
    def read(self, path: str, size: int, offset: int, info: FileInfo) -> bytes:  # noqa: ARG002
        """A piece of the text, which is rendered anew whenever a reader begins."""
        handle = self.handles[info.fh]
        node = self._still_there(handle)
        if not info.lock_owner:  # nobody's: the kernel fills a page, for sendfile(2)
            self._cut_short.add(handle.path)
        if offset == 0 or handle.text is None:
            text = self._texts.take(handle.path)
            handle.text = _render(node) if text is None else text
        return handle.text[offset : offset + size]

    @request
    @recorded
    def write(self, path: str, data: bytes, offset: int, info: FileInfo) -> int:  # noqa: ARG002
        """One store, wherever in the file the kernel believes that it is."""
        handle = self.handles[info.fh]
        node = self._still_there(handle)
        data = data[: self.flavour.largest_write]
        try:
            taken = self._store(node, data)
        except OSError as error:
            if error.errno is not None:
                full_path = f"/{self.flavour.name}{handle.path}"
                self.boundary.machine.note_refusal(full_path, data, error)
            raise
        finally:
            self.boundary.stores += 1
        return len(data) if taken is None else taken

    def _store(self, node: Attribute, data: bytes) -> int | None:
        if node.store is None:
            raise OSError(self.flavour.unwritable, "this file takes no writes")
        return node.store(data)

    @request
    def release(self, path: str, info: FileInfo) -> int:  # noqa: ARG002 - fusepy's signature
        """The last descriptor was closed."""
        self.handles.close(info.fh)
        return 0

    def _have_size_looked_up(self, path: str) -> None:
        """Have the kernel forget a length that it learned from a short page.

        sendfile(2) reads pages.  One that is not full tells the kernel where
        the file ends, and it goes by that until it asks for the attributes
        again, which on sysfs it does not do at open: the next, longer text
        would be cut.  ESTALE makes it look up the path once more, attributes
        and all, and then open again; no process sees it.
        """
        if path in self._cut_short:
            self._cut_short.remove(path)
            raise OSError(errno.ESTALE, path)

    def _still_there(self, handle: Handle) -> Attribute:
        """The node that an open file leads to now.

        Raises OSError once that is not the one that was opened: the device has
        gone, though another may have come by the same name.
        """
        node = self.paths.find(handle.path)
        if isinstance(node, Attribute) and node.owner == handle.node.owner:
            return node
        raise OSError(self.flavour.gone, "the device of this file has gone")

    @request
    def fsync(self, path: str, datasync: int, info: FileInfo) -> int:  # noqa: ARG002
        """Nothing to write back: sysfs says so, procfs has no such operation."""
        if "fsync" in self.flavour.refusals:
            self.refuse("fsync")
        return 0

    @request
    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002
        """No file system of this kind has it."""
        return self.refuse("fsyncdir")

    # -- Changing attributes -----------------------------------------------------

    @request
    def truncate(self, path: str, length: int, info: FileInfo | None = None) -> int:  # noqa: ARG002
        """Every `echo >` does it first; it has no effect."""
        if info is None or not self.handles[info.fh].writable:
            self.require(path, self.paths.node(path), os.W_OK)
        return 0

    @request
    def chmod(self, path: str, mode: int) -> int:
        """Other permissions, until the node goes."""
        node = self.paths.node(path)
        self.require_owner(path, node)
        change = self.changes.to(path, node)
        change.mode = stat.S_IMODE(mode)
        change.times["st_ctime"] = time.time_ns()
        return 0

    @request
    def chown(self, path: str, uid: int, gid: int) -> int:
        """Another owner, until the node goes; -1 leaves it."""
        node = self.paths.node(path)
        self.check_chown(path, node, uid, gid)
        change = self.changes.to(path, node)
        change.uid = change.uid if uid == -1 else uid
        change.gid = change.gid if gid == -1 else gid
        change.times["st_ctime"] = time.time_ns()
        return 0

    @request
    def utimens(self, path: str, times: Sequence[int] | None = None) -> int:
        """Other times, until the node goes."""
        atime, mtime = times or (UTIME_NOW, UTIME_NOW)
        node = self.paths.node(path)
        if {atime, mtime} <= {UTIME_NOW, UTIME_OMIT}:
            self.require_owner_or_writer(path, node)
        else:
            self.require_owner(path, node)
        kept = self.changes.to(path, node).times
        now = time.time_ns()
        for name, new in (("st_atime", atime), ("st_mtime", mtime), ("st_ctime", UTIME_NOW)):
            if new != UTIME_OMIT:
                kept[name] = now if new == UTIME_NOW else new
        return 0

    @request
    def listxattr(self, path: str) -> Sequence[str]:
        """None, as on procfs."""
        self.paths.node(path)
        return ()

    # -- Changing directories: always refused --------------------------------------

    @request
    def create(self, path: str, mode: int, info: FileInfo) -> int:  # noqa: ARG002
        """A plain file, by open(2) or mknod(2)."""
        return self._refuse_entry("create", path)

    @request
    def mknod(self, path: str, mode: int, device: int) -> int:  # noqa: ARG002
        """A pipe or a device."""
        return self._refuse_entry("mknod", path)

    @request
    def mkdir(self, path: str, mode: int) -> int:  # noqa: ARG002 - fusepy's signature
        """A directory."""
        return self._refuse_entry("mkdir", path)

    @request
    def symlink(self, path: str, target: str) -> int:  # noqa: ARG002 - fusepy's signature
        """A symbolic link."""
        return self._refuse_entry("symlink", path)

    @request
    def link(self, path: str, existing: str) -> int:
        """A hard link."""
        self.paths.node(existing)
        return self._refuse_entry("link", path)

    @request
    def rename(self, old: str, new: str) -> int:
        """Another name."""
        self.paths.node(old)
        self._require_changeable(old)
        over = self.paths.find(new) is not None
        return self._refuse_entry("rename over" if over else "rename", new)

    @request
    def unlink(self, path: str) -> int:
        """No file any more."""
        self.paths.node(path)
        return self._refuse_entry("unlink", path)

    @request
    def rmdir(self, path: str) -> int:
        """No directory any more."""
        self.paths.node(path)
        return self._refuse_entry("rmdir", path)

    def _refuse_entry(self, operation: str, path: str) -> int:
        self._require_changeable(path)
        return self.refuse(operation)

    def _require_changeable(self, path: str) -> None:
        """Raise OSError if the caller may not change the directory that `path` is in."""
        parent = path.rpartition("/")[0] or "/"
        self.require(parent, self.paths.directory(parent), os.W_OK | os.X_OK)

    def refuse(self, operation: str) -> int:
        """Raise the OSError by which this file system does not have an operation.

        It returns int, as every operation does.
        """
        code = self.flavour.refusals[operation]
        raise OSError(code, f"{self.flavour.name} has no {operation}")

    # -- Permissions: the kernel has checked them (`default_permissions`), unless
    #    a subclass says otherwise --------------------------------------------------

    def require(self, path: str, node: Node, wanted: int) -> None:
        """Raise EACCES if the caller may not do `wanted` (R_OK, W_OK, X_OK)."""

    def require_owner(self, path: str, node: Node) -> None:
        """Raise EPERM if the caller is not the owner."""

    def require_owner_or_writer(self, path: str, node: Node) -> None:
        """Raise EACCES if the caller is neither the owner nor may write."""

    def check_chown(self, path: str, node: Node, uid: int, gid: int) -> None:
        """Raise EPERM if the caller may not give this node to others."""

    def check_open(self, path: str, node: Attribute, flags: int) -> None:
        """Raise EACCES if the caller may not open this file so."""


def _type(node: Node) -> int:
    return stat.S_IFDIR if isinstance(node, Directory) else _TYPES[type(node)]


def _render(node: Attribute) -> bytes:
    if node.show is None:
        raise OSError(errno.EIO, "this file is not to be read")
    return node.show()
