"""/lib/modules of a window: a kernel that has everything built in.

Without it tools look for the modules of the guest's kernel among those of the machine:
lspci complains that it "cannot load libkmod resources".  It is there where the machine
has such a directory.
"""

from __future__ import annotations

import struct
from pathlib import Path

from fakeproc.run.namespace import mount_tmpfs

__all__ = ["open_modules"]

_MODULES = Path("/lib/modules")
_RELEASE = "proc/sys/kernel/osrelease"

# The indexes that libkmod wants to find, and the texts that they are made from.
_INDEXES = ("alias", "builtin", "builtin.alias", "dep", "symbols")
_TEXTS = ("alias", "builtin", "dep", "order", "softdep", "symbols")

# An index without an entry: magic, version 2.1, no root (kmod's libkmod/libkmod-index.c).
_EMPTY = struct.pack(">III", 0xB007F457, 0x0002_0001, 0)


def open_modules(guest: Path) -> None:
    """Make this window's /lib/modules, for the guest that is mounted at `guest`."""
    if not _MODULES.is_dir():
        return
    release = (guest / _RELEASE).read_text().strip()
    mount_tmpfs(_MODULES, "size=1m,mode=755")
    directory = _MODULES / release
    directory.mkdir()
    for name in _TEXTS:
        (directory / f"modules.{name}").touch()
    for name in _INDEXES:
        (directory / f"modules.{name}.bin").write_bytes(_EMPTY)
