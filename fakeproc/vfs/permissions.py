"""Who may do what: owner, group and other, and the capabilities above them.

Mirrors `fs/namei.c: generic_permission`.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

__all__ = ["Caller", "Capability", "Inode", "Root", "own_ids", "permitted", "permitted_to_all"]

logger = logging.getLogger(__name__)


class Capability:
    """Bits of a capability set: `include/uapi/linux/capability.h`."""

    CHOWN = 1 << 0
    DAC_OVERRIDE = 1 << 1
    DAC_READ_SEARCH = 1 << 2
    FOWNER = 1 << 3
    SYS_ADMIN = 1 << 21


class Inode(NamedTuple):
    """What permissions are made of: the mode with its type, and whose it is."""

    mode: int
    uid: int
    gid: int


@dataclass
class Caller:
    """The process that has made a request, and its credentials.

    A request names only the user and the group.  The rest is in
    /proc/<pid>/status, which is read only where the answer depends on it.
    """

    uid: int
    gid: int
    pid: int
    proc: Path = field(default=Path("/proc"))

    def is_in(self, gid: int) -> bool:
        """Whether the group, or one of the supplementary groups, is `gid`."""
        return gid == self.gid or str(gid) in self._status.get("Groups", "").split()

    def capable(self, capability: int) -> bool:
        """Whether the process has a capability that counts here."""
        return bool(int(self._status.get("CapEff", "0"), 16) & capability) and self._is_related

    @property
    def _is_related(self) -> bool:
        """Whether the process is in our user namespace.

        In any other, its capabilities say nothing about our files.  Namespaces
        are told apart by their map of users, which everybody may read.
        """
        return self._read(str(self.pid), "uid_map") == self._read("self", "uid_map")

    @cached_property
    def _status(self) -> dict[str, str]:
        lines = self._read(str(self.pid), "status").splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    def _read(self, pid: str, name: str) -> str:
        """A file of the real /proc; empty for a process that has ended, or is not of here."""
        try:
            return (self.proc / pid / name).read_text()
        except OSError as error:
            logger.info("nothing is known about process %s: %s", pid, error)
            return ""


class Root(Caller):
    """Root in the guest, with every capability, asking from within this very process."""

    def __init__(self) -> None:
        super().__init__(*own_ids(), os.getpid())

    def is_in(self, gid: int) -> bool:
        """Whether the group is its own; it has no others."""
        return gid == self.gid

    def capable(self, capability: int) -> bool:  # noqa: ARG002 - it has them all
        """Always."""
        return True


def own_ids() -> tuple[int, int]:
    """User and group of this process; root's where there are none (Windows)."""
    if sys.platform == "win32":
        return 0, 0
    return os.geteuid(), os.getegid()


def permitted_to_all(inode: Inode, wanted: int) -> bool:
    """Whether owner, group and others may all do `wanted` (R_OK, W_OK, X_OK or 0)."""
    mode = inode.mode
    return _allows(mode & mode >> 3 & mode >> 6, wanted)


def permitted(inode: Inode, caller: Caller, wanted: int) -> bool:
    """Whether `caller` may do `wanted` (R_OK, W_OK, X_OK or 0)."""
    if caller.uid == inode.uid:
        bits = inode.mode >> 6
    elif _allows(inode.mode >> 3, wanted) == _allows(inode.mode, wanted):
        bits = inode.mode  # it does not matter which groups the caller is in
    else:
        bits = inode.mode >> 3 if caller.is_in(inode.gid) else inode.mode
    return _allows(bits, wanted) or _overridden(inode, caller, wanted)


def _allows(bits: int, wanted: int) -> bool:
    return not wanted & ~bits


def _overridden(inode: Inode, caller: Caller, wanted: int) -> bool:
    directory = stat.S_ISDIR(inode.mode)
    if wanted == os.R_OK or (directory and not wanted & os.W_OK):
        return caller.capable(Capability.DAC_READ_SEARCH | Capability.DAC_OVERRIDE)
    if directory or not wanted & os.X_OK or inode.mode & 0o111:
        return caller.capable(Capability.DAC_OVERRIDE)
    return False
