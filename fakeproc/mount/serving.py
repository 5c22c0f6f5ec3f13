"""Whether a mount of this process has a request to answer, or is about to answer one."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["is_serving"]


_FUSE_DEVICE = os.makedev(10, 229)  # include/linux/miscdevice.h: whatever path it has


def is_serving(threads: Sequence[threading.Thread]) -> bool:
    """Whether one of these threads, which serve a mount each, does anything but wait.

    That is to be in a read of the FUSE device, with no request in it.
    """
    devices = _devices()
    poll = select.poll()
    for descriptor in devices:
        poll.register(descriptor, select.POLLIN)
    if poll.poll(0):
        return True
    return any(thread.is_alive() and not _waits(thread, devices) for thread in threads)


def _devices() -> set[int]:
    """The descriptors by which this process serves mounts."""
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are all there is to it
        with suppress(OSError):  # the descriptor of the list itself
            if os.fstat(int(name)).st_rdev == _FUSE_DEVICE:
                found.add(int(name))
    return found


def _waits(thread: threading.Thread, devices: set[int]) -> bool:
    """Whether a thread is in a system call on one of these descriptors."""
    try:
        words = Path(f"/proc/self/task/{thread.native_id}/syscall").read_text().split()
    except OSError:  # it has ended
        return True
    # "running", or the number of the call, its arguments, two addresses.
    return len(words) > 1 and int(words[1], 16) in devices
