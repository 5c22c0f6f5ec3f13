"""What each patch of the series is for, as commands whose output differs without it.

The commands are those that one types in a mounted guest with a manual clock,
in the few forms that `run_commands` knows, so that they can be tried in this
process: `echo WORDS > FILE`, `cat FILE...`, `grep [-c] WORDS FILE` and
`ls DIRECTORY | wc -l`.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakeproc.machine import Machine
from fakeproc.profiles import load
from fakeproc.profiles.kernels import with_kernel, without_patches
from fakeproc.vfs.namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXPERIMENTS", "Experiment", "compare", "run_commands"]

NETVSC = "sys/bus/vmbus/devices/0022486b-1fa4-0022-486b-1fa40022486b"
CPU7 = "sys/devices/system/cpu/cpu7/online"


@dataclass(frozen=True, slots=True)
class Experiment:
    """A patch, what it does, and commands that show it."""

    what: str
    commands: tuple[str, ...]
    profile: str = "hyperv-gen2"


EXPERIMENTS = {
    1: Experiment(
        "drops offers of devices that Linux has no driver for",
        ("ls sys/bus/vmbus/devices | wc -l",),
    ),
    2: Experiment(
        "removes the files of a channel only where they were created",
        (
            "echo irq enomem > host/fault",
            "echo kvp > host/offer",
            "echo advance 1 > host/clock",
            "grep -c 'can not remove' host/log",
        ),
    ),
    3: Experiment(
        "names the interrupt of each kind of device",
        ("cat sys/kernel/irq/24/actions sys/kernel/irq/39/actions",),
    ),
    4: Experiment(
        "names that of a PCI pass-through by its PCI domain",
        (
            "echo vpci guid=00001234-c05b-0000-0000-000000000000 > host/offer",
            "echo advance 1 > host/clock",
            "cat sys/kernel/irq/45/actions",
        ),
    ),
    5: Experiment(
        "names those of disks by their SCSI host",
        ("cat sys/kernel/irq/28/actions sys/kernel/irq/29/actions",),
    ),
    6: Experiment(
        "counts a per-CPU interrupt only if its handler found something (arm64)",
        (
            "echo all 0 > host/traffic",
            "echo 7 1000 > host/interrupt",
            "cat sys/kernel/irq/12/actions sys/kernel/irq/12/per_cpu_count",
        ),
        "hyperv-arm64",
    ),
    7: Experiment(
        "adds an interrupt domain and a chip for channels",
        ("cat sys/kernel/irq/39/chip_name sys/kernel/irq/39/hwirq",),
    ),
    8: Experiment(
        "maps each relid to an interrupt of Linux when it is offered",
        ("ls sys/kernel/irq | wc -l",),
    ),
    9: Experiment(
        "requests the interrupt when a channel is opened, and counts for each channel",
        ("ls proc/irq | wc -l", "grep -c VMBus proc/interrupts"),
    ),
    10: Experiment(
        "moves a channel when the affinity of its interrupt is written",
        (
            "echo 2 > proc/irq/39/smp_affinity_list",
            "cat proc/irq/39/smp_affinity_list proc/irq/39/effective_affinity_list",
            f"cat {NETVSC}/channels/19/cpu",
        ),
    ),
    11: Experiment(
        "lets a CPU that goes offline wait for moves that are under way",
        (
            "echo ack 0.01 > host/latency",
            "echo 20 10000 > host/traffic",
            "echo 1 > proc/irq/40/smp_affinity_list",
            f"echo 0 > {CPU7}",
            "echo advance 1 > host/clock",
            "grep 'were lost' host/log",
        ),
    ),
    12: Experiment(
        "picks no CPU that is going offline",
        (
            "echo ack 0.002 > host/latency",
            "echo 1 > proc/irq/40/smp_affinity_list",
            "echo 16 10000 > host/traffic",
            "echo +0.001 /proc/irq/36/smp_affinity_list 7 > host/at",
            f"echo 0 > {CPU7}",
            "echo advance 1 > host/clock",
            "cat host/at",
            "grep lost host/log",
        ),
    ),
}


def compare(number: int) -> tuple[list[str], list[str]]:
    """What the commands of a patch print without it, and with it."""
    experiment = EXPERIMENTS[number]
    profile = with_kernel(load(experiment.profile), "rfc")
    before, after = (
        list(run_commands(Machine(guest, "manual"), experiment.commands))
        for guest in (without_patches(profile, (number,)), profile)
    )
    return before, after


def run_commands(machine: Machine, commands: tuple[str, ...]) -> Iterator[str]:
    """The lines that they print, error messages included."""
    files = Namespace(machine)
    for command in commands:
        words = shlex.split(command)
        try:
            yield from _run(files, words)
        except OSError as error:
            path = next(word for word in reversed(words) if "/" in word)
            yield f"{words[0]}: {path}: {os.strerror(error.errno or 0)}"


def _run(files: Namespace, words: list[str]) -> Iterator[str]:
    match words:
        case ["echo", *data, ">", path]:
            files.write(f"/{path}", f"{' '.join(data)}\n".encode())
        case ["cat", *paths]:
            for path in paths:
                yield from files.read(f"/{path}").decode().splitlines()
        case ["grep", "-c", pattern, path]:
            lines = files.read(f"/{path}").decode().splitlines()
            yield str(sum(pattern in line for line in lines))
        case ["grep", pattern, path]:
            lines = files.read(f"/{path}").decode().splitlines()
            yield from (line for line in lines if pattern in line)
        case ["ls", path, "|", "wc", "-l"]:
            yield str(len(files.list(f"/{path}")))
        case _:
            raise ValueError(f"{shlex.join(words)!r} has none of the forms that can be run here")
