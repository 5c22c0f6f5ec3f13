"""fakeproc: the /proc and /sys of a Linux guest on Hyper-V, as a live file system.

    with fakeproc.Guest(cpus=40) as guest:  # mounted, by a process of its own
        guest.run(["irqbalance", "--oneshot"], check=True)

    machine = fakeproc.Machine()  # in this process, without a mount
    machine.write("/proc/irq/39/smp_affinity_list", "3")

The names below are imported when they are first used, so that `import fakeproc`
takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from fakeproc._version import __version__ as __version__

if TYPE_CHECKING:
    from fakeproc.access_record import Access
    from fakeproc.api.accesses import Accesses
    from fakeproc.api.console import Uevent
    from fakeproc.api.errors import (
        CannotMountError,
        CannotRunError,
        FakeprocError,
        GuestDiedError,
        RefusedError,
        ScenarioError,
        ScenarioFailedError,
    )
    from fakeproc.api.guest import Guest
    from fakeproc.api.machine import Machine
    from fakeproc.api.program import Program
    from fakeproc.api.state import State
    from fakeproc.interrupts_table import Row, Table
    from fakeproc.profiles import Profile, ProfileError

__all__ = [
    "Access",
    "Accesses",
    "CannotMountError",
    "CannotRunError",
    "FakeprocError",
    "Guest",
    "GuestDiedError",
    "Machine",
    "Profile",
    "ProfileError",
    "Program",
    "RefusedError",
    "Row",
    "ScenarioError",
    "ScenarioFailedError",
    "State",
    "Table",
    "Uevent",
]

_HOMES = {
    "Access": "access_record",
    "Accesses": "api.accesses",
    "CannotMountError": "api.errors",
    "CannotRunError": "api.errors",
    "FakeprocError": "api.errors",
    "Guest": "api.guest",
    "GuestDiedError": "api.errors",
    "Machine": "api.machine",
    "Profile": "profiles",
    "ProfileError": "profiles",
    "Program": "api.program",
    "RefusedError": "api.errors",
    "ScenarioError": "api.errors",
    "ScenarioFailedError": "api.errors",
    "Row": "interrupts_table",
    "State": "api.state",
    "Table": "interrupts_table",
    "Uevent": "api.console",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
