"""Names of devices that have gone, taken out of the kernel's cache of names.

The kernel keeps a name that it has looked up until it is short of memory, and for as
long libfuse keeps what it knows of it: some 200 bytes.  Nearly every name of a guest
comes back; but an adapter, a disk or a connection by socket has a GUID of its own, and
with it hundreds of names below it.  Where such devices come and go for hours the daemon
would only grow.  So the kernel is told which have gone: FUSE_NOTIFY_INVAL_ENTRY, after
which it forgets them, with all that is below them.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
from contextlib import suppress
from pathlib import PurePosixPath
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from fakeproc.guest.base.uevents import Uevent
    from fakeproc.guest.kernel import Kernel

__all__ = ["BATCH", "GoneNames"]

logger = logging.getLogger(__name__)

BATCH = 32  # devices whose removal is told the kernel together

_FUSE_NOTIFY_INVAL_ENTRY = 3  # include/uapi/linux/fuse.h
# `struct fuse_out_header`: length, code, and 0 for what answers no request; then
# `struct fuse_notify_inval_entry_out`: the directory, the length of the name, no flags.
_NOTIFICATION = struct.Struct("=IiQQII")

_PATIENCE = 0.3  # seconds that the end waits for a batch that is under way


class GoneNames:
    """The removals in the file system that is mounted on `root`, /sys, of a kernel.

    `device` is a descriptor of the FUSE device by which it is served; it is set once
    there is one.
    """

    def __init__(self, kernel: Kernel, root: Path) -> None:
        self.device = -1
        self._root = root
        self._devices = kernel.devices
        self._removals: list[Uevent] = []
        self._batches: SimpleQueue[list[Uevent]] = SimpleQueue()
        self._hearers = kernel.uevents.hearers
        # No request may do it: it may hold what the kernel needs for that, and the
        # number of a directory is itself asked for by a request.
        self._thread = threading.Thread(target=self._serve, name="gone names", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._hearers.append(self._hear)
        self._thread.start()

    def stop(self) -> None:
        """Tell the kernel no more."""
        if self._thread.ident is not None:
            self._hearers.remove(self._hear)
            self._batches.put([])
            self._thread.join(_PATIENCE)

    def _hear(self, event: Uevent) -> None:
        known = event.subsystem in self._devices.buses or event.subsystem in self._devices.classes
        if event.action == "remove" and known:  # and not a queue or a channel of a device
            self._removals.append(event)
        if len(self._removals) >= BATCH:
            self._batches.put(self._removals)
            self._removals = []

    def _serve(self) -> None:
        while removals := self._batches.get():
            try:
                self._tell(removals)
            except OSError as error:
                logger.info("the kernel is no longer told which names have gone: %s", error)
                break

    def _tell(self, removals: list[Uevent]) -> None:
        """Tell the kernel of some removals.  Raises OSError where the mount has gone."""
        names: dict[str, list[str]] = {}
        for path in _topmost({path for event in removals for path in self._paths(event)}):
            directory, _, name = path.rpartition("/")
            names.setdefault(directory, []).append(name)
        for directory, gone in names.items():
            try:
                # A name has the number that libfuse knows it by.
                number = (self._root / directory.lstrip("/")).stat().st_ino
            except FileNotFoundError:  # with all that was below it
                continue
            for name in gone:
                self._invalidate(number, os.fsencode(name))

    def _paths(self, event: Uevent) -> Iterator[str]:
        """Where a device was: its directory, and the links to it."""
        subsystem, name = event.subsystem, event.devpath.rpartition("/")[2]
        yield event.devpath
        bus = self._devices.buses.get(subsystem)
        if bus is None:
            yield f"/class/{subsystem}/{name}"
            return
        yield f"/bus/{subsystem}/devices/{name}"
        for driver in [*bus.drivers]:
            yield f"/bus/{subsystem}/drivers/{driver}/{name}"

    def _invalidate(self, directory: int, name: bytes) -> None:
        """`fuse_reverse_inval_entry`; a name that the kernel does not have is no error."""
        length = _NOTIFICATION.size + len(name) + 1
        header = _NOTIFICATION.pack(length, _FUSE_NOTIFY_INVAL_ENTRY, 0, directory, len(name), 0)
        with suppress(FileNotFoundError):
            os.write(self.device, header + name + b"\0")


def _topmost(paths: set[str]) -> Iterable[str]:
    """Those that are not below another."""
    return (
        path
        for path in paths
        if not any(str(above) in paths for above in PurePosixPath(path).parents)
    )
