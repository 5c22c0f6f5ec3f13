"""The clock: real or manual, fast or slow, and never backwards."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.timeline import MILLISECOND, SECOND, Clock

from .guests import default_guest, text, write

pytestmark = pytest.mark.every_kernel


class Monotonic:
    """The computer's clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 5_000 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def computer() -> Monotonic:
    return Monotonic()


def test_real_time_follows_the_computers_clock(computer):
    clock = Clock(monotonic=computer)
    assert clock.now() == 0
    computer.now += 1234
    assert clock.now() == 1234


def test_manual_time_stands_still_until_it_is_told(computer):
    clock = Clock(manual=True, monotonic=computer)
    computer.now += SECOND
    assert clock.now() == 0
    clock.forward_to(77)
    assert clock.now() == 77


def test_switching_modes_neither_jumps_nor_loses_what_has_passed(computer):
    clock = Clock(monotonic=computer)
    computer.now += 10
    clock.manual = True
    computer.now += 100  # stands still
    assert clock.now() == 10
    clock.manual = False
    assert clock.now() == 10
    computer.now += 5
    assert clock.now() == 15


@pytest.mark.parametrize(("rate", "passed"), [(2.0, 2_000), (0.5, 500), (100.0, 100_000)])
def test_a_rate_holds_from_when_it_is_set(computer, rate, passed):
    clock = Clock(monotonic=computer)
    computer.now += 300
    clock.rate = rate
    assert clock.now() == 300
    computer.now += 1000
    assert clock.now() == 300 + passed


def test_a_rate_set_while_it_is_manual_holds_once_it_is_real(computer):
    clock = Clock(manual=True, monotonic=computer)
    clock.rate = 10
    computer.now += SECOND
    assert clock.now() == 0
    clock.manual = False
    computer.now += 5
    assert clock.now() == 50


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_time_at_a_rate_that_is_none_is_refused(computer, rate):
    clock = Clock(monotonic=computer)
    with pytest.raises(ValueError, match="time"):
        clock.rate = rate


steps = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(0, 10**12)),
        st.tuples(st.just("manual"), st.booleans()),
        st.tuples(st.just("rate"), st.floats(1e-3, 1e3)),
        st.tuples(st.just("forward"), st.integers(-(10**12), 10**12)),
    ),
    max_size=30,
)


@given(steps)
def test_time_never_runs_backwards_whatever_is_done_to_the_clock(steps):
    computer = Monotonic()
    clock = Clock(monotonic=computer)
    last = clock.now()
    for what, value in steps:
        match what:
            case "pass":
                computer.now += value
            case "manual":
                clock.manual = value
            case "rate":
                clock.rate = value
            case "forward":
                clock.forward_to(clock.now() + value)
        assert clock.now() >= last
        last = clock.now()


# As the console has it --------------------------------------------------------------------------


def say(machine: Machine, command: bytes) -> int | str:
    """What the mount does for a write: run up to now, then store."""
    machine.catch_up()
    answer = write(machine, "/host/clock", command)
    machine.catch_up()
    return answer


def shown(machine: Machine) -> tuple[str, float, str]:
    machine.catch_up()
    mode, now, rate = re.fullmatch(
        r"(\w+) (\d+\.\d{6})(?: rate (\S+))?\n", text(machine, "/host/clock")
    ).groups()
    return mode, float(now), rate


def test_advance_moves_a_manual_clock_by_exactly_that():
    machine = default_guest()
    assert text(machine, "/host/clock") == "manual 33760.000000\n"
    assert say(machine, b"advance 0.000001\n") == 17
    assert shown(machine)[1] == 33760.000001
    say(machine, b"advance 1.5")
    assert shown(machine)[1] == 33761.500001
    assert text(machine, "/proc/uptime").startswith("33761.50 ")


def test_several_lines_are_carried_out_in_their_order():
    machine = default_guest()
    assert say(machine, b"advance 1\nrate 5\nadvance 2\n") == 27
    assert shown(machine) == ("manual", 33763.0, "5")
    assert say(machine, b"rate 1") == 6
    assert text(machine, "/host/clock") == "manual 33763.000000\n"


def test_a_real_guest_can_be_frozen_advanced_and_let_go(computer):
    machine = default_guest()
    machine.timeline.clock = Clock(monotonic=computer)
    machine.timeline.clock.forward_to(machine.timeline.now)
    computer.now += 3 * SECOND
    assert shown(machine) == ("real", 33763.0, None)
    say(machine, b"manual")
    computer.now += 60 * SECOND
    assert shown(machine) == ("manual", 33763.0, None)
    say(machine, b"advance 2\nreal\nrate 10")
    computer.now += SECOND
    assert shown(machine) == ("real", 33775.0, "10")
    say(machine, b"advance 100")  # a real clock can be sent ahead, too
    assert shown(machine)[1] == 33875.0


def test_the_uptime_of_the_profile_is_where_the_clock_begins():
    profile = profiles.load("hyperv-gen2")
    for uptime in (0, 5, 10_000_000):
        machine = Machine(profile.model_copy(update={"uptime_s": uptime}), "manual")
        now = shown(machine)[1]
        assert now == pytest.approx(uptime, abs=0.1)  # the boot itself takes a few milliseconds
        assert now >= uptime


def test_what_a_write_sleeps_through_is_time_that_has_passed():
    """An offline that waits for the host's acknowledgements moves a manual clock."""
    machine = default_guest()
    assert write(machine, "/host/latency", b"ack 0.012") == 9
    assert write(machine, "/proc/irq/40/smp_affinity_list", b"0") == 1
    before = machine.timeline.now
    assert write(machine, "/sys/devices/system/cpu/cpu7/online", b"0") == 1
    assert 12 * MILLISECOND <= machine.timeline.now - before <= 25 * MILLISECOND
    assert shown(machine)[1] == pytest.approx(machine.timeline.now / SECOND, abs=1e-6)
