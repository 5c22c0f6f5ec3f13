"""The seccomp filter of a run: which system calls go to the daemon.

A filter is a program of the classic BPF machine that the kernel runs at each
system call (Documentation/userspace-api/seccomp_filter.rst).  It sees the number
and the arguments, not what a pointer points to; so a call that does not concern the
guest (a poll without a time-out) is sorted out here, and costs nothing.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from errno import ENOSYS
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakeproc.syscalls.abi import Abi

__all__ = ["Condition", "Rule", "install", "nonzero", "one_of", "positive", "program"]

_libc = ctypes.CDLL(None, use_errno=True)

# include/uapi/linux/bpf_common.h and filter.h: load a word, compare, return.
_LOAD, _AND, _JEQ, _JSET, _RETURN = 0x20, 0x54, 0x15, 0x45, 0x06
# include/uapi/linux/seccomp.h.
_ALLOW, _NOTIFY, _ERRNO = 0x7FFF_0000, 0x7FC0_0000, 0x0005_0000
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
# Offsets in `struct seccomp_data`; both architectures are little-endian.
_NR, _ARCH, _ARGS = 0, 4, 16


def _op(code: int, k: int, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, true, false, k)


@dataclass(frozen=True)
class Condition:
    """A test of one argument: BPF that falls through if it holds.

    `code` is made for the number of instructions from its end to the place to
    jump to where it does not hold.
    """

    argument: int
    kind: str
    values: tuple[int, ...] = ()
    mask: int = 0xFFFF_FFFF

    def code(self, miss: int) -> list[bytes]:
        """The instructions; `miss` instructions follow them before the place for a no."""
        low = _ARGS + 8 * self.argument
        if self.kind == "positive":  # of the kernel's int: not 0, the sign not set
            return [
                _op(_LOAD, low),
                _op(_JSET, 0x8000_0000, miss + 1, 0),
                _op(_JEQ, 0, miss, 0),
            ]
        if self.kind == "nonzero":
            return [
                _op(_LOAD, low),
                _op(_JEQ, 0, 0, 2),
                _op(_LOAD, low + 4),
                _op(_JEQ, 0, miss, 0),
            ]
        last = len(self.values) - 1
        tests = [_op(_JEQ, value, last - i, 0) for i, value in enumerate(self.values[:-1])]
        tests.append(_op(_JEQ, self.values[-1], 0, miss))
        return [_op(_LOAD, low), _op(_AND, self.mask), *tests]


def nonzero(argument: int) -> Condition:
    """The argument is no null pointer."""
    return Condition(argument, "nonzero")


def positive(argument: int) -> Condition:
    """The argument, an int, is above 0."""
    return Condition(argument, "positive")


def one_of(argument: int, *values: int, mask: int = 0xFFFF_FFFF) -> Condition:
    """The argument's low word, masked, is one of these."""
    return Condition(argument, "one_of", values, mask)


@dataclass(frozen=True)
class Rule:
    """What happens to a call if all conditions hold: the daemon answers, or it gets `errno`."""

    call: str
    conditions: tuple[Condition, ...] = ()
    errno: int | None = None


def program(rules: Iterable[Rule], abi: Abi) -> bytes:
    """The filter; calls of another architecture and calls that no rule names go ahead."""
    code = [
        _op(_LOAD, _ARCH),
        _op(_JEQ, abi.audit, 1, 0),
        _op(_RETURN, _ALLOW),
        _op(_LOAD, _NR),
    ]
    for rule in rules:
        if rule.call not in abi.numbers:  # arm64 has no alarm, no time, no poll
            continue
        verdict = _NOTIFY if rule.errno is None else _ERRNO | rule.errno
        block = [_op(_RETURN, verdict), _op(_RETURN, _ALLOW)]
        for condition in reversed(rule.conditions):
            block = condition.code(len(block) - 1) + block
        if not rule.conditions:
            block.pop()
        code += [_op(_JEQ, abi.numbers[rule.call], 0, len(block)), *block]
    code.append(_op(_RETURN, _ALLOW))
    return b"".join(code)


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install(code: bytes, abi: Abi) -> int:
    """Give this process, and all that it becomes or starts, a filter; returns the listener.

    It takes CAP_SYS_ADMIN in the process's own user namespace, so that set-uid
    programs stay what they are (no_new_privs would end that).  Raises OSError: EBUSY
    where a filter with a listener is installed already.
    """
    filter_ = _Program(len(code) // 8, code)
    listener: int = _libc.syscall(
        abi.numbers["seccomp"], _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(filter_)
    )
    if listener < 0:
        number = ctypes.get_errno() or ENOSYS
        raise OSError(number, os.strerror(number))
    return listener
