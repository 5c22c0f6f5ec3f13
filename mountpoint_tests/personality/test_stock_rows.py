"""/proc/interrupts of real machines, byte by byte, from profiles that state the same counts.

The machines are no guests of Hyper-V: the rows that only such a guest has are left out of ours.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from model.guests import text

from fakeproc import profiles
from fakeproc.machine import Machine

TEXTS = Path(__file__).resolve().parent.parent / "golden" / "stock" / "texts"
TAGS = sorted(
    f"{path.parent.name} {path.stem.removeprefix('interrupts-')}"
    for path in TEXTS.glob("*/interrupts-*.txt")
)

# The VMBus as a whole; direct timers and re-enlightenment are not offered.
OF_HYPER_V = ("Hypervisor callback interrupts\n", "Hyper-V VMbus\n")

IRQ = re.compile(
    r"(?P<chip>\S+) +(?P<hwirq>\d+)(?:-(?P<flow>\w+)| (?P<level>Level|Edge))? *(?P<actions>.*)"
)


def recorded(machine: str, tag: str) -> str:
    return (TEXTS / machine / f"interrupts-{tag}.txt").read_text()


def profile_of(machine: str, table: str) -> str:
    """The TOML of a guest like that machine, having counted what the table says."""
    header, *lines = table.splitlines()
    columns = [int(word.removeprefix("CPU")) for word in header.split()]
    architecture, cpus, *_ = machine.split("-")
    possible = int(cpus.removesuffix("cpu"))
    offline = [cpu for cpu in range(possible) if cpu not in columns]
    toml = [
        'description = "a machine that is no guest of Hyper-V"',
        f'architecture = "{"arm64" if architecture == "arm64" else "x86_64"}"',
        "stimer_direct = false",
        f"pic = {json.dumps(architecture == 'x86')}",
        f'[kernel]\nversion = "{machine.rsplit("-", maxsplit=1)[-1]}"\nseries = "absent"',
        f"[gic]\ntimer = 27\n[cpus]\npossible = {possible}\noffline = {offline}",
    ]
    arch = ["[arch]"]
    for line in lines:
        label, rest = line.split(":", 1)
        numbers = [int(word) for word in re.match(r"( +\d+\b)+", rest)[0].split()]
        if len(numbers) > len(columns):  # the hwirq of a chip without a name is none of them
            numbers = numbers[: len(columns)]
        counts = dict(zip(columns, numbers, strict=False))
        shown = "{ " + ", ".join(f"{cpu} = {n}" for cpu, n in counts.items()) + " }"
        cells = len(label) + 1 + 11 * len(columns)
        found = IRQ.fullmatch(line[cells:].strip()) if label.strip().isdigit() else None
        if found is None:
            arch.append(f"{label.strip()} = {shown}")
        elif found["actions"] == "arch_timer":
            arch.append(f"arch_timer = {shown}")
        else:
            toml.append(_irq(label, found, shown))
    return "\n".join((*toml, *arch))


def _irq(label: str, found: re.Match[str], counts: str) -> str:
    actions = found["actions"].split(", ") if found["actions"] else []
    lines = [
        "[[irqs]]",
        f"irq = {label}",
        f'chip = "{found["chip"]}"',
        f"hwirq = {found['hwirq']}",
        f"actions = {json.dumps(actions)}",
        f"counts = {counts}",
    ]
    if found["flow"]:
        lines.append(f'flow = "{found["flow"]}"')
    if found["level"]:
        lines.append(f'trigger = "{found["level"].lower()}"')
    return "\n".join(lines)


def like(machine: str, tag: str) -> Machine:
    toml = profile_of(machine, recorded(machine, tag))
    return Machine(profiles.parse(toml, f"{machine}.toml", machine), "manual")


@pytest.mark.parametrize("which", TAGS)
def test_every_row_of_the_real_machine_byte_by_byte(which: str) -> None:
    machine, tag = which.split()
    wanted = recorded(machine, tag)
    ours = text(like(machine, tag), "/proc/interrupts").splitlines(keepends=True)
    left = [line for line in ours if not line.endswith(OF_HYPER_V)]
    assert "".join(left) == wanted
    assert len(ours) == len(left) + 1


def test_how_many_rows_were_compared() -> None:
    """None is lost in silence: the texts that there are, and their lines."""
    lines = {which: len(recorded(*which.split()).splitlines()) for which in TAGS}
    assert len(lines) == 23
    assert sum(lines.values()) == 1001
    assert {which.split()[0].split("-")[-1] for which in lines} == {"6.1", "6.12", "7.2"}


def test_rows_without_an_action_are_among_them() -> None:
    """Those of a driver that has freed its interrupts: only 6.1 shows them."""
    shown = {
        version: re.findall(
            r"^ *(\d+):.*-edge +$",
            recorded(f"x86-8cpu-2numa-{version}", "early-eth3-down"),
            re.MULTILINE,
        )
        for version in ("6.1", "6.12", "7.2")
    }
    assert shown == {"6.1": ["50", "51", "52"], "6.12": [], "7.2": []}


@pytest.mark.parametrize("machine", sorted({which.split()[0] for which in TAGS}))
def test_proc_stat_has_as_many_numbers_as_there_can_be_irqs(machine: str) -> None:
    def numbers(stat: str) -> int:
        (intr,) = (line for line in stat.splitlines() if line.startswith("intr "))
        return len(intr.split()) - 2

    stat = (TEXTS / machine / "stat-boot.txt").read_text()
    assert numbers(text(like(machine, "boot"), "/proc/stat")) == numbers(stat)
