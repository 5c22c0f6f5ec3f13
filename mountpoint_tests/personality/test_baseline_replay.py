"""The recorded run of the kernel without the series (baseline-8cpu), on a guest with 6.12.

What the files answer to each write, what counts on HYP, what offlining says, and the trees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import chain

import pytest
from model.captures import Row, of_kind, rows
from model.differences import Mismatch, nodes, unexplained
from model.guests import captured_profile, interrupt_rows, node_at, read, text, write
from model.replay import _node as compare_node
from model.replay import close, open_channel

from fakeproc.machine import Machine
from fakeproc.profiles.kernels import with_kernel
from fakeproc.profiles.schema import Profile
from fakeproc.timeline import MILLISECOND, SECOND

from .kernels import HEARTBEAT, console, counts, cpu_file, elapsed, set_cpu

CAPTURE = "baseline-8cpu"

# What differs by intent beyond `model/differences.py`, and why.
MEANT = {
    "instances of devices that only Windows has a driver for are the host's to choose": nodes(
        r"/sys/bus/vmbus/devices(/3375baf4\S*|/f5bee29c\S*)? (type|4487b255\S*|f5bee29c\S*)"
    ),
    "the capture's drivers never signal the host": nodes(".*/channels/7/events text"),
}


def profile() -> Profile:
    """The guest of the captures, on the kernel that it is compared with."""
    return with_kernel(captured_profile("boot-8cpu"), "6.12")


@dataclass
class Replay:
    """One guest that does what was recorded, row by row."""

    machine: Machine = field(default_factory=lambda: Machine(profile(), "manual"))
    section: str = ""
    nak: bool = False

    def play(self, row: Row) -> Iterator[Mismatch]:
        match row.kind:
            case "section":
                self.section = row["section"]
            case "state":
                yield from self._compare(row, "cpu", row["reads"], self._cpu(row["relid"]))
            case "write":
                yield from self._write(row)
            case "online":
                yield from self._online(row)
            case "host":
                self._host(row["host"])
            case "param":
                self._param(row["param"], row["value"])
            case "bindop":
                path = row["bindop"]
                answer = write(self.machine, path, row["input"].encode())
                self.machine.advance(SECOND)
                yield from self._compare(row, "write(2)", row.answer, answer)
            case "file":
                yield from self._compare(row, "text", row["text"], read(self.machine, row["file"]))
            case "node":
                yield from compare_node(self.machine, row)
            case "interrupts":
                hyp = row.get("HYP")
                if hyp is not None:
                    yield from self._compare(row, "HYP", hyp, counts(self.machine, "HYP"))

    @staticmethod
    def _compare(row: Row, what: str, recorded: object, ours: object) -> Iterator[Mismatch]:
        ours = ours.decode("latin-1") if isinstance(ours, bytes) else ours
        if recorded != ours:
            yield Mismatch(row, what, recorded, ours)

    def _cpu(self, relid: int) -> str:
        return text(self.machine, cpu_file(self.machine, relid))

    def _write(self, row: Row) -> Iterator[Mismatch]:
        if self.section.startswith("cpu table"):
            # Each row begins on CPU 2, and comes there from CPU 3: the recorder did that without
            # recording it, and the host's answers have counted on HYP.
            for cpu in "32":
                assert set_cpu(self.machine, row["relid"], cpu) == 1
        if self.nak:
            console(self.machine, "fault", "modifychannel nak")
        before = self.machine.timeline.now
        answer = write(self.machine, row["write"], row.input)
        if row["tag"] == "cpu-delay200":
            yield from self._compare(row, "ms", 200, elapsed(self.machine, before))
        self.machine.advance(4 * MILLISECOND)
        yield from self._compare(row, "write(2)", row.answer, answer)
        yield from self._compare(row, "cpu", row["reads"], self._cpu(row["relid"]))

    def _online(self, row: Row) -> Iterator[Mismatch]:
        cpus = "/sys/devices/system/cpu"
        paths = (f"{cpus}/cpu{row['online']}/online", f"{cpus}/online", f"{cpus}/offline")
        log, events = self.machine.kernel.log.records, self.machine.kernel.uevents.events
        since, sent = len(log), len(events)
        answer = write(self.machine, paths[0], row.input)
        yield from self._compare(row, "write(2)", row.answer, answer)
        for path, recorded in zip(paths, row["reads"], strict=True):
            yield from self._compare(row, path, recorded, read(self.machine, path))
        said = [each.text for each in list(log)[since:] if not each.text.startswith("fakeproc: ")]
        yield from self._compare(row, "log", row["log"], said)
        shown = [[e.action, e.devpath, e.subsystem] for e in list(events)[sent:]]
        yield from self._compare(row, "uevents", row["uevents"], shown)

    def _host(self, command: str) -> None:
        verb, *words = command.split()
        match verb:
            case "fire":
                console(self.machine, "interrupt", " ".join(words))
            case "msg":
                console(self.machine, "interrupt", f"message {words[0]}")
            case "setbit":
                self.machine.host.faults.jam(int(words[1]), int(words[0]))
            case "clrbit":
                self.machine.host.faults.clear()
            case "close":
                close(self.machine, int(words[0]))
            case "open":
                assert open_channel(self.machine, int(words[0])) is None
            case _:
                raise AssertionError(command)

    def _param(self, name: str, value: str) -> None:
        if name == "modch_status":
            self.nak = value != "0"
        else:
            console(self.machine, "latency", f"ack {int(value) / 1000 or 0.0003:g}")


@cache
def replayed() -> tuple[tuple[Row, tuple[Mismatch, ...]], ...]:
    replay = Replay()
    return tuple((row, tuple(replay.play(row))) for row in rows(CAPTURE))


# How many rows of each kind are compared.
COMPARED = {
    "state": 24,
    "write": 145,
    "online": 17,
    "bindop": 4,
    "file": 2,
    "node": 298,
    "interrupts": 4,
}


@pytest.mark.parametrize("kind", COMPARED)
def test_every_answer_is_as_recorded(kind: str) -> None:
    answers = [each for row, each in replayed() if row.kind == kind]
    assert len(answers) == COMPARED[kind]
    differing = [
        each for each in chain(*answers) if not any(excuses(each) for excuses in MEANT.values())
    ]
    lines = unexplained(differing, "as posted")
    assert not lines, "\n".join(lines)


def test_every_difference_that_is_meant_is_still_there() -> None:
    found = list(chain.from_iterable(each for _, each in replayed()))
    met = {reason for reason, excuses in MEANT.items() if any(map(excuses, found))}
    assert met == MEANT.keys()


def test_every_row_is_compared_or_no_answer() -> None:
    kinds = Counter(row.kind for row in rows(CAPTURE))
    assert kinds.keys() - COMPARED.keys() == {
        "kernel", "section", "readdir", "tree", "host", "param", "shell",
    }  # fmt: skip


def test_proc_irq_has_no_channel() -> None:
    machine = Machine(profile(), "manual")
    recorded = {row["readdir"]: row["names"] for row in of_kind(CAPTURE, "readdir")}
    assert not [name for name in recorded["/proc/irq"] if name.isdigit() and int(name) > 15]
    ours = [name for name, _ in node_at(machine, "/proc/irq").children()]
    assert ours == ["8", "9", "default_smp_affinity"]


def test_no_row_of_the_table_is_a_channel() -> None:
    (boot,) = (row for row in of_kind(CAPTURE, "interrupts") if row["interrupts"] == "boot")
    recorded = interrupt_rows(boot["text"])
    ours = interrupt_rows(text(Machine(profile(), "manual"), "/proc/interrupts"))
    assert not [row for row in (*recorded.values(), *ours.values()) if row.chip == "VMBus"]
    assert list(ours) == [label for label in recorded if label not in {"0", "3", "4"}]
    # 1 version, 15 offers, 1 end of offers, 9 sub-channels, 21 GPADLs and 21 opens.
    assert ours["HYP"].counts == recorded["HYP"].counts


def test_what_the_shells_recorded_is_no_surprise() -> None:
    """`echo 4 > cpu` ends, and says nothing; what is refused is said."""
    for row in of_kind(CAPTURE, "shell"):
        assert row["ends"]
        assert row["out"].endswith("rc=0\n" if row["shell"] == "echo-cpu-success" else "rc=1\n")
    assert len(of_kind(CAPTURE, "shell")) == 6


def test_the_cpu_that_was_chosen_survives_unbind_and_bind() -> None:
    """The gap of the series as posted is not Linux's: here binding again works."""
    (row,) = (r for r in of_kind(CAPTURE, "file") if HEARTBEAT in r["file"] and "/cpu" in r["file"])
    assert row["text"] == "4\n"
