"""A sample of what `scripts/fuzz` does for as long as wanted, and that it finds what is wrong."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from model.guests import default_guest, write

from fakeproc import profiles
from fakeproc.guest.hv.modify import ModifyChannels
from fakeproc.guest.irq.core import IrqCore
from fakeproc.machine import Machine

from .inputs import console_inputs, profile_input
from .life import EVERY_GUEST, Failure, Guest, live
from .shorter import shortened

# A large machine takes as long as a hundred of the others: it is for scripts/fuzz.
SMALL = [guest for guest in EVERY_GUEST if guest.profile not in {"hyperv-max", "azure-d64"}]
LIVES, STEPS = 14, 70
GUESTS = [*Random(11).sample(SMALL, LIVES - 1), Guest("azure-d64", "rfc")]


def test_random_requests_to_random_guests_break_nothing() -> None:
    answers: Counter[str] = Counter()
    for seed, guest in enumerate(GUESTS):
        answers += live(guest, seed, STEPS).answers
    assert answers.total() == LIVES * STEPS
    assert answers["taken"] > answers.total() / 2
    assert {"EINVAL", "ENODEV", "EBUSY", "ENOENT"} <= answers.keys()


def test_changed_profiles_are_refused_with_their_place_or_boot() -> None:
    outcomes = Counter(profile_input("hyperv-gen2", seed) for seed in range(60))
    assert min(outcomes["refused"], outcomes["booted"]) > 2, outcomes


def test_console_lines_are_taken_or_refused_with_their_place() -> None:
    counted = console_inputs(Guest("hyperv-gen2", "rfc"), 3, 300)
    assert min(counted.values()) > 20, counted


# It finds what is wrong ----------------------------------------------------------------------


def _miscount(irqs: IrqCore, desc: object, cpu: int, number: int = 1) -> None:
    desc.counted[cpu] = desc.counted.get(cpu, 0) + number
    desc.counted_in_all += number


def _leave_behind(modify: ModifyChannels, channel: object, cpu: int) -> None:
    channel.target_cpu = 99


def _raise(_irqs: IrqCore, *_arguments: object) -> None:
    raise KeyError("a mistake of ours")


@pytest.mark.parametrize(
    ("owner", "name", "instead"),
    [
        (IrqCore, "count", _miscount),
        (ModifyChannels, "_moved", _leave_behind),
        (IrqCore, "set_affinity", _raise),
    ],
)
def test_a_mistake_is_found_and_made_short(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, instead: object
) -> None:
    monkeypatch.setattr(owner, name, instead)
    guest = Guest("hyperv-gen2", "rfc")
    with pytest.raises(Failure, match=r"--kernel rfc --seed 1 --steps \d+\nfails") as found:
        live(guest, 1, 300)
    again = live_again(found.value)
    assert again == found.value.why
    assert len(shortened(found.value).life.requests) <= min(6, len(found.value.life.requests))


def live_again(failure: Failure) -> str:
    """What the life fails of that the printed command lives."""
    life = failure.life
    with pytest.raises(Failure) as found:
        live(life.guest, life.seed, len(life.requests))
    return found.value.why


# What it has found ---------------------------------------------------------------------------


def test_a_request_that_is_cancelled_twice_in_one_write_is_cancelled() -> None:
    """It was a KeyError: both lines are checked before the first is carried out."""
    machine = default_guest()
    assert write(machine, "/host/at", b"+5 proc/irq/39/smp_affinity_list 3") > 0
    assert write(machine, "/host/at", b"cancel 1\ncancel 1\n") == 18
    assert write(machine, "/host/at", b"cancel 1") == "EINVAL"


@pytest.mark.parametrize(
    "line",
    [
        b"9" * 5000 + b" proc/irq/39/smp_affinity 1",
        b"+1 " + b"x" * 5000 + b" 1",
        b"cancel " + b"1" * 5000,
        b"+1 read proc/stat " + b"x" * 5000,
    ],
)
def test_a_refusal_of_a_moment_is_not_as_long_as_the_line(line: bytes) -> None:
    machine = default_guest()
    assert write(machine, "/host/at", line) == "EINVAL"
    assert len(machine.kernel.log.records[-1].text) < 400


def test_traffic_on_an_interrupt_that_every_cpu_has_for_itself_is_refused() -> None:
    """It was a KeyError, and what came of the timer's counted on CPU -1."""
    machine = Machine(profiles.load("hyperv-arm64"), "manual")
    own = [desc.irq for desc in machine.kernel.irqs.descs.values() if not desc.effective]
    assert own
    for irq in own:
        assert write(machine, "/host/traffic", b"irq%d 1000 steady" % irq) == "EINVAL"
        assert "every CPU has its own" in machine.kernel.log.records[-1].text
