"""Guests with any kernel: a version of Linux, and what was done with the series."""

from __future__ import annotations

from functools import cache

from model.guests import captured_toml, channel_path, interrupt_rows, text, write

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.profiles.kernels import KERNELS, with_kernel
from fakeproc.profiles.schema import Profile
from fakeproc.timeline import MILLISECOND, SECOND

VERSIONS = ("6.1", "6.10", "6.12", "6.18", "7.2")
SERIES = ("absent", "as meant", "as posted")
NAMES = tuple(KERNELS)

# What the stock kernels are without, and the others have.
STOCK = tuple(name for name, (_, series) in KERNELS.items() if series == "absent")
APPLIED = tuple(name for name in NAMES if name not in STOCK)

NETVSC = "0022486b-1fa4-0022-486b-1fa40022486b"
HEARTBEAT = "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0"
FCOPY = "eb765408-105f-49b6-b4aa-c123b64d17d4"


def profile(
    version: str, series: str = "absent", *, base: str = "", more: str = "", **values: str
) -> Profile:
    """A profile on a kernel: `base` is its TOML, `values` replaces keys, `more` is appended.

    Without `base` it is the guest of the captures: that of the cover letter, at rest.
    """
    toml = base or captured_toml("boot-8cpu")
    toml = _without_kernel(toml)
    for key, value in values.items():
        lines = toml.splitlines()
        (at,) = (at for at, line in enumerate(lines) if line.startswith(f"{key} = "))
        lines[at] = f"{key} = {value}"
        toml = "\n".join(lines) + "\n"
    toml += f'\n[kernel]\nversion = "{version}"\nseries = "{series}"\n{more}'
    return profiles.parse(toml, "personality.toml", "personality")


def _without_kernel(toml: str) -> str:
    before, header, rest = toml.partition("[kernel]\n")
    if not header:
        return toml
    return before + rest[rest.index("\n[") :]


def guest(version: str, series: str = "absent", **how: str) -> Machine:
    """A guest of that profile, booted; its time stands still."""
    return Machine(profile(version, series, **how), "manual")


@cache
def named_profile(name: str, kernel: str) -> Profile:
    """A built-in profile on a kernel by its short name."""
    return with_kernel(profiles.load(name), kernel)


def named(name: str, kernel: str) -> Machine:
    """A guest of that profile, booted; its time stands still."""
    return Machine(named_profile(name, kernel), "manual")


# What is asked of them -----------------------------------------------------------------------


def rows(machine: Machine) -> dict[str, str]:
    """The rows of /proc/interrupts as they stand, by label; the header is that of ""."""
    header, *lines = text(machine, "/proc/interrupts").splitlines()
    return {"": header} | {line.split(":", 1)[0].strip(): line for line in lines}


def counts(machine: Machine, label: str) -> list[int]:
    """The cells of a row."""
    return interrupt_rows(text(machine, "/proc/interrupts"))[label].counts


def cpu_file(machine: Machine, relid: int) -> str:
    return f"{channel_path(machine, relid)}/cpu"


def set_cpu(machine: Machine, relid: int, data: str) -> int | str:
    """What a write to the `cpu` of a channel gives."""
    return write(machine, cpu_file(machine, relid), data.encode())


def set_online(machine: Machine, cpu: int, data: str) -> int | str:
    """What a write to the `online` of a CPU gives."""
    return write(machine, f"/sys/devices/system/cpu/cpu{cpu}/online", data.encode())


def console(machine: Machine, file: str, line: str) -> None:
    """A command to the host."""
    assert write(machine, f"/host/{file}", line.encode()) == len(line)


def elapsed(machine: Machine, before: int) -> int:
    """Milliseconds of machine time since."""
    return (machine.timeline.now - before) // MILLISECOND


def settle(machine: Machine) -> None:
    """Let a second pass."""
    machine.advance(SECOND)


def log(machine: Machine) -> str:
    return text(machine, "/host/log")
