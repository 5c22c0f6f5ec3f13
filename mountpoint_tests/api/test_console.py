"""What both guises are told and asked, and what they answer."""

from __future__ import annotations

import pytest

import fakeproc

NETVSC = "0022486b-1fa4-0022-486b-1fa40022486b"
NEW = "11111111-2222-3333-4444-555555555555"


def test_interrupts_are_counted_where_they_go(console) -> None:
    before = console.state().irqs[39]
    console.interrupt(19, 1000)
    after = console.state().irqs[39]
    assert after.effective_affinity == (6,)
    assert after.counts[6] - before.counts[6] == 1000


def test_time_passes_when_told(console) -> None:
    before = console.state().time_s
    console.advance(0.25)
    assert console.state().time_s == before + 0.25


def test_traffic_by_all_its_names(console) -> None:
    console.traffic("all", 0)
    console.traffic(19, 1000)
    before = console.state().channels
    console.advance(3)
    after = console.state().channels
    assert after[19].sent - before[19].sent == 3000
    console.traffic("netvsc", 10, "poisson")
    console.traffic("timer", 0)


def test_a_device_comes_and_goes(console) -> None:
    console.offer("netvsc", guid=NEW, subchannels=2)
    console.advance(1)
    device = console.state().devices[NEW]
    assert (device.driver, len(device.channels)) == ("hv_netvsc", 3)
    assert console.uevents()[-1].properties["SUBSYSTEM"]
    console.rescind(NEW)
    console.advance(1)
    assert NEW not in console.state().devices
    assert console.uevents()[-1].action == "remove"


def test_a_fault(console, files) -> None:
    console.fault("modifychannel nak", 1)
    files.write("/proc/irq/39/smp_affinity", b"08\n")
    console.advance(1)
    state = console.state().channels[19]
    assert state.host_target_vp == 6
    console.fault("pending", 19)
    console.fault("clear")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda it: it.interrupt(999), "line 1, '999 1': no channel has relid 999"),
        (lambda it: it.rescind(NEW), f"line 1, '{NEW}': the host offers no device {NEW}"),
        (lambda it: it.fault("nonsense"), r"line 1, 'nonsense': it is none of: .*"),
        (lambda it: it.traffic("netvcs", 5), "line 1, .*: 'netvcs' is neither .*, netvsc, .*"),
        (lambda it: it.traffic(19, "5"), "rate is a number, not '5'"),
        (lambda it: it.advance("1"), "seconds is a number, not '1'"),
        (lambda it: it.advance(float("nan")), "seconds is a number, not nan"),
        (lambda it: it.advance(-1), "line 1, .* not '-1.000000000'"),
        (lambda it: it.traffic(19, -1), "line 1, .*a rate is a number from 0 to 1e.09, not '-1.0'"),
    ],
)
def test_what_is_refused_says_why(console, call, sentence) -> None:
    with pytest.raises(fakeproc.RefusedError, match=f"^{sentence}$"):
        call(console)


def test_the_state_is_typed_and_finds_its_parts(console) -> None:
    state = console.state()
    assert (state.profile, state.online) == ("hyperv-gen2", tuple(range(8)))
    assert state.irqs[39].actions == ("netvsc",)
    assert state.irqs_of("hv_netvsc").keys() == {34, 36, 37, 38, 39, 40, 41, 42}
    assert state.channels[19].irq == 39
    assert state.devices[NETVSC].type


def test_the_difference_of_two_states(console, files) -> None:
    before = console.state()
    assert console.state().difference(before) == []
    files.write("/proc/irq/39/smp_affinity_list", b"3\n")
    console.offer("kvp", guid=NEW)
    console.advance(1)
    difference = console.state().difference(before)
    assert "irqs.39.affinity: (6,) -> (3,)" in difference
    assert f"devices.{NEW}: new" in difference
    assert f"devices.{NETVSC}.channels.relid 19.host_target_vp: 6 -> 3" in difference


@pytest.mark.fakeproc(profile="hyperv-2socket", kernel="6.12", cpus=40)
def test_which_machine(console) -> None:
    state = console.state()
    assert (state.profile, state.kernel_version, state.series) == (
        "hyperv-2socket",
        "6.12",
        "absent",
    )
    assert state.online == tuple(range(40))


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"profile": "nope"}, "no profile is called 'nope'"),
        ({"kernel": "2.4"}, "no kernel is called '2.4'; there are: rfc, "),
        ({"profile": "hyperv-2socket", "cpus": 7}, "hyperv-2socket with 7 CPUs: 7 present CPUs"),
        ({"cpus": 4096}, "cpus is a whole number from 1 to 2048, not 4096"),
        ({"cpus": "8"}, "cpus is a whole number from 1 to 2048, not '8'"),
        ({"cpus": True}, "cpus is a whole number from 1 to 2048, not True"),
        ({"cpus": 0}, "cpus is a whole number from 1 to 2048, not 0"),
        ({"seed": -1}, "seed is a whole number from 0 to 9223372036854775807, not -1"),
        ({"seed": "x"}, "seed is a whole number from 0 to 9223372036854775807, not 'x'"),
        ({"clock": "Real"}, "clock is 'manual' or 'real', not 'Real'"),
        ({"kernel": ["rfc"]}, r"no kernel is called \['rfc'\]; there are: rfc, "),
        ({"kernel": 6.12}, "no kernel is called 6.12; there are: rfc, "),
        ({"profile": None}, "a profile is the name of a built-in one, .* not None"),
    ],
)
@pytest.mark.parametrize("kind", [fakeproc.Guest, fakeproc.Machine])
def test_a_machine_that_cannot_be(kind, choice, sentence) -> None:
    with pytest.raises(fakeproc.ProfileError, match=f"^{sentence}"):
        kind(**choice)


@pytest.mark.parametrize("cpus", [4, 8, 64])
@pytest.mark.parametrize("profile", ["hyperv-gen2", "hyperv-2socket", "hyperv-arm64"])
def test_any_profile_with_other_cpus(profile, cpus) -> None:
    machine = fakeproc.Machine(profile, cpus=cpus)
    assert machine.state().online == tuple(range(cpus))
    assert max(cpu for irq in machine.state().irqs.values() for cpu in irq.affinity) < cpus
