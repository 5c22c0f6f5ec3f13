"""Looking, reading, writing and changing attributes, answered from the tree.

The operations are those that the virtual file system asks of a file system.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from typing import TYPE_CHECKING

from fakeproc.files.tree import Attribute, Directory, Node, Symlink
from fakeproc.pages import PAGE_SIZE
from fakeproc.vfs.cache import Cache
from fakeproc.vfs.inodes import file_type
from fakeproc.vfs.open_files import OpenDirectory, OpenFile
from fakeproc.vfs.permissions import Capability
from fakeproc.vfs.record import recorded
from fakeproc.vfs.refusals import Refusals
from fakeproc.vfs.request import Boundary, request
from fakeproc.vfs.seq_file import bitmap_piece, piece

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fakeproc.path_faults import PathFault
    from fakeproc.timeline import Sleeper
    from fakeproc.vfs.fstypes import FileSystemType
    from fakeproc.vfs.permissions import Caller

__all__ = ["UTIME_NOW", "UTIME_OMIT", "Operations"]

_O_DIRECT = getattr(os, "O_DIRECT", 0)  # Linux only, and this runs elsewhere without a mount

# What utimensat(2) says instead of a time: `include/uapi/linux/stat.h`.
UTIME_NOW = (1 << 30) - 1
UTIME_OMIT = (1 << 30) - 2

_SEARCH = 0o111

# Texts wait for the read that follows an open, and some are as large as 46 MB.
_TEXTS = 8


class Operations(Refusals):
    """One file system: its type, and the root of its tree."""

    def __init__(
        self,
        fstype: FileSystemType,
        root: Directory,
        boundary: Boundary,
        caller: Callable[[], Caller],
    ) -> None:
        super().__init__(fstype, root, boundary, caller)
        self._stats = Cache["dict[str, int]"](boundary)
        self._texts = Cache[bytes](boundary, _TEXTS)
        self._mounted = boundary.machine.wall_time

    # -- Looking ---------------------------------------------------------------

    @request
    @recorded
    def lookup(self, path: str) -> Node:
        """The node of a name; the first that the kernel asks about any path."""
        return self.node(path)

    @request
    @recorded
    def getattr(self, path: str, file: OpenFile | None = None) -> dict[str, int]:
        """stat(2), and fstat(2) of an open file, even of one that has gone.

        The fields of struct stat by name; times in nanoseconds since 1970, by the guest's clock.
        """
        if file is not None:
            return self.attributes(path, file.node, file)
        # Programs that walk a tree ask three times about each directory.
        found = None if self.changes.closed else self._stats.look(path)
        if found is None:
            node = self.node(path)
            found = self.attributes(path, node)
            if isinstance(node, Directory):
                self._stats.keep(path, found)
        return found

    def attributes(self, path: str, node: Node, file: OpenFile | None = None) -> dict[str, int]:
        """The struct stat of a node."""
        inode = self.inode(path, node)
        attributes = {
            "st_mode": inode.mode,
            "st_uid": inode.uid,
            "st_gid": inode.gid,
            "st_nlink": node.nlink if isinstance(node, Directory) else 1,
            "st_size": self._size(path, node, file),
            "st_blksize": self.fstype.block_size,
            "st_atime": self._mounted,
            "st_mtime": self._mounted,
            "st_ctime": self._mounted,
        }
        change = self.changes.of(path, node)
        if change is not None:
            attributes |= change.times
        return attributes

    def _size(self, path: str, node: Node, file: OpenFile | None) -> int:
        if not isinstance(node, Attribute):
            return 0
        if self.fstype.declared_size is not None:
            return self.fstype.declared_size if node.size is None else node.size
        if file is not None and file.text is not None:
            return len(file.text)
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
    def access(self, path: str, wanted: int) -> int:
        """Whether the caller may: asked for a check, or to change into a directory."""
        self.require(path, self.node(path), wanted)
        return 0

    @request
    def readlink(self, path: str) -> str:
        """The target of a symbolic link."""
        node = self.node(path)
        if not isinstance(node, Symlink):
            raise OSError(errno.EINVAL, "not a symbolic link")
        return node.target

    @request
    @recorded
    def opendir(self, path: str) -> OpenDirectory:
        """An open directory, for a caller who may read it."""
        node = self.directory(path)
        self.require(path, node, os.R_OK)
        return OpenDirectory(path, node)

    @request
    def readdir(self, opened: OpenDirectory) -> list[tuple[str, int]]:
        """Names and types (S_IF…), so that readers of d_type (irqbalance) see directories.

        One that has gone is empty, even where another has come by its name
        (`fs/kernfs/dir.c: kernfs_fop_readdir`, `fs/proc/generic.c: proc_readdir_de`).
        """
        found = [(".", stat.S_IFDIR), ("..", stat.S_IFDIR)]
        node = self.paths.find(opened.path)
        if isinstance(node, Directory) and node.owner == opened.node.owner:
            found += [(name, file_type(kind)) for name, kind in node.children()]
        return found

    @request
    def statfs(self, path: str) -> dict[str, int]:  # noqa: ARG002 - the same for every path
        """A file system of no size, which `df` leaves out."""
        return {"f_bsize": PAGE_SIZE, "f_frsize": PAGE_SIZE, "f_namemax": 255}

    # -- Open files ------------------------------------------------------------

    @request
    @recorded
    def open(self, path: str, flags: int, *, kept: bool = True) -> OpenFile:
        """An open file; its text is not rendered yet.  `kept`: see `writing`."""
        node = self.attribute(path)
        try:
            self.check_open(path, node, flags)
        except OSError as error:
            if flags & (os.O_WRONLY | os.O_RDWR):
                known = error.strerror not in {None, path}
                why = str(error.strerror) if known else "the caller may not write it"
                if kept:
                    self.tell_refused_open(path, why, error)
                else:
                    self.boundary.machine.note_refused_open(self._shown(path), why, error)
            raise
        if flags & _O_DIRECT:
            raise OSError(errno.EINVAL, "O_DIRECT")
        visible = node.public
        if visible is not None and self.caller().capable(Capability.SYS_ADMIN):
            visible = None
        return OpenFile(path, node, bool(flags & (os.O_WRONLY | os.O_RDWR)), visible)

    def _shown(self, path: str) -> str:
        return f"/{self.fstype.name}{path}"

    @request
    def length(self, file: OpenFile) -> int:
        """st_size of an open file, in bytes."""
        return self._size(file.path, file.node, file)

    @request
    @recorded
    def read(self, file: OpenFile, size: int, offset: int, *, paged: bool = False) -> bytes:
        """What a reader gets at once of the text, from `offset`.  `paged`: see `_read`."""
        if not self.boundary.machine.path_faults.waiting:
            return self._read(file, size, offset, paged)
        return self.boundary.finish(self.reading(file, size, offset, paged=paged))

    def reading(
        self, file: OpenFile, size: int, offset: int, *, paged: bool = False
    ) -> Sleeper[bytes]:
        """The same as kernel code, which may sleep by a fault, and is then in the journal."""
        machine, path = self.boundary.machine, self._shown(file.path)
        faults = machine.path_faults.take("read", path)
        if not faults:
            return self._read(file, size, offset, paged)
        data = f"{size} {offset}".encode()
        with machine.journal.entry(
            machine.timeline.now, self.process(), "read", path, data
        ) as entry:
            size = yield from self._happen(faults, size)
            found = self._read(file, size, offset, paged)
            entry.result = len(found)
        return found

    def _happen(self, faults: list[PathFault], size: int) -> Sleeper[int]:
        """Have those faults happen whose turn it is; how many bytes they leave."""
        for fault in faults:
            if not fault.left:
                yield from self.boundary.machine.fail(fault)
                size = size if fault.short is None else min(size, fault.short)
        return size

    def _read(self, file: OpenFile, size: int, offset: int, paged: bool) -> bytes:
        """What a reader gets at once of the text, from `offset`.

        It is rendered anew where a reader begins, and where one does not go on
        from where it was (`fs/seq_file.c: traverse`).  `paged`: a page of memory
        is filled, with all that it can hold.
        """
        node = self._still_there(file)
        if offset == 0 or file.text is None or not (paged or offset == file.position):
            text = self._texts.take(file.path)
            file.text = (_render(node) if text is None else text)[: file.visible]
        if paged:
            return piece(file.text, size, offset)
        if node.is_bitmap:
            found = bitmap_piece(file.text, size, offset, self._size(file.path, node, file))
        elif file.records is not None:
            found = file.records.read(file.text, size, offset)
        else:
            found = piece(file.text, size, offset)
        file.position = offset + len(found)
        return found

    @request
    def write(self, file: OpenFile, data: bytes) -> int:
        """One store, wherever in the file the caller believes that it is."""
        return self.boundary.finish(self.writing(file, data))

    @recorded
    def writing(self, file: OpenFile, data: bytes, *, kept: bool = True) -> Sleeper[int]:
        """The same as kernel code, which may sleep; `kept`, it has an entry in the journal."""
        node = self._still_there(file)
        if not data and self.fstype.ignores_empty_writes:
            return 0
        data = data[: self.fstype.largest_write]
        machine, path = self.boundary.machine, self._shown(file.path)
        if not kept:
            return (yield from self._stored(node, path, data))
        with machine.journal.entry(
            machine.timeline.now, self.process(), "write", path, data
        ) as entry:
            entry.result = yield from self._stored(node, path, data)
        return entry.result

    def _stored(self, node: Attribute, path: str, data: bytes) -> Sleeper[int]:
        faults = self.boundary.machine.path_faults
        try:
            if faults.waiting:
                concerned = faults.take("write", path)
                data = data[: (yield from self._happen(concerned, len(data)))]
            if node.store is None:
                raise OSError(errno.EIO, "this file takes no writes")
            taken = node.store(data)
            if isinstance(taken, Generator):
                taken = yield from taken
        except OSError as error:
            if error.errno is not None:
                self.boundary.machine.note_refusal(path, data, error)
            raise
        finally:
            self.boundary.stores += 1
        return len(data) if taken is None else taken

    def _still_there(self, file: OpenFile) -> Attribute:
        """The node that an open file leads to now.

        Raises OSError once that is not the one that was opened: the device has
        gone, though another may have come by the same name.
        """
        node = self.paths.find(file.path)
        if isinstance(node, Attribute) and node.owner == file.node.owner:
            return node
        raise OSError(self.fstype.gone, "the device of this file has gone")

    @request
    def fsync(self, path: str) -> int:  # noqa: ARG002 - the same for every path
        """Nothing to write back: sysfs says so, procfs has no such operation."""
        if "fsync" in self.fstype.refusals:
            self.refuse("fsync")
        return 0

    @request
    def fsyncdir(self, path: str) -> int:  # noqa: ARG002 - the same for every path
        """No file system of this kind has it."""
        return self.refuse("fsyncdir")

    # -- Changing attributes -----------------------------------------------------

    @request
    def truncate(self, path: str, file: OpenFile | None = None) -> int:
        """Every `echo >` does it first; it has no effect."""
        if file is None or not file.writable:
            self.require(path, self.node(path), os.W_OK)
        return 0

    @request
    def chmod(self, path: str, mode: int) -> int:
        """Other permissions, until the node goes."""
        self._stats.forget()
        node = self.node(path)
        self.require_owner(path, node)
        change = self.changes.to(path, node)
        change.mode = stat.S_IMODE(mode)
        if isinstance(node, Directory):
            self.changes.closed.discard(path)
            if change.mode & _SEARCH != _SEARCH:
                self.changes.closed.add(path)
        change.times["st_ctime"] = self.boundary.machine.wall_time
        return 0

    @request
    def chown(self, path: str, uid: int, gid: int) -> int:
        """Another owner, until the node goes; -1 leaves it."""
        self._stats.forget()
        node = self.node(path)
        self.check_chown(path, node, uid, gid)
        change = self.changes.to(path, node)
        change.uid = change.uid if uid == -1 else uid
        change.gid = change.gid if gid == -1 else gid
        change.times["st_ctime"] = self.boundary.machine.wall_time
        return 0

    @request
    def utimens(self, path: str, times: Sequence[int] | None = None) -> int:
        """Other times (nanoseconds since 1970, UTIME_NOW or UTIME_OMIT), until the node goes."""
        atime, mtime = times or (UTIME_NOW, UTIME_NOW)
        self._stats.forget()
        node = self.node(path)
        if {atime, mtime} <= {UTIME_NOW, UTIME_OMIT}:
            self.require_owner_or_writer(path, node)
        else:
            self.require_owner(path, node)
        kept = self.changes.to(path, node).times
        now = self.boundary.machine.wall_time
        for name, new in (("st_atime", atime), ("st_mtime", mtime), ("st_ctime", UTIME_NOW)):
            if new != UTIME_OMIT:
                kept[name] = now if new == UTIME_NOW else new
        return 0

    @request
    def setxattr(self, path: str, name: str, value: bytes, options: int) -> int:  # noqa: ARG002
        """Refused, to those who may not write even before it is seen that there are none."""
        return self._refuse_xattr(path, name)

    @request
    def removexattr(self, path: str, name: str) -> int:
        """Refused, too."""
        return self._refuse_xattr(path, name)

    def _refuse_xattr(self, path: str, name: str) -> int:
        node = self.node(path)
        if name.startswith("user."):
            self.require(path, node, os.W_OK)
        raise OSError(errno.EOPNOTSUPP, name)

    @request
    def listxattr(self, path: str) -> Sequence[str]:
        """None, as on procfs."""
        self.node(path)
        return ()


def _render(node: Attribute) -> bytes:
    if node.show is None:
        raise OSError(errno.EIO, "this file is not to be read")
    return node.show()
