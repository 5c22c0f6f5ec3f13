"""Serving a mount in the middle of a request.

One thread serves a mount, and while it answers a request nobody serves the
others.  A request that sleeps has a substitute serve them for as long: another
thread, which receives requests from the kernel and has libfuse process them,
as libfuse's own threads would.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import threading
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from fakeproc.mount import libfuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

__all__ = ["Substitute", "device_of_this_request", "others_served"]


class Session(NamedTuple):
    """A mount as libfuse knows it: its FUSE device, and what receives and answers a request.

    `serve_one` returns False once the mount has gone.
    """

    device: int
    serve_one: Callable[[], bool]


def _current_session() -> Session:
    """The session of the request that this thread answers."""
    module = libfuse.load()
    fuse = module._libfuse.fuse_get_context().contents.fuse  # noqa: SLF001 - it has no other name
    session = (_libfuse_2 if libfuse.major(module) == 2 else _libfuse_3)(_typed(module), fuse)
    # A descriptor of its own: libfuse closes the other one when the mount goes.
    return session._replace(device=os.dup(session.device))


def device_of_this_request() -> int:
    """The FUSE device of the mount that this thread serves, as a descriptor of the caller's own."""
    return _current_session().device


class Substitute(threading.Thread):
    """Serves a session until it is relieved; it waits for requests in poll(2), to be woken.

    `idle` says whether it waits.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(name="substitute", daemon=True)
        self.idle = False
        self._session = session
        self._relieved = os.eventfd(0, os.EFD_CLOEXEC)

    def relieve(self) -> None:
        """End it, as soon as it has answered what it answers now."""
        os.eventfd_write(self._relieved, 1)

    def run(self) -> None:
        """Serve."""
        poll = select.poll()
        poll.register(self._session.device, select.POLLIN)
        poll.register(self._relieved, select.POLLIN)
        while True:
            self.idle = True
            ready = dict(poll.poll())
            self.idle = False
            if self._relieved in ready or ready[self._session.device] != select.POLLIN:
                break
            if not self._session.serve_one():
                break
        os.close(self._relieved)
        os.close(self._session.device)

    def is_orphaned(self) -> bool:
        """Whether the mount is gone, and with it all that libfuse has of it."""
        poll = select.poll()
        poll.register(self._session.device, 0)
        return bool(poll.poll(0))


@contextmanager
def others_served() -> Iterator[Substitute]:
    """Have the other requests of this thread's mount served while the block runs.

    To be entered from within a request.
    """
    substitute = Substitute(_current_session())
    substitute.start()
    try:
        yield substitute
    finally:
        substitute.relieve()


@cache
def _typed(module: ModuleType) -> Any:
    """The library's functions on sessions, with their types: pointers are wider than int."""
    library = ctypes.CDLL(module._libfuse._name)  # noqa: SLF001 - the same library, other types
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in (
        ("fuse_get_session", pointer, (pointer,)),
        # libfuse 2
        ("fuse_session_next_chan", pointer, (pointer, pointer)),
        ("fuse_chan_bufsize", size, (pointer,)),
        ("fuse_chan_fd", ctypes.c_int, (pointer,)),
        ("fuse_chan_recv", ctypes.c_int, (pointer, pointer, size)),
        ("fuse_session_process", None, (pointer, pointer, size, pointer)),
        # libfuse 3
        ("fuse_session_fd", ctypes.c_int, (pointer,)),
        ("fuse_session_receive_buf", ctypes.c_int, (pointer, pointer)),
        ("fuse_session_process_buf", None, (pointer, pointer)),
    ):
        function = getattr(library, name, None)
        if function is not None:
            function.restype, function.argtypes = result, arguments
    return library


def _libfuse_2(library: Any, fuse: int) -> Session:
    session = library.fuse_get_session(fuse)
    channel = library.fuse_session_next_chan(session, None)
    size = library.fuse_chan_bufsize(channel)
    buffer = ctypes.create_string_buffer(size)

    def serve_one() -> bool:
        receiving = ctypes.c_void_p(channel)
        received: int = library.fuse_chan_recv(ctypes.byref(receiving), buffer, size)
        if received > 0:
            library.fuse_session_process(session, buffer, received, channel)
        return received > 0 or received == -errno.EINTR

    return Session(library.fuse_chan_fd(channel), serve_one)


class _Buffer(ctypes.Structure):
    """`struct fuse_buf` of libfuse 3."""

    _fields_ = (
        ("size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("mem", ctypes.c_void_p),
        ("fd", ctypes.c_int),
        ("pos", ctypes.c_longlong),
        ("mem_size", ctypes.c_size_t),  # since 3.17
    )


class _Received:
    """A buffer that libfuse 3 has allocated, and that is freed with this."""

    def __init__(self) -> None:
        self.buffer = _Buffer()
        self._free = ctypes.CDLL(None).free
        self._free.argtypes = (ctypes.c_void_p,)

    def __del__(self) -> None:
        self._free(self.buffer.mem)


def _libfuse_3(library: Any, fuse: int) -> Session:
    session = library.fuse_get_session(fuse)
    into = _Received()

    def serve_one() -> bool:
        buffer = ctypes.byref(into.buffer)
        received: int = library.fuse_session_receive_buf(session, buffer)
        if received > 0:
            library.fuse_session_process_buf(session, buffer)
        return received > 0 or received == -errno.EINTR

    return Session(library.fuse_session_fd(session), serve_one)
