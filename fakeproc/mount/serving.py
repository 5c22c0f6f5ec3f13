"""The threads that serve the mounts of this process: who sleeps, who waits, who answers."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fakeproc.mount.substitute import Substitute, others_served

__all__ = ["Servers"]


_FUSE_DEVICE = os.makedev(10, 229)  # include/linux/miscdevice.h: whatever path it has


class Servers:
    """The threads of the mounts, and the substitutes of those that sleep (`vfs.request.Others`).

    `move_time` says whether the programs of a run have a manual clock move, and
    `on_sleep` is called when a request goes to sleep.
    """

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.move_time: Callable[[], bool] = lambda: False
        self.on_sleep: Callable[[], None] = lambda: None
        self._sleeping: set[threading.Thread] = set()
        self._substitutes: set[Substitute] = set()

    @contextmanager
    def serve(self) -> Iterator[None]:
        """Have a substitute answer what comes to this thread's mount while the block runs."""
        sleeper = threading.current_thread()
        with others_served() as substitute:
            self._substitutes = {one for one in self._substitutes if one.is_alive()} | {substitute}
            self._sleeping.add(sleeper)
            self.on_sleep()
            try:
                yield
            finally:
                self._sleeping.discard(sleeper)
        if isinstance(sleeper, Substitute) and sleeper.is_orphaned():
            # The mount has gone, and libfuse would answer by what it has freed.
            threading.Event().wait()

    def are_busy(self) -> bool:
        """Whether one of them does anything but wait or sleep, or is about to.

        To wait is to be in a read of the FUSE device, with no request in it.
        """
        devices = _devices()
        poll = select.poll()
        for descriptor in devices:
            poll.register(descriptor, select.POLLIN)
        if poll.poll(0):
            return True
        return any(
            thread.is_alive() and thread not in self._sleeping and not _waits(thread, devices)
            for thread in (*self.threads, *self._substitutes)
        )


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
    if isinstance(thread, Substitute) and thread.idle:
        return True
    try:
        words = Path(f"/proc/self/task/{thread.native_id}/syscall").read_text().split()
    except OSError:  # it has ended
        return True
    # "running", or the number of the call, its arguments, two addresses.
    return len(words) > 1 and int(words[1], 16) in devices
