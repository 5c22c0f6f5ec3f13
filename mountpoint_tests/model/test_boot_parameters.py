"""Parameters of the kernel's command line that show in its files, and those that are refused."""

import pytest

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.profiles.boot_parameters import boot_parameters
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
        ("nr_cpus=4", r"nr_cpus=4 allows fewer CPUs than the 8 of cpus.possible"),
        ("possible_cpus=7", r"possible_cpus=7 allows fewer CPUs than the 8"),
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
    "parameter",
    ["maxcpus=0", "nr_cpus=x", "threadirqs", "mitigations=auto,nosmt", "hugepages=4", "pti=off"],
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


@pytest.mark.parametrize("parameter", ["nr_cpus=8", "possible_cpus=8", "nr_cpus=64"])
def test_a_limit_that_the_cpus_are_below_changes_nothing(parameter):
    machine = guest(f"ro {parameter}")
    assert text(machine, f"{CPU}/possible") == "0-7\n"
    assert "not emulated" not in text(machine, "/host/log")


@pytest.mark.parametrize(
    ("isolated", "cmdline"),
    [
        ("domain = [2, 3]", "ro isolcpus=domain,2-3"),
        ("managed_irq = [7]", "ro isolcpus=managed_irq,7"),
        ("managed_irq = [2]\ndomain = [2]", "ro isolcpus=managed_irq,domain,2"),
        ("managed_irq = [2]\ndomain = [4]", "ro isolcpus=managed_irq,2 isolcpus=domain,4"),
    ],
)
def test_a_key_is_on_the_command_line_too(isolated, cmdline):
    machine = guest("ro", f"[cpus.isolated]\n{isolated}")
    assert text(machine, "/proc/cmdline") == f"{cmdline}\n"
    assert f"Command line: {cmdline}" in text(machine, "/host/log")
    assert boot_parameters(cmdline, 8).isolated == machine.kernel.profile.boot_parameters.isolated


def test_what_is_for_init_stays_last():
    machine = guest("ro -- single", "[cpus.isolated]\ndomain = [1]")
    assert text(machine, "/proc/cmdline") == "ro isolcpus=domain,1 -- single\n"


def test_the_cpu_that_boots_keeps_its_tick_and_its_work():
    """`tick_nohz_init` clears it; `housekeeping_setup` takes it where no other is left."""
    machine = guest("nohz_full=0-7 isolcpus=0-7")
    assert text(machine, f"{CPU}/nohz_full") == "1-7\n"
    assert text(machine, f"{CPU}/isolated") == "1-7\n"


def test_isolcpus_nohz_is_nohz_full():
    assert text(guest("isolcpus=nohz,domain,4-5"), f"{CPU}/nohz_full") == "4-5\n"


@pytest.mark.parametrize(
    ("parameter", "control", "again", "said"),
    [
        ("nosmt", "off\n", 2, "SMT: disabled\n"),
        ("nosmt=force", "forceoff\n", "EPERM", "SMT: Force disabled\n"),
    ],
)
@pytest.mark.parametrize("version", ["6.1", "6.12", "7.2"])
def test_nosmt_leaves_the_second_threads_off(version, parameter, control, again, said):
    machine = guest(parameter, "threads_per_core = 2", version=version)
    assert said in text(machine, "/host/log")
    assert text(machine, f"{CPU}/smt/control") == control
    assert text(machine, f"{CPU}/smt/active") == "0\n"
    assert text(machine, f"{CPU}/online") == "0,2,4,6\n"
    assert write(machine, f"{CPU}/cpu1/online", b"1") == "EPERM"
    assert write(machine, f"{CPU}/smt/control", b"on") == again
    assert text(machine, f"{CPU}/online") == ("0-7\n" if again == 2 else "0,2,4,6\n")


def test_nosmt_means_nothing_without_second_threads():
    machine = guest("nosmt")
    assert text(machine, f"{CPU}/smt/control") == "notsupported\n"
    assert text(machine, f"{CPU}/online") == "0-7\n"


def test_mitigations_off():
    bugs = 'bugs = "cpu_meltdown spectre_v1 spectre_v2 mds l1tf gds"'
    machine = guest("mitigations=off", bugs)
    shown = {
        name: text(machine, f"{CPU}/vulnerabilities/{name}")
        for name in ("meltdown", "spectre_v1", "mds", "l1tf", "gather_data_sampling", "tsa")
    }
    assert shown == {
        "meltdown": "Vulnerable\n",
        "spectre_v1": "Vulnerable: __user pointer sanitization and usercopy barriers only;"
        " no swapgs barriers\n",
        "mds": "Vulnerable; SMT Host state unknown\n",
        # neither the page tables nor what the hypervisor does is switched off
        "l1tf": "Mitigation: PTE Inversion\n",
        "gather_data_sampling": "Unknown: Dependent on hypervisor status\n",
        "tsa": "Not affected\n",
    }
    as_usual = guest("mitigations=auto", bugs)
    assert text(as_usual, f"{CPU}/vulnerabilities/meltdown") == "Mitigation: PTI\n"
