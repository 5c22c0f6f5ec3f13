"""The tests of spread_irqs.py; `TOOL=spread_irqs_fixed.py pytest` tests the other one."""

import importlib
import os
import sys
from pathlib import Path

import pytest

TOOL = os.environ.get("TOOL", "spread_irqs.py")
HERE = Path(__file__).parent


def netvsc_cpus(guest):
    return [irq.effective_affinity for irq in guest.state().irqs_of("hv_netvsc").values()]


@pytest.mark.fakeproc(cpus=[8, 32, 40])
def test_every_queue_gets_a_cpu_of_its_own(fakeproc_guest):
    fakeproc_guest.run([sys.executable, HERE / TOOL], check=True)
    cpus = netvsc_cpus(fakeproc_guest)
    assert len(cpus) == len(set(cpus)) == 8


@pytest.mark.fakeproc(cpus=32)
def test_the_traffic_follows(fakeproc_guest):
    fakeproc_guest.run([sys.executable, HERE / TOOL], check=True)
    fakeproc_guest.advance(0.001)  # the host has heard of it
    before = fakeproc_guest.state()
    fakeproc_guest.interrupt(19, 1000)
    after = fakeproc_guest.state()
    irq = after.channels[19].irq
    (cpu,) = after.irqs[irq].effective_affinity
    assert after.irqs[irq].counts[cpu] - before.irqs[irq].counts.get(cpu, 0) == 1000


@pytest.mark.fakeproc(cpus=[8, 32, 40])
def test_the_same_without_a_mount(fakeproc_machine, monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    tool = importlib.import_module(Path(TOOL).stem)
    tool.spread(fakeproc_machine.read, fakeproc_machine.write)
    assert len(set(netvsc_cpus(fakeproc_machine))) == 8
