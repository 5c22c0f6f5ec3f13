"""The command's system calls, handed to the daemon of its guest."""

from __future__ import annotations

import os
from errno import EBUSY
from pathlib import Path

from fakeproc.syscalls.abi import native
from fakeproc.syscalls.filter import Rule, install, program

__all__ = ["CallsError", "hand_over"]


class CallsError(Exception):
    """The guest cannot answer system calls here; the message says why."""


def hand_over(mountpoint: Path, rules: tuple[Rule, ...]) -> None:
    """Let the guest answer this process's system calls, as far as the rules name them.

    The last thing before the program is executed: from here on this process is in
    the guest too.  Raises CallsError, and then nothing has changed.
    """
    abi = native()
    if abi is None:
        raise CallsError(f"the numbers of system calls on {os.uname().machine} are not known")
    console = mountpoint / "host/programs"
    pid = os.getpid()
    try:
        descriptor = os.open(console, os.O_WRONLY | os.O_CLOEXEC)
        os.write(descriptor, f"{pid}".encode())
    except OSError as error:
        raise CallsError(f"the daemon may not look into programs ({error.strerror})") from error
    try:
        listener = install(program(rules, abi), abi)
    except OSError as error:
        if error.errno == EBUSY:
            raise CallsError("the run around this one answers them") from error
        raise CallsError(f"this system forbids seccomp filters ({error.strerror})") from error
    os.write(descriptor, f"{pid} listener={listener}".encode())
    os.close(listener)
    os.close(descriptor)
