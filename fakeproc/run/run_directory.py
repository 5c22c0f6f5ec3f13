"""/run of a window: a copy, with what is to be the window's own, and without what is not.

The copy has the real directories and files, and what is made directly in it stays in there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fakeproc.run.namespace import bind, mount_tmpfs

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["open_run_directory"]

_RUN = Path("/run")

# Where irqbalance cannot make its socket there, it takes one abstract name for all of the
# machine, and a second irqbalance gives up.
_IRQBALANCE = _RUN / "irqbalance"

# What modprobe is told about modules: those of the guest are built in.
_MODPROBE = _RUN / "modprobe.d"
_BUILT_IN = "install {} /bin/true\n"

# By these a program finds that it is in a container, which the guest is not (systemd-detect-virt).
_MARKS = frozenset({".containerenv", "systemd/container", "host/container-manager"})


def open_run_directory(guest: Path) -> None:
    """Make this window's /run, for the guest that is mounted at `guest`."""
    if not _RUN.is_dir():
        return
    _replace_run()
    for directory in (_IRQBALANCE, _MODPROBE):
        directory.mkdir(exist_ok=True)
    mount_tmpfs(_IRQBALANCE, "size=1m,mode=700")
    mount_tmpfs(_MODPROBE, "size=1m,mode=755")
    lines = [_BUILT_IN.format(name) for name in sorted(_modules(guest / "sys"))]
    (_MODPROBE / "guest.conf").write_text("".join(lines))


def _modules(sys: Path) -> set[str]:
    """The modules of the guest, and the drivers that they bring."""
    names = {module.name for module in (sys / "module").iterdir()}
    for bus in (sys / "bus").iterdir():
        names |= {driver.name for driver in (bus / "drivers").iterdir()}
    return names


def _replace_run() -> None:
    real = os.open(_RUN, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        source = f"/proc/self/fd/{real}"
        with os.scandir(source) as entries:
            found = list(entries)
        mount_tmpfs(_RUN, "size=10m,mode=755")
        _copy(found, "")
    finally:
        os.close(real)


def _copy(entries: Iterable[os.DirEntry[str]], below: str) -> None:
    """Bind what lies in a directory, and copy those that have a mark in them."""
    for entry in entries:
        name = below + entry.name
        if name in _MARKS:
            continue
        target = _RUN / name
        # What has gone meanwhile, or may not be looked at, is left out.
        with suppress(OSError):
            if entry.is_symlink():
                target.symlink_to(os.readlink(entry.path))  # noqa: PTH115 - not to be resolved
            elif not entry.is_dir():
                target.touch()
                bind(entry.path, target, with_submounts=True)
            else:
                target.mkdir()
                if any(mark.startswith(f"{name}/") for mark in _MARKS):
                    with os.scandir(entry.path) as within:
                        _copy(within, f"{name}/")
                else:
                    bind(entry.path, target, with_submounts=True)
