"""The memory and the descriptors of the process that makes a call."""

from __future__ import annotations

import ctypes
import os
from errno import EFAULT, EPERM, ESRCH
from typing import TYPE_CHECKING

from fakeproc.syscalls.abi import native

if TYPE_CHECKING:
    from fakeproc.syscalls.abi import Abi

__all__ = ["descriptor_of", "read", "read_text", "write"]

_libc = ctypes.CDLL(None, use_errno=True)
_PAGE = 4096


class _Vector(ctypes.Structure):
    """`struct iovec`."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def read(tid: int, address: int, length: int) -> bytes:
    """`copy_from_user`.  Raises OSError EFAULT."""
    buffer = ctypes.create_string_buffer(length)
    _transfer(_libc.process_vm_readv, tid, buffer, address, length)
    return buffer.raw


def write(tid: int, address: int, data: bytes) -> None:
    """`copy_to_user`.  Raises OSError EFAULT."""
    _transfer(_libc.process_vm_writev, tid, ctypes.create_string_buffer(data, len(data)),
              address, len(data))  # fmt: skip


def _transfer(
    call: ctypes._NamedFuncPointer, tid: int, buffer: ctypes.Array[ctypes.c_char], address: int,
    length: int,
) -> None:  # fmt: skip
    if not length:
        return
    ours = _Vector(ctypes.addressof(buffer), length)
    theirs = _Vector(address, length)
    if call(tid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0) != length:
        raise OSError(EFAULT, os.strerror(EFAULT))


def read_text(tid: int, address: int) -> bytes:
    """A string that ends with a zero (`strncpy_from_user`).  Raises OSError EFAULT."""
    text = b""
    while len(text) < _PAGE:
        # A page at a time: what follows the string may not be there.
        step = _PAGE - (address + len(text)) % _PAGE
        piece, zero, _ = read(tid, address + len(text), step).partition(b"\0")
        text += piece
        if zero:
            return text
    raise OSError(EFAULT, os.strerror(EFAULT))


def descriptor_of(pid: int, number: int) -> int:
    """A descriptor of our own for what a process has open (`pidfd_getfd`).  Raises OSError."""
    abi = native()
    if abi is None:
        raise OSError(ESRCH, "this architecture is not known")
    pidfd = _call(abi, "pidfd_open", pid, 0)
    try:
        return _call(abi, "pidfd_getfd", pidfd, number, 0)
    finally:
        os.close(pidfd)


def _call(abi: Abi, name: str, *arguments: int) -> int:
    result: int = _libc.syscall(abi.numbers[name], *arguments)
    if result < 0:
        number = ctypes.get_errno() or EPERM
        raise OSError(number, os.strerror(number))
    return result
