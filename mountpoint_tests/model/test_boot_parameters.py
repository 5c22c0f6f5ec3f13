"""Parameters of the kernel's command line that show in its files, and those that are refused."""

import pytest

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.profiles.sizes import with_cpus
from model.guests import text, write

CPU = "/sys/devices/system/cpu"
IRQ_9 = """
[[irqs]]
irq = 9
hwirq = 9
flow = "fasteoi"
actions = ["acpi"]
"""


def guest(cmdline, more="", version="6.12"):
    toml = f"""
description = "a guest with boot parameters"
[kernel]
version = "{version}"
cmdline = "{cmdline}"
[cpus]
possible = 8
{more}
"""
    return Machine(profiles.parse(toml + IRQ_9, "boot.toml", "boot"), "manual")


def test_irqaffinity_is_the_affinity_of_interrupts_that_nobody_moves():
    machine = guest("ro irqaffinity=0-3")
    assert text(machine, "/proc/cmdline") == "ro irqaffinity=0-3\n"
    assert text(machine, "/proc/irq/default_smp_affinity") == "0f\n"
    assert text(machine, "/proc/irq/9/smp_affinity") == "0f\n"


def test_irqaffinity_always_has_the_cpu_that_boots():
    machine = guest("irqaffinity=4")
    assert text(machine, "/proc/irq/default_smp_affinity") == "11\n"


@pytest.mark.parametrize(
    ("parameter", "isolated", "managed_irq"),
    [
        ("", "\n", 0xFF),
        ("isolcpus=2-3", "2-3\n", 0xFF),
        ("isolcpus=domain,2,5", "2,5\n", 0xFF),
        ("isolcpus=managed_irq,2-3", "\n", 0xF3),
        ("isolcpus=managed_irq,domain,2-3", "2-3\n", 0xF3),
        ("isolcpus=nohz,2-3", "\n", 0xFF),
        ("isolcpus=2-3 -- isolcpus=7", "2-3\n", 0xFF),
    ],
)
def test_isolcpus_by_its_flags(parameter, isolated, managed_irq):
    machine = guest(parameter)
    assert text(machine, f"{CPU}/isolated") == isolated
    assert machine.kernel.cpus.housekeeping_managed_irq == managed_irq


@pytest.mark.parametrize(
    ("version", "unset", "housekeeping"),
    [("6.12", "  (null)\n", None), ("7.2", "\n", "0-3\n")],
)
def test_nohz_full(version, unset, housekeeping):
    assert text(guest("ro", version=version), f"{CPU}/nohz_full") == unset
    machine = guest("nohz_full=4-7", version=version)
    assert text(machine, f"{CPU}/nohz_full") == "4-7\n"
    if housekeeping is not None:
        assert text(machine, f"{CPU}/housekeeping") == housekeeping


@pytest.mark.parametrize(
    ("cmdline", "why"),
    [
        ("irqaffinity=9", r"irqaffinity=9 names CPU 9, but only 8 are possible"),
        ("irqaffinity=", r"irqaffinity= is no list of CPUs"),
        ("nohz_full=3-1", r"nohz_full=3-1 has a range that runs backwards"),
        ("isolcpus=domain", r"isolcpus=domain is no list of CPUs"),
        ("isolcpus=domain,x", r"isolcpus=domain,x is no list of CPUs"),
        ("isolcpus=99999999", r"isolcpus=99999999 names CPU 99999999"),
    ],
)
def test_a_list_that_cannot_be_is_refused_by_its_key(cmdline, why):
    with pytest.raises(profiles.ProfileError, match=rf"kernel.cmdline.*{why}"):
        guest(cmdline)


def test_a_key_and_its_parameter_may_agree():
    machine = guest("isolcpus=2-3", "[cpus.isolated]\ndomain = [2, 3]")
    assert text(machine, f"{CPU}/isolated") == "2-3\n"


def test_a_key_and_its_parameter_never_contradict():
    with pytest.raises(profiles.ProfileError, match="contradicts isolcpus="):
        guest("isolcpus=2-3", "[cpus.isolated]\ndomain = [4]")


@pytest.mark.parametrize(
    "parameter", ["maxcpus=0", "nr_cpus=4", "nosmt", "threadirqs", "mitigations=off"]
)
def test_what_is_not_emulated_is_named_once_in_the_log(parameter):
    log = text(guest(f"ro {parameter} quiet"), "/host/log")
    assert log.count(f"the parameter {parameter} is not emulated") == 1
    assert "quiet is not emulated" not in log


def test_fewer_cpus_than_the_command_line_names_are_refused():
    profile = guest("isolcpus=6-7").profile
    with pytest.raises(profiles.ProfileError, match="with 4 CPUs: isolcpus=6-7 names CPU 7"):
        with_cpus(profile, 4)


@pytest.mark.parametrize(("maxcpus", "online"), [(1, "0"), (3, "0-2"), (8, "0-7"), (99, "0-7")])
def test_maxcpus_leaves_the_others_to_whoever_brings_them_up(maxcpus, online):
    machine = guest(f"ro maxcpus={maxcpus}")
    assert text(machine, f"{CPU}/online") == f"{online}\n"
    assert text(machine, f"{CPU}/present") == "0-7\n"
    assert not any("not emulated" in record.text for record in machine.kernel.log.records)
    if maxcpus == 3:
        assert len(text(machine, "/proc/interrupts").splitlines()[0].split()) == 3
        assert write(machine, f"{CPU}/cpu7/online", b"1") == 1
        assert text(machine, f"{CPU}/online") == "0-2,7\n"
