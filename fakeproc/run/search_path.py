"""Where a run looks for programs: where root of a guest does.

A command of a run is root there, whoever started it, and root's PATH has the
directories of tools like irqbalance (`/etc/login.defs: ENV_SUPATH`), which that
of an ordinary user leaves out on Debian.
"""

from __future__ import annotations

import os

__all__ = ["search_path"]

_OF_ROOT = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def search_path(path: str | None) -> str:
    """A PATH, and behind it the directories of root's that are not in it.  None is no PATH."""
    names = (os.defpath if path is None else path).split(os.pathsep)
    return os.pathsep.join([*names, *(name for name in _OF_ROOT if name not in names)])
