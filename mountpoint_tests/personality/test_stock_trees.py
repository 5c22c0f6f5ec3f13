"""Whole trees of stock kernels, walked both ways: what they have and we lack, and the reverse.

CPUs, nodes, the cpu bus, /proc/irq and /sys/kernel/irq.  Each capture is compared with a
guest of the same kernel and topology.  Its interrupts belong to other devices than ours, so
an interrupt is compared by the kind of its directory, not by its number.

Every difference that is meant has a reason in MEANT, and must occur; any other fails.
`python -m personality.test_stock_trees` prints how many rows were compared, and how they fell.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from model.guests import node_at, read

from fakeproc import profiles
from fakeproc.files.tree import Attribute, Directory, Node, Symlink
from fakeproc.machine import Machine

STOCK = Path(__file__).parent.parent / "golden" / "stock"
TREES, STATES = STOCK / "trees", STOCK / "hotplug_states"
MACHINES = tuple(sorted(path.stem for path in TREES.glob("*.jsonl")))
TOPS = (
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/bus/cpu",
    "/proc/irq",
    "/sys/kernel/irq",
)

NEHALEM = '''
vendor = "GenuineIntel"
family = 6
model = 26
bugs = """
cpu_meltdown spectre_v1 spectre_v2 spec_store_bypass l1tf mds swapgs itlb_multihit mmio_unknown
bhi its"""
caches = [
  { level = 1, type = "Data", size_kib = 32, ways = 8, shared_by = "cpu" },
  { level = 1, type = "Instruction", size_kib = 32, ways = 8, shared_by = "cpu" },
  { level = 2, type = "Unified", size_kib = 4096, ways = 16 },
  { level = 3, type = "Unified", size_kib = 16384, ways = 16, shared_by = "package" },
]
'''
CORTEX_A57 = """
caches = [
  { level = 1, type = "Data", size_kib = 32, ways = 2 },
  { level = 1, type = "Instruction", size_kib = 48, ways = 3 },
  { level = 2, type = "Unified", size_kib = 1024, ways = 16, shared_by = "package" },
]
[[cpus.groups]]
cpus = "0-3"
cluster = "0,0,1,1"
core = "0,1"
"""
IRQS = """
[[irqs]]
irq = 1
chip = "IO-APIC"
hwirq = 1
flow = "edge"
actions = []
[[irqs]]
irq = 8
chip = "IO-APIC"
hwirq = 8
flow = "edge"
actions = ["rtc0"]
[[irqs]]
irq = 22
chip = "IO-APIC"
hwirq = 22
flow = "fasteoi"
actions = ["eth3"]
"""
CPUS = {
    "x86-1cpu": f"[cpus]\npossible = 1\n{NEHALEM}",
    "x86-4cpu-cpu0hp": f"[cpus]\npossible = 4\npackages = 2\n{NEHALEM}",
    "x86-8cpu-2numa": (
        f"[cpus]\npossible = 8\npackages = 2\nnodes = 2\nthreads_per_core = 2\n{NEHALEM}"
    ),
    "arm64-4cpu": f'[cpus]\npossible = 4\nvendor = "ARM"\nmidr = 0x411fd070\n{CORTEX_A57}',
}


class Row(NamedTuple):
    """What one path is: its type, mode, and link count, target or size; and its text."""

    type: str
    mode: str
    last: object
    text: str | None


class Meant(NamedTuple):
    """A difference that is meant: where (a pattern of the path), in what, and why."""

    path: str
    what: str  # "lacking", "extra", "differs"
    why: str


MEANT = (
    Meant(
        r"/power/(async|runtime_active_kids|runtime_enabled|runtime_usage)$",
        "lacking",
        "CONFIG_PM_ADVANCED_DEBUG, which Debian has and the kernels of the series had not",
    ),
    Meant(r"/firmware_node$", "lacking", "the ACPI objects of processors are not in the tree"),
    Meant(r"/of_node$", "lacking", "the recorded arm64 machines boot from a device tree"),
    Meant(r"/node\d/memory\d+$", "lacking", "the blocks of memory are not in the tree"),
    Meant(r"/cpu\d+/driver$", "extra", "arm64 guests of Hyper-V boot from ACPI tables"),
    Meant(r"/processor/(cpu\d+)$", "extra", "the list of arm64's processor driver, which ACPI has"),
    Meant(
        r"/bus/cpu/drivers/processor(/.*)?$", "extra", "arm64's processor driver, which ACPI has"
    ),
    Meant(
        r"/cache/index\d",
        "extra",
        "the later captures leave caches out; QEMU's arm64 has none for the firmware to tell of",
    ),
    Meant(r"/cpuidle/available_governors$", "differs", "Debian builds a second one in"),
    Meant(r"/crash_notes$", "differs", "a physical address"),
    Meant(r"/cpu/modalias$", "differs", "the features of the emulator QEMU"),
    Meant(
        r"/cpu\d+/uevent$",
        "differs",
        "the features of the emulator QEMU, and the driver of a CPU on arm64",
    ),
    Meant(r"/vulnerabilities", "extra", "the captures of 6.12 and 7.2 leave the directory out"),
    Meant(r"/node\d/(numastat|vmstat|meminfo|uevent)$", "differs", "another memory"),
    Meant(r"/node\d/(meminfo|vmstat)$", "extra", "the later captures leave them out"),
    Meant(r"/node\d/hugepages/", "extra", "deeper than the captures go"),
    Meant(r"/node\d/hugepages/", "lacking", "sizes of huge pages that our processors have not"),
)


@cache
def recorded(machine: str) -> dict[str, Row]:
    rows = {}
    for line in (TREES / f"{machine}.jsonl").read_text().splitlines():
        row: dict[str, Any] = json.loads(line)
        last = row.get("nlink", row.get("target", row.get("size")))
        text = row["error"] if "error" in row else row.get("text")
        rows[row["path"]] = Row(row["type"], row["mode"], last, text)
    return rows


@cache
def guest(machine: str) -> Machine:
    shape, _, version = machine.rpartition("-")
    toml = f'description = "{machine}"\n'
    if shape.startswith("arm64"):
        toml += 'architecture = "arm64"\n'
    toml += CPUS[shape]
    toml += f'[kernel]\nversion = "{version}"\nseries = "absent"\n'
    if shape.startswith("arm64"):
        toml += f"max_cpus = {256 if version == '6.1' else 512}\n"
    else:
        if "cpu0hp" in shape:
            toml += 'cmdline = "cpu0_hotplug"\n'
        toml += IRQS
    return Machine(profiles.parse(toml, f"{machine}.toml", machine), "manual")


def row_of(machine: Machine, path: str, node: Node) -> Row:
    mode = f"{node.mode:04o}"
    if isinstance(node, Directory):
        return Row("d", mode, node.nlink, None)
    if isinstance(node, Symlink):
        return Row("l", mode, node.target, None)
    assert isinstance(node, Attribute)
    size = (4096 if node.size is None else node.size) if path.startswith("/sys") else None
    found = read(machine, path)
    return Row("f", mode, size, found if isinstance(found, str) else found.decode())


@cache
def ours(machine: str) -> dict[str, Row]:
    """Every path below the tops, of the CPUs that the capture has."""
    emulated = guest(machine)
    kept = {path.split("/")[5] for path in recorded(machine) if "/cpu/cpu" in path[:30]}
    rows: dict[str, Row] = {}

    def walk(path: str) -> None:
        node = node_at(emulated, path, follow=False)
        assert node is not None, path
        parts = path.split("/")
        is_cpu = len(parts) == 6 and re.fullmatch(r"cpu\d+", parts[5])
        if is_cpu and path.startswith(TOPS[0]) and parts[5] not in kept:
            return
        rows[path] = row_of(emulated, path, node)
        if isinstance(node, Directory):
            for name, _ in node.children():
                walk(f"{path}/{name}")

    for top in TOPS:
        walk(top)
    return rows


def is_interrupt(path: str) -> bool:
    return re.match(r"/(proc|sys/kernel)/irq/\d+", path) is not None


def kinds(rows: dict[str, Row], top: str) -> Counter[tuple[tuple[str, str, object], ...]]:
    """The kinds of an interrupt's directory: the files with their modes, and how many are so."""
    found: dict[str, list[tuple[str, str, object]]] = {}
    for path, row in rows.items():
        if path.startswith(f"{top}/") and is_interrupt(path):
            number, _, name = path.removeprefix(f"{top}/").partition("/")
            action = top == "/proc/irq" and row.type == "d" and name
            last = None if row.type == "d" and not name else row.last
            entry = ("<action>" if action else name, row.mode, last)
            if entry not in found.setdefault(number, []):
                found[number].append(entry)
    return Counter(tuple(sorted(map(tuple, files), key=str)) for files in found.values())


def differences(machine: str) -> Iterator[tuple[str, str, str]]:
    """(path, lacking | extra | differs, what), the interrupts left aside."""
    theirs, mine = recorded(machine), ours(machine)
    for path in sorted(theirs.keys() | mine.keys()):
        if is_interrupt(path):
            continue
        if path not in mine:
            yield path, "lacking", f"{theirs[path]}"
        elif path not in theirs:
            yield path, "extra", f"{mine[path]}"
        else:
            his, our = theirs[path], mine[path]
            if his.text is None:
                our = our._replace(text=None)
            if his.type == "d":  # it counts what it lacks
                his, our = his._replace(last=None), our._replace(last=None)
            if his != our:
                yield path, "differs", f"{his} and not {our}"


def reason(path: str, what: str) -> Meant | None:
    return next((m for m in MEANT if m.what == what and re.search(m.path, path)), None)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_path_is_as_recorded(machine: str) -> None:
    unexplained = [
        f"{path}: {what}: {how}"
        for path, what, how in differences(machine)
        if reason(path, what) is None
    ]
    assert unexplained == []
    assert len(recorded(machine)) > 500


def test_every_difference_that_is_meant_occurs() -> None:
    met = {reason(path, what) for machine in MACHINES for path, what, _ in differences(machine)}
    assert [meant for meant in MEANT if meant not in met] == []


@pytest.mark.parametrize("top", ["/proc/irq", "/sys/kernel/irq"])
@pytest.mark.parametrize("machine", MACHINES)
def test_an_interrupts_directory_is_of_a_recorded_kind(machine: str, top: str) -> None:
    theirs, mine = kinds(recorded(machine), top), kinds(ours(machine), top)
    assert mine
    assert set(mine) <= set(theirs)


@pytest.mark.parametrize("machine", MACHINES)
def test_link_counts_are_as_recorded_but_for_what_is_meant(machine: str) -> None:
    theirs, mine = recorded(machine), ours(machine)
    compared = 0
    for path, row in theirs.items():
        if row.type != "d" or path not in mine or is_interrupt(path) or path.endswith("/irq"):
            continue  # irq has a directory for each interrupt, and ours are others
        if reason(path, "differs") or any(
            reason(below, what)
            for below, what, _ in differences(machine)
            if below.rpartition("/")[0] == path
        ):
            continue
        assert mine[path].last == row.last, path
        compared += 1
    assert compared >= 15


@pytest.mark.parametrize("machine", [path.stem for path in sorted(STATES.glob("*.txt"))])
def test_hotplug_states_have_the_recorded_numbers(machine: str) -> None:
    """But for those of virtio, which our guests have not, and of Hyper-V, which only they have."""

    def numbers(text: str) -> dict[str, str]:
        pairs = (line.split(": ") for line in text.splitlines())
        return {name: number.strip() for number, name in pairs}

    theirs = numbers((STATES / f"{machine}.txt").read_text())
    shown = ours(machine)["/sys/devices/system/cpu/hotplug/states"].text
    mine = numbers(shown or "")
    assert {name: at for name, at in theirs.items() if not name.startswith("virtio")} == {
        name: at for name, at in mine.items() if "hyperv" not in name
    }


def report() -> None:
    """Rows compared, equal, and different by reason, for each capture."""
    for machine in MACHINES:
        theirs, mine = recorded(machine), ours(machine)
        rows = [path for path in theirs.keys() | mine.keys() if not is_interrupt(path)]
        found = list(differences(machine))
        print(f"{machine}: {len(rows)} rows, {len(rows) - len(found)} equal")  # noqa: T201
        why = Counter(
            (what, meant.why if (meant := reason(path, what)) else "UNEXPLAINED")
            for path, what, _ in found
        )
        for (what, each), number in why.most_common():
            print(f"    {number:4d} {what:<8s} {each}")  # noqa: T201
        for top in ("/proc/irq", "/sys/kernel/irq"):
            his, our = kinds(theirs, top), kinds(mine, top)
            equal = sum(number for kind, number in our.items() if kind in his)
            print(  # noqa: T201
                f"    {top}: {sum(our.values())} directories of ours, {equal} of them of a kind"
                f" that the capture's {sum(his.values())} have"
            )


if __name__ == "__main__":
    report()
