"""Vectors of x86 CPUs: counted, used up, given back (`kernel/irq/matrix.c`, `apic/vector.c`)."""

from __future__ import annotations

import pytest

import fakeproc
from fakeproc import profiles
from fakeproc.machine import Machine

from .guests import text, write

PER_CPU = 203  # 0x20 to 0xeb without that of int 0x80
CPU = "/sys/devices/system/cpu"


def guest(irqs: list[str], version: str = "6.12", cpus: int = 2) -> Machine:
    """A guest whose interrupts are these lines of TOML, with numbers from 100 on."""
    toml = f"""
description = "many interrupts"
hyperv = false
[kernel]
version = "{version}"
series = "absent"
[cpus]
possible = {cpus}
"""
    for number, lines in enumerate(irqs, 100):
        toml += f'[[irqs]]\nirq = {number}\nactions = ["dev{number}"]\n{lines}\n'
    return Machine(profiles.parse(toml, "many.toml", "many"), "manual")


def msi(cpu: int, more: str = "") -> str:
    """A plain interrupt of a PCI function, which comes to a CPU."""
    return f'chip = "PCI-MSI"\nhwirq = 1\neffective = {cpu}\n{more}'


def remapped(cpu: int) -> str:
    """One behind an IOMMU: it moves at once."""
    return f'chip = "IR-PCI-MSI"\nhwirq = 1\neffective = {cpu}'


def comes_to(machine: Machine, irq: int) -> str:
    return text(machine, f"/proc/irq/{irq}/effective_affinity_list").strip()


def move(machine: Machine, irq: int, cpus: str) -> object:
    return write(machine, f"/proc/irq/{irq}/smp_affinity_list", cpus.encode())


def test_the_write_is_enospc_where_no_vector_is_left():
    machine = guest([remapped(0), *[msi(1)] * PER_CPU])
    assert move(machine, 100, "1") == "ENOSPC"
    assert text(machine, "/proc/irq/100/smp_affinity") == "3\n"
    assert comes_to(machine, 100) == "0"
    assert move(machine, 100, "0-1") == 3  # it may stay


def test_one_vector_given_back_is_enough():
    machine = guest([remapped(0), *[msi(1)] * PER_CPU])
    assert move(machine, 101, "0") == 1
    machine.kernel.raise_irq(101, 2)  # it moves, and comes to its new CPU
    assert move(machine, 100, "1") == 1
    assert comes_to(machine, 100) == "1"


def test_without_remapping_the_write_succeeds_and_the_next_interrupt_forgets_it():
    """irq_move_masked_irq(): an error other than EBUSY is dropped with the mask."""
    machine = guest([msi(0), *[msi(1)] * PER_CPU])
    assert move(machine, 100, "1") == 1
    assert text(machine, "/proc/irq/100/smp_affinity") == "2\n"
    machine.kernel.raise_irq(100, 3)
    assert text(machine, "/proc/irq/100/smp_affinity") == "3\n"
    assert comes_to(machine, 100) == "0"
    assert machine.kernel.irqs.descs[100].counts == {0: 3}


def test_a_second_move_waits_until_the_interrupt_has_come_to_its_new_cpu():
    """assign_vector_locked() says EBUSY; irq_try_set_affinity() makes that a pending move."""
    machine = guest([remapped(0)], cpus=4)
    assert move(machine, 100, "1") == 1
    assert comes_to(machine, 100) == "1"
    assert move(machine, 100, "2") == 1
    assert text(machine, "/proc/irq/100/smp_affinity_list") == "2\n"
    assert comes_to(machine, 100) == "1"
    machine.kernel.raise_irq(100, 1)
    assert comes_to(machine, 100) == "2"


def test_an_interrupt_holds_two_vectors_until_it_has_come():
    machine = guest([remapped(0), remapped(1), *[msi(1)] * (PER_CPU - 1)])
    assert move(machine, 101, "0") == 1
    assert move(machine, 100, "1") == "ENOSPC"
    machine.kernel.raise_irq(101, 1)
    assert move(machine, 100, "1") == 1


@pytest.mark.parametrize(("version", "per_cpu"), [("6.1", 202), ("6.12", 203), ("7.2", 203)])
def test_how_many_a_cpu_has(version, per_cpu):
    machine = guest([msi(0)] * (per_cpu + 1), version)
    assert comes_to(machine, 99 + per_cpu) == "0"
    assert comes_to(machine, 100 + per_cpu) == "1"  # the last finds none on CPU 0


def test_a_managed_interrupt_takes_a_vector_of_each_cpu_of_its_mask():
    managed = msi(0, 'managed = true\naffinity = "0-1"')
    machine = guest([managed, remapped(0), *[msi(1)] * (PER_CPU - 1)])
    assert move(machine, 101, "1") == "ENOSPC"


def test_whoever_gets_no_vector_is_not_requested():
    machine = guest([msi(0)] * (2 * PER_CPU + 1))
    last = 100 + 2 * PER_CPU
    assert f"IRQ {last} cannot be requested" in text(machine, "/host/log")
    table = text(machine, "/proc/interrupts")
    assert f"\n{last}:" not in table
    assert f"\n{last - 1}:" in table


def test_a_cpu_whose_interrupts_find_no_vectors_elsewhere_stays():
    """lapic_can_unplug_cpu()."""
    machine = guest([*[msi(0)] * 150, *[msi(1)] * 60])
    assert write(machine, f"{CPU}/cpu1/online", b"0") == "ENOSPC"
    assert text(machine, f"{CPU}/online") == "0-1\n"
    assert text(machine, f"{CPU}/cpu1/online") == "1\n"
    log = text(machine, "/host/log")
    assert "CPU 1 has 60 vectors, 53 available. Cannot disable CPU" in log
    assert write(machine, f"{CPU}/cpu1/hotplug/target", b"0") == "ENOSPC"


def test_a_cpu_goes_with_the_last_vectors_and_comes_back_with_all_of_its_own():
    machine = guest([remapped(0), *[msi(0)] * 142, *[msi(1)] * 60])
    assert write(machine, f"{CPU}/cpu1/online", b"0") == 1
    assert {comes_to(machine, irq) for irq in range(243, 303)} == {"0"}
    assert write(machine, f"{CPU}/cpu1/online", b"1") == 1
    assert move(machine, 100, "1") == 1
    assert comes_to(machine, 100) == "1"


@pytest.mark.parametrize(("version", "stays"), [("6.1", True), ("6.12", False)])
def test_an_interrupt_whose_mask_is_full_goes_to_any_cpu_since_v6_10(version, stays):
    """migrate_one_irq() tries again with all CPUs; before, it was left behind."""
    more = 'affinity = "1-2"'
    full = [msi(1)] * guest([]).kernel.architecture.vectors.matrix.map_of(1).available
    machine = guest([msi(2, more), *full], version, cpus=3)
    assert write(machine, f"{CPU}/cpu2/online", b"0") == 1
    assert (comes_to(machine, 100) == "2") == stays
    failed = "IRQ100: set affinity failed(-28)." in text(machine, "/host/log")
    assert failed == stays
    assert text(machine, "/proc/irq/100/smp_affinity") == ("6\n" if stays else "3\n")


def test_a_promise_that_cannot_be_kept_is_only_warned_of():
    machine = guest([msi(0)] * 190 + [msi(1)] * 5)
    chip = machine.kernel.architecture.chip("PCI-MSI")
    for number in range(400, 420):
        machine.kernel.irqs.create(chip, number, number)  # nobody requests them
    assert write(machine, f"{CPU}/cpu1/online", b"0") == 1
    assert "Reserved vectors 20 > available 13. IRQ request may fail" in text(machine, "/host/log")


def test_functions_that_find_no_vectors_have_no_driver():
    """Each of these takes a vector for itself and one for each CPU."""
    machine = fakeproc.Machine(cpus=2)
    machine.write("/host/offer", "vpci count=140")
    machine.settle()
    driven = machine.list("/sys/bus/pci/drivers/mlx5_core")
    functions = machine.list("/sys/bus/pci/devices")
    bound = [name for name in driven if name in functions]
    assert len(functions) == 140
    assert len(bound) == 2 * PER_CPU // 3
    # The last driver has let go of what it had got before it was refused.
    assert machine.read("/proc/interrupts").count("mlx5_") == 3 * len(bound)
    machine.write("/sys/bus/pci/drivers/mlx5_core/unbind", bound[0])
    machine.write("/sys/bus/pci/drivers/mlx5_core/bind", max(set(functions) - set(bound)))
