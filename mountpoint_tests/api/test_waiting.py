"""What a tool's author would write by hand: waiting, measuring, asserting."""

from __future__ import annotations

import errno

import pytest

import fakeproc

QUEUES = (34, 36, 37, 38, 39, 40, 41, 42)


@pytest.fixture
def machine() -> fakeproc.Machine:
    return fakeproc.Machine()


def test_files_by_their_paths_in_the_guest(console) -> None:
    assert console.read("/proc/irq/39/smp_affinity_list") == "6\n"
    assert console.write("/proc/irq/39/smp_affinity_list", "3\n") == 2
    assert "netvsc" in console.list("/proc/irq/39")
    assert console.readlink("/sys/bus/cpu/devices/cpu0") == "../../../devices/system/cpu/cpu0"
    assert console.exists("/sys/devices/system/cpu/cpu7")
    assert not console.exists("/sys/devices/system/cpu/cpu8")
    with pytest.raises(FileNotFoundError):
        console.read("/proc/irq/99/smp_affinity")
    with pytest.raises(OSError) as refused:  # noqa: PT011 - its text is the kernel's on a mount
        console.write("/proc/irq/39/smp_affinity", b"100\n")
    assert refused.value.errno == errno.EOVERFLOW


@pytest.mark.parametrize("path", ["proc/interrupts", "", "."])
def test_a_path_of_the_guest_begins_with_a_slash(machine, path) -> None:
    for call in (machine.read, machine.list, machine.readlink, machine.exists):
        with pytest.raises(fakeproc.RefusedError, match="begins with /, not"):
            call(path)


def test_time_passes_until_a_move_has_arrived(console) -> None:
    console.latency(0.5)
    console.write("/proc/irq/39/smp_affinity_list", "3\n")
    console.wait_until(lambda: console.state().channels[19].host_target_vp == 3)
    assert 0.5 <= console.state().time_s - 33760 < 0.51


def test_what_never_becomes_true_ends_at_its_time(machine) -> None:
    machine.traffic("all", 0)
    with pytest.raises(TimeoutError, match=r"not true within 2.5 s of the guest's time"):
        machine.wait_until(lambda: False, within=2.5)
    assert machine.state().time_s == pytest.approx(33762.5)


def test_on_a_real_clock_waiting_takes_real_time() -> None:
    machine = fakeproc.Machine(clock="real")
    machine.latency(0.01)
    machine.write("/proc/irq/39/smp_affinity_list", "3\n")
    machine.wait_until(lambda: machine.state().channels[19].host_target_vp == 3)


def test_settled_nothing_is_outstanding(machine) -> None:
    machine.latency(2)
    machine.write("/proc/irq/39/smp_affinity_list", "3\n")
    machine.settle()
    assert machine.state().channels[19].host_target_vp == 3


def test_interrupts_over_an_interval(console) -> None:
    console.advance(3)  # a guest is quiet in its first seconds
    console.traffic("all", 0)
    console.traffic(19, 1000)
    measured = console.measure(2)
    assert measured.seconds == 2
    assert measured.by_irq() == {39: 2000}
    assert measured.by_cpu([39]) == {6: 2000}
    assert measured.by_cpu([38]) == {}


def test_the_clock_changes_its_kind(machine) -> None:
    machine.clock("real", 1000)
    assert machine.read("/host/clock").startswith("real ")
    machine.clock("manual")
    assert machine.read("/host/clock").startswith("manual ")


def test_cpus_adapters_and_power(machine) -> None:
    machine.ethtool(16, 4)
    machine.settle()
    assert len(machine.state().irqs_of("hv_netvsc")) == 4
    with pytest.raises(OSError, match="relid") as refused:
        machine.set_online(1, False)
    assert refused.value.errno == errno.EBUSY
    for number, irq in machine.state().irqs.items():
        if irq.chip == "VMBus" and irq.effective_affinity == (1,):
            machine.write(f"/proc/irq/{number}/smp_affinity_list", "0\n")
    machine.set_online(1, False)
    assert 1 not in machine.state().online
    machine.set_online(1)
    assert 1 in machine.state().online
    with pytest.raises(fakeproc.RefusedError, match="does not let the guest hibernate"):
        machine.hibernate()


# -- Assertions -------------------------------------------------------------------------


def test_an_assertion_shows_who_wrote_what(machine) -> None:
    machine.record()
    machine.write("/proc/irq/39/smp_affinity_list", "3\n")
    machine.assert_moved(39)
    machine.assert_moved(39, to=3)
    with pytest.raises(
        AssertionError, match=r"IRQ 39 comes to CPU 3, not to CPU 5; what was"
    ) as no:
        machine.assert_moved(39, to=5)
    assert "/proc/irq/39/smp_affinity_list" in str(no.value)
    with pytest.raises(AssertionError, match="IRQ 40 still comes to CPU 7; "):
        machine.assert_moved(40)


def test_what_was_written_to_is_not_untouched(machine) -> None:
    machine.record()
    machine.assert_untouched(QUEUES)
    machine.write("/proc/irq/39/smp_affinity_list", "6\n")  # where it is
    machine.assert_untouched([40, 41])
    with pytest.raises(AssertionError, match="IRQ 39 was written to; what was written last"):
        machine.assert_untouched(QUEUES)
    machine.write("/proc/irq/39/smp_affinity_list", "3\n")
    with pytest.raises(AssertionError, match=r"the affinity of IRQ 39 was \(6,\) and is \(3,\)"):
        machine.assert_untouched([39])


def test_a_crowded_cpu_is_named(machine) -> None:
    machine.record()
    machine.assert_spread(QUEUES)
    machine.write("/proc/irq/39/smp_affinity_list", "7\n")
    with pytest.raises(AssertionError, match="more than 1 interrupts on one CPU: 2 on CPU 7; what"):
        machine.assert_spread(QUEUES)
    machine.assert_spread(QUEUES, most=2)


@pytest.mark.parametrize("call", ["assert_moved", "assert_untouched", "assert_spread"])
def test_without_a_record_nothing_is_asserted(machine, call) -> None:
    with pytest.raises(fakeproc.FakeprocError, match=r"call record\(\) before"):
        getattr(machine, call)(39 if call == "assert_moved" else [39])


def test_no_such_interrupt(machine) -> None:
    machine.record()
    with pytest.raises(AssertionError, match="the guest has no IRQ 99"):
        machine.assert_moved(99)
