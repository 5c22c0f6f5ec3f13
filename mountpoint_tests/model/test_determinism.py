"""Same profile, same inputs, same bytes: in every file of the three trees."""

from __future__ import annotations

import os
import subprocess
import sys
from random import Random

import pytest
from conftest import REPOSITORY

from fakeproc import profiles
from fakeproc.files.tree import Attribute, Directory, Symlink
from fakeproc.machine import Machine
from fakeproc.timeline import MILLISECOND, SECOND

from .guests import default_guest, node_at, read, write

ROOTS = ("/proc", "/sys", "/host")


def everything(machine: Machine) -> dict[str, object]:
    """What every node of the three trees is, and reads."""
    machine.catch_up()
    found: dict[str, object] = {}
    for root in ROOTS:
        _collect(machine, root, node_at(machine, root), found)
    return found


def _collect(machine: Machine, path: str, node: object, found: dict[str, object]) -> None:
    if isinstance(node, Directory):
        names = [name for name, _ in node.children()]
        found[path] = (node.mode, node.nlink, tuple(names))
        for name in names:
            _collect(machine, f"{path}/{name}", node.lookup(name), found)
    elif isinstance(node, Symlink):
        found[path] = node.target
    else:
        assert isinstance(node, Attribute), path
        found[path] = (node.mode, node.size, _text(machine, path, node))


def _text(machine: Machine, path: str, node: Attribute) -> object:
    if node.show is None:
        return None
    try:
        return node.show()
    except OSError as error:
        return error.errno


def inputs(seed: int, number: int) -> list[tuple[str, bytes, int]]:
    """Writes of all kinds, good and bad, and the time that passes after each."""
    random = Random(seed)
    cpu = "/sys/devices/system/cpu"

    def one() -> tuple[str, bytes]:
        irq, relid, target = random.randint(24, 44), random.randint(1, 30), random.randint(0, 8)
        return random.choice(
            [
                (f"/proc/irq/{irq}/smp_affinity_list", f"{target}"),
                (f"/proc/irq/{irq}/smp_affinity", f"{random.getrandbits(8):x}"),
                ("/proc/irq/default_smp_affinity", f"{random.getrandbits(8):x}"),
                (f"{cpu}/cpu{random.randint(1, 7)}/online", random.choice("01")),
                ("/host/interrupt", f"{relid} {random.randint(1, 5000)}"),
                ("/host/interrupt", f"message {random.randint(1, 9)}"),
                (
                    "/host/traffic",
                    f"{relid} {random.random() * 1000} {random.choice(('steady', 'poisson'))}",
                ),
                (
                    "/host/offer",
                    random.choice(("hv_sock", "fc", "netvsc subchannels=3", "vpci", "x")),
                ),
                ("/host/rescind", f"{relid}"),
                ("/host/latency", f"ack {random.random() / 10}"),
                (
                    "/host/fault",
                    random.choice(("modifychannel nak", "post einval", "open fail", "clear", "y")),
                ),
                ("/host/clock", f"advance {random.random()}"),
                ("/sys/bus/vmbus/drivers/hv_netvsc/unbind", "0022486b-1fa4-0022-486b-1fa40022486b"),
                ("/sys/bus/vmbus/drivers/hv_netvsc/bind", "0022486b-1fa4-0022-486b-1fa40022486b"),
                ("/sys/bus/vmbus/drivers_autoprobe", random.choice("01")),
            ]
        )

    return [
        (path, data.encode(), random.choice([0, 30_000, MILLISECOND, SECOND]))
        for path, data in (one() for _ in range(number))
    ]


def run(machine: Machine, seed: int, look_between: bool = False) -> list[object]:
    answers: list[object] = []
    for path, data, pause in inputs(seed, 120):
        machine.catch_up()
        answers.append(write(machine, path, data))
        machine.advance(pause)
        if look_between:
            read(machine, "/proc/interrupts")
            read(machine, "/proc/stat")
    return answers


@pytest.mark.parametrize("seed", range(3))
def test_two_runs_of_the_same_inputs_read_the_same_in_every_file(seed):
    one, other = default_guest(), default_guest()
    assert run(one, seed) == run(other, seed)
    first, second = everything(one), everything(other)
    assert first.keys() == second.keys()
    assert {path for path in first if first[path] != second[path]} == set()
    assert len(first) > 1500


def test_looking_in_between_makes_no_difference():
    one, other = default_guest(), default_guest()
    assert run(one, 7) == run(other, 7, look_between=True)
    first, second = everything(one), everything(other)
    assert {
        path for path in first.keys() | second.keys() if first.get(path) != second.get(path)
    } == set()


def test_other_inputs_and_other_seeds_read_differently():
    """The comparison above would see it."""
    profile = profiles.load("hyperv-gen2")
    seeded = Machine(profile.model_copy(update={"seed": 2}), "manual")
    plain, nudged = default_guest(), default_guest()
    for machine in (plain, nudged, seeded):
        machine.advance(10 * SECOND)
    assert write(nudged, "/host/interrupt", b"19 1") == 4
    before = everything(plain)
    differing = {path for path, what in everything(nudged).items() if what != before[path]}
    assert {"/proc/interrupts", "/proc/stat", "/proc/softirqs", "/host/state.json",
            "/sys/kernel/irq/39/per_cpu_count"} <= differing  # fmt: skip
    assert len(differing) < 15
    seeded_differing = {path for path, what in everything(seeded).items() if what != before[path]}
    assert "/sys/kernel/irq/39/per_cpu_count" in seeded_differing  # its traffic is Poisson's
    assert "/sys/kernel/irq/24/per_cpu_count" not in seeded_differing  # and this is steady


# Every name and text of a guest, in the order of the directories, as one number.
DIGEST = """
import hashlib, fakeproc
machine = fakeproc.Machine(kernel="7.2")
digest = hashlib.sha256()
waiting = ["/proc", "/sys", "/host"]
while waiting:
    path = waiting.pop()
    try:
        names = machine.list(path)
        answer = repr(names)
        waiting += [f"{path}/{name}" for name in names if _is_no_link(f"{path}/{name}")]
    except NotADirectoryError:
        try:
            answer = machine.read(path)
        except OSError as error:
            answer = str(error)
    if path != "/host/accesses":
        digest.update(f"{path} {answer}".encode(errors="surrogateescape"))
print(digest.hexdigest())
"""
IS_NO_LINK = """
def _is_no_link(path):
    try:
        machine.readlink(path)
    except OSError:
        return True
    return False
"""


def test_the_order_of_names_does_not_hang_on_the_hashes_of_a_process():
    digests = {
        subprocess.run(
            [sys.executable, "-c", IS_NO_LINK + DIGEST],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1
