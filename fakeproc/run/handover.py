"""What of the computer, besides files, the guest is to be to the command, handed to its daemon."""

from __future__ import annotations

import os
from errno import EBUSY
from typing import TYPE_CHECKING

from fakeproc.run.network import own_network
from fakeproc.syscalls.abi import native
from fakeproc.syscalls.filter import install, program
from fakeproc.syscalls.rules import IDENTITY, NETWORK, TIME

if TYPE_CHECKING:
    from pathlib import Path

    from fakeproc.run.parts import Parts

__all__ = ["hand_over"]


class _MissingError(Exception):
    """A part cannot be had; the message says why."""


def hand_over(mountpoint: Path, parts: Parts) -> list[str]:
    """Let the guest be this process's computer, as far as `parts` say.

    The last thing before the program is executed: from here on this process's system
    calls are the guest's.  Returns a sentence for each part that cannot be had here;
    that one remains the computer's.  Raises OSError where the daemon fails.
    """
    parts = parts.on((mountpoint / "host/clock").read_text())
    if not parts.any:
        return []
    try:
        console = _console(mountpoint)
        listener = _filtered(parts)
    except _MissingError as why:
        return [f"{parts} are not the guest's: {why}"]
    missing = []
    shared = {"listener": listener}
    if parts.net == "guest":
        try:
            shared |= own_network()
        except OSError as error:
            missing.append(f"the network and uevents are not the guest's: {error.strerror}")
        else:
            if "route" not in shared:
                missing.append(
                    "the guest's network interfaces are in /sys alone: this kernel has "
                    "neither dummy nor ifb devices"
                )
    words = [f"{name}={descriptor}" for name, descriptor in shared.items()]
    os.write(console, " ".join((str(os.getpid()), *words)).encode())
    for descriptor in (console, *shared.values()):
        os.close(descriptor)
    return missing


def _console(mountpoint: Path) -> int:
    """The file by which the daemon gets what it needs, if it may take it."""
    try:
        console = os.open(mountpoint / "host/programs", os.O_WRONLY | os.O_CLOEXEC)
        os.write(console, str(os.getpid()).encode())
    except OSError as error:
        raise _MissingError(f"the daemon may not look into programs ({error.strerror})") from error
    return console


def _filtered(parts: Parts) -> int:
    """Have the calls of this process sent to a listener, and return that."""
    abi = native()
    if abi is None:
        raise _MissingError(f"the numbers of system calls on {os.uname().machine} are not known")
    rules = (IDENTITY if parts.syscalls == "guest" else ()) + (
        TIME if parts.time == "guest" else ()
    )
    rules += NETWORK if parts.net == "guest" else ()
    try:
        return install(program(rules, abi), abi)
    except OSError as error:
        if error.errno == EBUSY:
            raise _MissingError("they are those of the run around this one") from error
        raise _MissingError(f"this system forbids seccomp filters ({error.strerror})") from error
