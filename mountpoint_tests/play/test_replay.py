"""The journal: whatever was done to a machine, played again, gives the same machine."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest
from model.test_determinism import inputs

import fakeproc
from fakeproc import profiles
from fakeproc.journal import JournalError, Saved
from fakeproc.play.replay import play_again

from . import sessions

WATCHED = (
    "/host/state.json",
    "/proc/interrupts",
    "/proc/stat",
    "/proc/softirqs",
    "/host/log",
    "/host/uevents",
)


def texts(machine: fakeproc.Machine) -> dict[str, str]:
    return {path: machine.read(path) for path in WATCHED}


def session(seed: int, number: int) -> fakeproc.Machine:
    """A machine to which all kinds of things were done, some of them in the middle of others."""
    machine, random = fakeproc.Machine(seed=seed), Random(seed)
    for path, data, pause in inputs(seed, number):
        if random.random() < 0.2:
            moment = random.choice(("0", "0.001", "0.05", "3"))
            _write(machine, "/host/at", f"+{moment} {path} {data.decode()}")
        _write(machine, path, data.decode())
        machine.advance(pause / 1e9)
    return machine


def _write(machine: fakeproc.Machine, path: str, data: str) -> None:
    with suppress(OSError):  # the journal has it
        machine.write(path, data)


@pytest.mark.parametrize("seed", range(8))
def test_a_random_session_played_again_is_the_same_machine(seed: int) -> None:
    machine = session(seed, 250)
    saved = Saved.parse(machine.read("/host/journal"))
    played = play_again(saved)
    assert [str(each) for each in played.differences] == []
    assert texts(machine) == {path: played.files.read(path).decode() for path in WATCHED}
    assert len(saved.journal.entries) > 250


def test_a_machine_saved_in_the_middle_and_continued_ends_the_same() -> None:
    whole = fakeproc.Machine(seed=5)
    steps = inputs(5, 100)
    half = None
    for at, (path, data, pause) in enumerate(steps):
        if at == 50:
            half = play_again(Saved.parse(whole.read("/host/journal")))
        _write(whole, path, data.decode())
        whole.advance(pause / 1e9)
        if half is not None:
            with suppress(OSError):
                half.files.write(path, data)
            half.machine.advance(round(pause))
    assert half is not None
    assert texts(whole) == {path: half.files.read(path).decode() for path in WATCHED}


@pytest.mark.parametrize("seed", [0, 3])
def test_a_session_of_several_processes_on_a_mount_is_the_same_played_again(seed: int) -> None:
    """Also looked at and continued as it goes on; `sessions.py` plays longer ones."""
    assert sessions.check(seed, 100, 50) is None


def test_a_difference_is_seen(monkeypatch) -> None:
    """The comparison above would see a machine that is another."""
    monkeypatch.setattr(sessions, "play_again", lambda saved: play_again(_other(saved)))
    assert sessions.check(1, 20, 10) is not None


def _other(saved: Saved) -> Saved:
    return saved._replace(header=saved.header._replace(boot_time=1))


def test_a_different_machine_is_told_by_its_results() -> None:
    machine = fakeproc.Machine()
    machine.write("/proc/irq/39/smp_affinity_list", "3")
    saved = Saved.parse(machine.read("/host/journal"))
    played = play_again(saved, profiles.load("hyperv-gen1"))
    assert [str(each) for each in played.differences] == [
        "entry 1, write /proc/irq/39/smp_affinity_list '3': 1, now not made"
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace("# fakeproc", "# other", 1), "line 1: not a journal"),
        (lambda text: text.replace("{", "", 1), "line 2: not the header"),
        (lambda text: text.replace("\twrite\t", "\twipe\t"), "line 3: not an entry"),
        (lambda text: text[: text.rindex("# now")], "cut short"),
    ],
)
def test_a_damaged_journal_is_a_sentence(change, why: str) -> None:
    machine = fakeproc.Machine()
    machine.write("/proc/irq/39/smp_affinity_list", "3")
    with pytest.raises(JournalError, match=f"^j.*{why}"):
        Saved.parse(change(machine.read("/host/journal")), "j")


def test_a_journal_that_does_not_begin_at_the_boot_is_not_played() -> None:
    machine = fakeproc.Machine()
    machine.write("/proc/irq/39/smp_affinity_list", "3")
    machine.write("/host/journal", "clear")
    with pytest.raises(JournalError, match="it was cleared"):
        play_again(Saved.parse(machine.read("/host/journal")))
