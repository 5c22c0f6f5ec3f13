"""What is worked out of a cell, on machines whose load is known."""

from __future__ import annotations

import pytest

import fakeproc
from fakeproc.lab.measures import MEASURES, Measures, measured, series

NIC_IRQS = (34, 36, 37, 38, 39, 40, 41, 42)


def watched(machine: fakeproc.Machine, seconds: int, **options: object) -> Measures:
    """The measures of some seconds, looked at every second, after the traffic's end."""
    states = [machine.state()]
    for _ in range(seconds):
        machine.advance(1)
        states.append(machine.state())
    machine.traffic("all", 0)
    machine.settle()
    known = {"writes": [], "nodes": {}, "device_nodes": {}} | options
    return measured(states, machine.state(), **known)


@pytest.fixture
def machine() -> fakeproc.Machine:
    made = fakeproc.Machine()
    made.advance(5)
    made.traffic("all", 0)
    return made


def test_the_measures_are_the_columns() -> None:
    assert tuple(Measures.__dataclass_fields__) == MEASURES


def test_an_even_load(machine: fakeproc.Machine) -> None:
    """The queues of the network card are on all eight CPUs, one each."""
    machine.traffic("netvsc", 100)
    found = watched(machine, 10)
    assert (found.cv, found.jain, found.busiest_share) == (0.0, 1.0, 0.125)
    assert (found.interrupts, found.lost, found.locality) == (8 * 1000, 0, 1.0)
    assert (found.moves, found.settle_s) == (0, 0.0)


def test_all_on_one_cpu(machine: fakeproc.Machine) -> None:
    machine.traffic(19, 100)
    found = watched(machine, 4)
    assert (found.jain, found.busiest_share) == (0.125, 1.0)
    assert found.cv == pytest.approx(7**0.5, abs=1e-6)


def test_nothing_at_all(machine: fakeproc.Machine) -> None:
    found = watched(machine, 2)
    assert (found.cv, found.jain, found.busiest_share, found.interrupts) == (0.0, 1.0, 0.0, 0)
    assert found.locality == 1.0


def test_without_the_series_channels_are_counted_in_hyp() -> None:
    machine = fakeproc.Machine(kernel="6.12")
    machine.advance(5)
    machine.traffic("all", 0)
    machine.traffic(19, 100)
    found = watched(machine, 4)
    assert (found.interrupts, found.busiest_share) == (400, 1.0)


def test_moves_and_when_they_end(machine: fakeproc.Machine) -> None:
    machine.traffic("netvsc", 100)
    states = [machine.state()]
    for second in range(6):
        if second == 2:
            machine.write("/proc/irq/39/smp_affinity_list", "3\n")
        machine.advance(1)
        states.append(machine.state())
    found = measured(states, machine.state(), [None, "EINVAL"], {}, {})
    assert (found.moves, found.settle_s) == (1, 3.0)
    assert (found.writes, found.refusals) == (2, 1)
    assert [sample.by_cpu[3] for sample in series(states)] == [100, 100, 200, 200, 200, 200]


def test_interrupts_on_the_old_cpu_of_a_move(machine: fakeproc.Machine) -> None:
    """The host takes half a second to act on the move, of a thousand interrupts a second."""
    machine.traffic(19, 1000)
    machine.latency(0.5)
    machine.advance(1)
    states = [machine.state()]
    machine.write("/proc/irq/39/smp_affinity_list", "3\n")
    machine.advance(2)
    states.append(machine.state())
    found = measured(states, machine.state(), [None], {}, {})
    assert (found.on_old_cpu, found.lost, found.interrupts) == (500, 0, 2000)


def test_interrupts_for_a_cpu_that_is_offline_are_lost(machine: fakeproc.Machine) -> None:
    machine.write("/proc/irq/39/smp_affinity_list", "6\n")
    machine.settle()
    machine.traffic(19, 100)
    machine.latency(1)
    machine.write("/proc/irq/39/smp_affinity_list", "0\n")
    machine.set_online(6, False)  # the guest waits for 50 ms, and no longer
    assert watched(machine, 3).lost > 50


def test_locality_is_by_the_node_of_the_device(machine: fakeproc.Machine) -> None:
    machine.traffic("netvsc", 100)
    device = next(n for n, it in machine.state().devices.items() if it.type == "netvsc")
    nodes = {cpu: cpu // 4 for cpu in range(8)}
    found = watched(machine, 4, nodes=nodes, device_nodes={device: 1})
    assert found.locality == 0.5
