"""smt/control as real kernels answered, and what becomes of the CPUs (`kernel/cpu.c`)."""

import pytest

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.profiles.kernels import with_kernel
from model.guests import channel_path, text, write

CPU = "/sys/devices/system/cpu"
ALL, FIRST = "0-7", "0,2,4,6"

# Written, answered, control and online afterwards: recorded on 8 CPUs with 2 threads a core.
WORDS = (
    ("bogus", "EINVAL", "on", ALL),
    ("", 0, "on", ALL),
    ("on", 2, "on", ALL),
    ("off", 3, "off", FIRST),
    ("off\n", 4, "off", FIRST),
    ("ON", "EINVAL", "off", FIRST),
    ("0", "EINVAL", "off", FIRST),
)
AGAIN = (("off", 3, "off", FIRST), ("on", 2, "on", ALL))
RECORDED = {
    "6.1": (*WORDS, *((number, "EINVAL", "off", FIRST) for number in "123"), *AGAIN),
    "6.12": (
        *WORDS,
        ("1", 1, "off", FIRST),
        ("2", 1, "on", ALL),
        ("3", "EINVAL", "on", ALL),
        *AGAIN,
    ),
}
RECORDED["7.2"] = RECORDED["6.12"]

SINGLE = (
    ("bogus", "EINVAL", "ENODEV"),
    ("on", "ENODEV", "ENODEV"),
    ("off", "ENODEV", "ENODEV"),
    ("1", "EINVAL", "ENODEV"),
    ("", 0, 0),
)


def guest(version, threads=2, architecture="x86_64"):
    toml = f"""
description = "a guest with threads"
architecture = "{architecture}"
[kernel]
version = "{version}"
series = "absent"
[cpus]
possible = 8
threads_per_core = {threads}
"""
    return Machine(profiles.parse(toml, "smt.toml", "smt"), "manual")


def online(machine):
    return text(machine, f"{CPU}/online").strip()


def control(machine):
    return text(machine, f"{CPU}/smt/control").strip()


def set_control(machine, data):
    return write(machine, f"{CPU}/smt/control", data.encode())


def set_online(machine, cpu, data):
    return write(machine, f"{CPU}/cpu{cpu}/online", data.encode())


@pytest.mark.parametrize("version", RECORDED)
def test_recorded_writes(version):
    machine = guest(version)
    answers = [
        (data, set_control(machine, data), control(machine), online(machine))
        for data, *_ in RECORDED[version]
    ]
    assert answers == list(RECORDED[version])


@pytest.mark.parametrize("version", RECORDED)
def test_single_cpus_while_the_second_threads_are_off(version):
    machine = guest(version)
    set_control(machine, "off")
    assert text(machine, f"{CPU}/smt/active") == "0\n"
    answers = [
        (cpu, data, set_online(machine, cpu, data), online(machine))
        for cpu, data in ((1, "1"), (1, "0"), (2, "1"), (2, "0"), (3, "1"), (3, "0"))
    ]
    assert answers == [
        (1, "1", "EPERM", FIRST),
        (1, "0", 1, FIRST),
        (2, "1", 1, FIRST),
        (2, "0", 1, "0,4,6"),
        (3, "1", "EPERM", "0,4,6"),
        (3, "0", 1, "0,4,6"),
    ]
    assert write(machine, f"{CPU}/cpu3/hotplug/target", b"236") == "EPERM"
    assert set_control(machine, "on") == 2
    assert online(machine) == ALL  # also the first thread that was off
    assert text(machine, f"{CPU}/smt/active") == "1\n"
    assert text(machine, f"{CPU}/cpu2/online") == "1\n"


@pytest.mark.parametrize("version", RECORDED)
def test_forced_off_stays_off(version):
    machine = guest(version)
    assert set_control(machine, "forceoff") == 8
    assert (control(machine), online(machine)) == ("forceoff", FIRST)
    assert set_control(machine, "on") == "EPERM"
    assert set_control(machine, "off") == "EPERM"
    assert set_online(machine, 1, "1") == "EPERM"
    assert (control(machine), online(machine)) == ("forceoff", FIRST)


def test_off_can_still_be_made_forced():
    machine = guest("6.12")
    set_control(machine, "off")
    assert set_control(machine, "forceoff") == 8
    assert control(machine) == "forceoff"


@pytest.mark.parametrize(("data", "on_6_1", "since_6_6"), SINGLE)
def test_cores_of_one_thread(data, on_6_1, since_6_6):
    for version, answer in (("6.1", on_6_1), ("6.12", since_6_6)):
        machine = guest(version, threads=1)
        assert set_control(machine, data) == answer, version
        assert (control(machine), online(machine)) == ("notsupported", ALL)


@pytest.mark.parametrize("version", ["6.1", "6.12"])
@pytest.mark.parametrize("data", ["bogus", "on", "off", "1", "2"])
def test_arm64_does_not_implement_it(version, data):
    machine = guest(version, threads=1, architecture="arm64")
    assert set_control(machine, data) == "ENODEV"
    assert control(machine) == "notimplemented"


@pytest.mark.parametrize(("kernel", "shown"), [("6.1", "on"), ("6.12", "1")])
def test_a_sibling_that_must_stay_ends_it_half_way(kernel, shown):
    """The threads that have gone stay away, the state does not change; 6.12 shows the number."""
    machine = Machine(with_kernel(profiles.load("hyperv-gen2"), kernel), "manual")
    moved = [
        write(machine, f"{channel_path(machine, relid)}/cpu", b"5")
        for relid in machine.kernel.vmbus.channels
    ]
    assert 1 in moved
    assert set_control(machine, "off") == "EBUSY"
    assert (control(machine), online(machine)) == (shown, "0,2,4-7")


def test_each_thread_has_its_uevent():
    machine = guest("6.12")
    for data, action in (("off", "offline"), ("on", "online")):
        machine.kernel.uevents.events.clear()
        set_control(machine, data)
        paths = [e.devpath for e in machine.kernel.uevents.events if e.action == action]
        assert paths == [f"/devices/system/cpu/cpu{cpu}" for cpu in (1, 3, 5, 7)]
