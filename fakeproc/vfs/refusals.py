"""Making, moving and removing names: every file system of this kind refuses it in its own way."""

from __future__ import annotations

import os
from contextlib import suppress

from fakeproc.vfs.inodes import Inodes
from fakeproc.vfs.record import command_of
from fakeproc.vfs.request import request

__all__ = ["Refusals"]


class Refusals(Inodes):
    """The operations that would change a directory, each refused as its file system does."""

    @request
    def create(self, path: str) -> int:
        """A plain file, by open(2) or mknod(2); to a shell that writes one it is the open."""
        try:
            return self._refuse_entry("create", path)
        except OSError as error:
            self.tell_refused_open(path, "the guest has no such file", error)
            raise

    def tell_refused_open(self, path: str, why: str, error: OSError) -> None:
        """Tell of an open for writing that is refused: in the guest's log, and in the journal."""
        machine, shown = self.boundary.machine, f"/{self.fstype.name}{path}"
        machine.note_refused_open(shown, why, error)
        now = machine.timeline.now
        with suppress(OSError), machine.journal.entry(now, self.process(), "open", shown, b""):
            raise error

    def process(self) -> tuple[int, str]:
        """The number and the name of the process that asks."""
        pid = self.caller().pid
        return pid, command_of(pid)

    @request
    def mknod(self, path: str) -> int:
        """A pipe or a device."""
        return self._refuse_entry("mknod", path)

    @request
    def mkdir(self, path: str) -> int:
        """A directory."""
        return self._refuse_entry("mkdir", path)

    @request
    def symlink(self, path: str) -> int:
        """A symbolic link."""
        return self._refuse_entry("symlink", path)

    @request
    def link(self, path: str, existing: str) -> int:
        """A hard link."""
        self.node(existing)
        return self._refuse_entry("link", path)

    @request
    def rename(self, old: str, new: str) -> int:
        """Another name."""
        self.node(old)
        over = self.paths.find(new) is not None
        if over or not self.fstype.new_names_are_enoent:
            self._require_changeable(old)
        return self._refuse_entry("rename over" if over else "rename", new)

    @request
    def unlink(self, path: str) -> int:
        """No file any more."""
        self.node(path)
        return self._refuse_entry("unlink", path)

    @request
    def rmdir(self, path: str) -> int:
        """No directory any more."""
        self.node(path)
        return self._refuse_entry("rmdir", path)

    def _refuse_entry(self, operation: str, path: str) -> int:
        if not (self.fstype.new_names_are_enoent and self.paths.find(path) is None):
            self._require_changeable(path)
        return self.refuse(operation)

    def _require_changeable(self, path: str) -> None:
        """Raise OSError if the caller may not change the directory that `path` is in."""
        parent = path.rpartition("/")[0] or "/"
        self.require(parent, self.directory(parent), os.W_OK | os.X_OK)

    def refuse(self, operation: str) -> int:
        """Raise the OSError by which this file system does not have an operation.

        It returns int, as every operation does.
        """
        code = self.fstype.refusals[operation]
        raise OSError(code, f"{self.fstype.name} has no {operation}")
