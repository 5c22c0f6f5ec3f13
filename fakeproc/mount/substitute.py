"""Serving a mount in the middle of a request.

One thread serves a mount, and while it answers a request nobody serves the
others.  A request that waits for something has a substitute serve them for as
long: another thread, which receives requests from the kernel and has libfuse
process them, as libfuse's own threads would.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from fakeproc.mount import libfuse

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["others_served"]

logger = logging.getLogger(__name__)

# Serves the next request; False once the session is over.
_ServeOne = Callable[[], bool]


@contextmanager
def others_served() -> Iterator[None]:
    """Have the other requests of this thread's mount served while the block runs.

    To be entered from within a request, outside of the lock at the boundary.
    The substitute serves one request more than the block is long: it waits in
    the kernel, where nothing but a request, or the end of the mount, wakes it.
    """
    serve_one = _server(libfuse.load())
    relieved = threading.Event()

    def serve() -> None:
        while serve_one() and not relieved.is_set():
            pass

    threading.Thread(target=serve, name="substitute", daemon=True).start()
    try:
        yield
    finally:
        relieved.set()


def _server(module: ModuleType) -> _ServeOne:
    """What serves a request of the session that this thread is serving."""
    fuse = module._libfuse.fuse_get_context().contents.fuse  # noqa: SLF001 - it has no other name
    return (_libfuse_2 if libfuse.major(module) == 2 else _libfuse_3)(_typed(module), fuse)


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
        ("fuse_chan_recv", ctypes.c_int, (pointer, pointer, size)),
        ("fuse_session_process", None, (pointer, pointer, size, pointer)),
        # libfuse 3
        ("fuse_session_receive_buf", ctypes.c_int, (pointer, pointer)),
        ("fuse_session_process_buf", None, (pointer, pointer)),
    ):
        function = getattr(library, name, None)
        if function is not None:
            function.restype, function.argtypes = result, arguments
    return library


def _libfuse_2(library: Any, fuse: int) -> _ServeOne:
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

    return serve_one


class _Buffer(ctypes.Structure):
    """`struct fuse_buf` of libfuse 3, which allocates and keeps `mem`."""

    _fields_ = (
        ("size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("mem", ctypes.c_void_p),
        ("fd", ctypes.c_int),
        ("pos", ctypes.c_longlong),
        ("mem_size", ctypes.c_size_t),  # since 3.17
    )


def _libfuse_3(library: Any, fuse: int) -> _ServeOne:
    session = library.fuse_get_session(fuse)
    buffer = _Buffer()

    def serve_one() -> bool:
        received: int = library.fuse_session_receive_buf(session, ctypes.byref(buffer))
        if received > 0:
            library.fuse_session_process_buf(session, ctypes.byref(buffer))
        return received > 0 or received == -errno.EINTR

    return serve_one
