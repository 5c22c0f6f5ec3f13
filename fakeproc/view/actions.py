"""What can be done to a guest from the view, each as the write that a shell would make."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from fakeproc.api.files import Files
from fakeproc.api.refusals import reason
from fakeproc.view.snapshot import Cpu, Interrupt

__all__ = [
    "Action",
    "CannotError",
    "lose",
    "move",
    "offer",
    "perform",
    "rescind",
    "step",
    "storm",
    "switch",
]

_STORM = 50_000  # interrupts a second


class CannotError(Exception):
    """It cannot be done here; the message says why."""


@dataclass(frozen=True)
class Action:
    """A write: the file below the mount, and what is written."""

    file: str
    data: str

    @property
    def command(self) -> str:
        """The same, as one types it in the mount's directory."""
        return f"echo {shlex.quote(self.data)} > {self.file}"


def perform(files: Files, action: Action) -> None:
    """Make the write.  Raises CannotError with the log's reason, or the kernel's errno."""
    path = f"/{action.file}"
    try:
        files.write(path, f"{action.data}\n")
    except OSError as error:
        why = reason(files.read("/host/log"), path)
        raise CannotError(why or str(error.strerror)) from error


def move(row: Interrupt | None, cpu: Cpu | None) -> Action:
    """Move an interrupt, or a channel that has none, to a CPU.  Raises CannotError."""
    if row is None or cpu is None:
        raise CannotError("select an interrupt and a CPU")
    if row.irq is not None:
        return Action(f"proc/irq/{row.irq}/smp_affinity_list", str(cpu.number))
    if row.relid is not None:
        file = f"sys/bus/vmbus/devices/{row.device}/channels/{row.relid}/cpu"
        return Action(file, str(cpu.number))
    raise CannotError(f"{row.label} is no interrupt that can be moved")


def switch(cpu: Cpu | None) -> Action:
    """Take a CPU offline, or bring it back.  Raises CannotError."""
    if cpu is None:
        raise CannotError("select a CPU")
    return Action(f"sys/devices/system/cpu/cpu{cpu.number}/online", "0" if cpu.online else "1")


def storm(row: Interrupt | None, *, on: bool) -> Action:
    """Have a channel interrupt 50,000 times a second, or no more.  Raises CannotError."""
    return Action("host/traffic", f"{_relid(row)} {_STORM if on else 0}")


def lose(row: Interrupt | None) -> Action:
    """Have the host lose the acknowledgement of the next move.  Raises CannotError."""
    _relid(row)
    return Action("host/fault", "modifychannel drop 1")


def rescind(row: Interrupt | None) -> Action:
    """Have the host take a channel's device away.  Raises CannotError."""
    _relid(row)
    return Action("host/rescind", str(row.device if row else ""))


def offer(device_class: str = "netvsc subchannels=3") -> Action:
    """Have the host offer a new network card with four channels."""
    return Action("host/offer", device_class)


def step(clock: str, seconds: float) -> Action:
    """Move a manual clock on.  Raises CannotError where the clock goes by itself."""
    if not clock.startswith("manual"):
        raise CannotError("the clock is real: time passes by itself")
    return Action("host/clock", f"advance {seconds:g}")


def _relid(row: Interrupt | None) -> int:
    if row is None or row.relid is None:
        raise CannotError("select a channel of the VMBus")
    return row.relid
