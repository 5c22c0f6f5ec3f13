"""Programs that ask the kernel for the time: the vDSO is hidden from them.

The vDSO is code of the kernel's in each program, which reads the clocks without a
system call.  A program finds it by an entry of the vector that the kernel puts on its
stack (`fs/binfmt_elf.c: create_elf_tables`).  A process that executes a program is
stopped as a debugger would stop it, that entry is made one to be ignored, and the
process is let go: nothing traces it afterwards.
"""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import suppress
from signal import SIGTRAP
from typing import TYPE_CHECKING

from fakeproc.syscalls import memory
from fakeproc.syscalls.tasks import contents
from fakeproc.syscalls.verdict import Verdict

if TYPE_CHECKING:
    from fakeproc.syscalls.listener import Call

__all__ = ["Execs"]

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long

# include/uapi/linux/ptrace.h and wait.h.
_SEIZE, _INTERRUPT, _SYSCALL, _DETACH = 0x4206, 0x4207, 24, 17
_TRACE_SYSGOOD, _TRACE_EXEC = 0x01, 0x10
_EVENT_EXEC = 4
_SYSCALL_STOP = SIGTRAP | 0x80
_WALL = 0x4000_0000

_AT_NULL, _AT_IGNORE, _AT_SYSINFO_EHDR = 0, 1, 33
_WORD = 8
_MOST_WORDS = 1 << 22  # arguments and environment: a quarter of the stack's limit at most


class Execs:
    """The processes that are about to execute a program."""

    def __init__(self) -> None:
        self._stopped: dict[int, int] = {}  # thread: its process

    @property
    def any(self) -> bool:
        """Whether one is on its way."""
        return bool(self._stopped)

    def execve(self, call: Call) -> Verdict:
        """`execve`, `execveat`.

        The call comes twice: it is interrupted, so that the thread stops and can be had
        stop again when the call ends, well or not; then it goes ahead.
        """
        if call.tid in self._stopped:
            return Verdict.PROCEED
        tgid = call.tgid
        if not _ptrace(_SEIZE, call.tid, _TRACE_SYSGOOD | _TRACE_EXEC):
            return Verdict.PROCEED  # a debugger has it: it keeps the vDSO
        self._stopped[call.tid] = tgid
        _ptrace(_INTERRUPT, call.tid)
        # It stops on its way out of the call, and on its way into it again.
        while not self._is_back(call.tid):
            pass
        return Verdict.HELD

    def _is_back(self, tid: int) -> bool:
        """Wait for a stop, which is sure to come, and let the thread go on; whether it is back."""
        try:
            _, status = os.waitpid(tid, _WALL)
        except ChildProcessError:
            status = 0
        if not os.WIFSTOPPED(status):  # killed
            self._stopped.pop(tid, None)
            return True
        _ptrace(_SYSCALL, tid, _signal_in(status))
        return os.WSTOPSIG(status) == _SYSCALL_STOP

    def look(self) -> None:
        """Let go the processes that have executed their program, or have not been able to."""
        for tid, tgid in list(self._stopped.items()):
            for pid in {tid, tgid}:  # another thread than the first becomes the first
                with suppress(ChildProcessError):
                    self._look(tid, pid)

    def _look(self, tid: int, pid: int) -> None:
        found, status = os.waitpid(pid, _WALL | os.WNOHANG)
        if not found:
            return
        if not os.WIFSTOPPED(status):
            self._stopped.pop(tid, None)
            return
        if status >> 16 == _EVENT_EXEC:
            _hide_vdso(pid)
        elif os.WSTOPSIG(status) != _SYSCALL_STOP:  # a signal, on the way
            _ptrace(_SYSCALL, pid, _signal_in(status))
            return
        _ptrace(_DETACH, pid)
        self._stopped.pop(tid, None)


def _signal_in(status: int) -> int:
    """The signal that a stop keeps from the thread, if it is one."""
    if status >> 16 or os.WSTOPSIG(status) in (SIGTRAP, _SYSCALL_STOP):
        return 0
    return os.WSTOPSIG(status)


def _ptrace(request: int, tid: int, data: int = 0) -> bool:
    """Whether it could be done: not with a thread that has been killed or that another traces."""
    return bool(_libc.ptrace(request, tid, None, data) == 0)


def _hide_vdso(pid: int) -> None:
    """Have the program that begins here ignore where the vDSO is."""
    with suppress(OSError):  # it has been killed
        address = _vector(pid)
        while address:
            kind, _ = struct.unpack("QQ", memory.read(pid, address, 2 * _WORD))
            if kind == _AT_SYSINFO_EHDR:
                memory.write(pid, address, struct.pack("Q", _AT_IGNORE))
            if kind in (_AT_SYSINFO_EHDR, _AT_NULL):
                return
            address += 2 * _WORD


def _vector(pid: int) -> int:
    """The address of the auxiliary vector: above the arguments and the environment.

    0 where the program is none of 64 bits, whose calls the filter leaves alone.
    """
    fields = contents(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    address = int(fields[25])  # startstack
    (arguments,) = struct.unpack("Q", memory.read(pid, address, _WORD))
    if arguments > _MOST_WORDS:
        return 0
    address += (1 + arguments + 1) * _WORD
    for _ in range(_MOST_WORDS // 512):
        step = 4096 - address % 4096
        words = struct.unpack(f"{step // _WORD}Q", memory.read(pid, address, step))
        if 0 in words:
            return int(address + (words.index(0) + 1) * _WORD)
        address += step
    return 0
