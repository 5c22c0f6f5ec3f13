"""The other end of a filter: calls are received here, and answered.

Mirrors `kernel/seccomp.c: seccomp_notify_ioctl`.
"""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from errno import EINTR, EINVAL, EIO, ENOENT
from functools import cached_property

from fakeproc.syscalls.tasks import task

__all__ = ["Call", "Listener"]

_RECEIVE, _SEND, _ID_VALID, _SET_FLAGS = 0xC050_2100, 0xC018_2101, 0x4008_2102, 0x4008_2104
_SYNC_WAKE_UP = 1
_CONTINUE = 1

_NOTIFICATION = struct.Struct("QIIiIQ6Q")
_RESPONSE = struct.Struct("QqiI")


@dataclass(frozen=True)
class Call:
    """A system call that waits for its answer: by which thread, and what it asks."""

    listener: Listener
    id: int
    tid: int
    number: int
    arguments: tuple[int, ...]

    @cached_property
    def tgid(self) -> int:
        """The process of the thread."""
        found = task(self.tid)
        return self.tid if found is None else found.tgid

    def answer(self, value: int) -> None:
        """Let the call return a value."""
        self._send(value, 0, 0)

    def refuse(self, errno: int | None) -> None:
        """Let the call fail."""
        self._send(0, -(errno or EIO), 0)

    def proceed(self) -> None:
        """Let the real kernel do it."""
        self._send(0, 0, _CONTINUE)

    def is_waiting(self) -> bool:
        """Whether somebody still waits for the answer: no signal has come in between."""
        try:
            fcntl.ioctl(self.listener, _ID_VALID, struct.pack("Q", self.id))
        except OSError as error:
            if error.errno == ENOENT:
                return False
            raise
        return True

    def _send(self, value: int, error: int, flags: int) -> None:
        try:
            fcntl.ioctl(self.listener, _SEND, _RESPONSE.pack(self.id, value, error, flags))
        except OSError as failure:
            # Killed, or interrupted by a signal: it asks again if it still wants to know.
            if failure.errno not in (ENOENT, EINVAL):
                raise


class Listener:
    """The listener of one filter; owns its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray(_NOTIFICATION.size)
        self._zeros = bytes(_NOTIFICATION.size)
        # From 6.6 on the one who waits is woken on the same CPU, twice as fast.
        with suppress(OSError):
            fcntl.ioctl(descriptor, _SET_FLAGS, _SYNC_WAKE_UP)

    def fileno(self) -> int:
        """The descriptor: readable when a call waits, hung up when nobody is left to call."""
        return self._descriptor

    def close(self) -> None:
        """Answer no more: the calls fail with ENOSYS from now on."""
        os.close(self._descriptor)

    def receive(self) -> Call | None:
        """The next call; None if it has been given up meanwhile.

        To be called when the descriptor is readable; then it never waits.
        """
        self._buffer[:] = self._zeros  # the kernel insists on it
        try:
            fcntl.ioctl(self._descriptor, _RECEIVE, self._buffer)
        except OSError as error:
            if error.errno in (ENOENT, EINTR):
                return None
            raise
        id_, tid, _flags, number, _arch, _ip, *arguments = _NOTIFICATION.unpack(self._buffer)
        return Call(self, id_, tid, number, tuple(arguments))
