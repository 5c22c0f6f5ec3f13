"""The same requests to a mount and to a machine in this process: the same answers."""

from __future__ import annotations

import json
from random import Random

import pytest

import fakeproc
from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.vfs.namespace import Namespace

from .drawing import DETERMINISTIC, Drawing
from .requests import InProcess, OnMount

STEPS = 400
# They tell of processes, which are others on a mount.
OTHERS = ("/host/journal", "/host/accesses", "/host/programs")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_mount_and_a_machine_answer_the_same(fresh_guest: fakeproc.Guest, seed: int) -> None:
    machine = Machine(profiles.load("hyperv-gen2"), "manual")
    files = Namespace(machine)
    here, there = InProcess(files), OnMount(fresh_guest.root)
    drawing = Drawing(Random(seed), machine, files, DETERMINISTIC)
    taken = 0
    try:
        for step in range(STEPS):
            request = drawing.draw()
            # The real kernel asks no FUSE file system to write nothing.
            if request.path in OTHERS or (request.call == "write" and not request.data):
                continue
            answer = here.make(request)
            assert there.make(request) == answer, f"seed {seed}, step {step}: {request}"
            taken += not isinstance(answer, str)
    finally:
        there.close()
    assert taken > STEPS / 2
    for path in ("/host/state.json", "/proc/interrupts", "/proc/stat", "/host/log"):
        assert fresh_guest.read(path).encode() == files.read(path), path
    assert json.loads(fresh_guest.read("/host/state.json"))["time_s"] > 0
