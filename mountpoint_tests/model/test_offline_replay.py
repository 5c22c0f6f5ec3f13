"""The recorded offlines (off-8cpu) step by step against the model, times aside.

The capture's rig did more than it recorded; what came of it is in its counters and states,
so that it can be done again here: see `Rig`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from fakeproc.timeline import MILLISECOND

from .captures import IRQ_FILES, READS, Row, rows
from .differences import Difference, Mismatch
from .guests import captured_guest, channel_path, once_a_version, read, text, write

pytestmark = pytest.mark.every_kernel

CAPTURE = "off-8cpu"
CPUS = "/sys/devices/system/cpu"
OFTEN = 1000  # for as long as the rig left a fault switched on

# Where the capture's host differs by what it was made of, and nowhere else --------------------


def _fires_at_a_cpu_that_is_off(it: Mismatch) -> bool:
    return it.row.kind == "host" and (it.recorded, it.ours) == ("ENXIO", None)


def _acts_on_what_it_refuses(it: Mismatch) -> bool:
    tagged = it.row.get("tag") or it.row.get("state")
    refused = tagged == "nack" or (tagged == "move" and "log" in it.row)
    return refused and it.field == "host target" and (it.recorded, it.ours) == (2, 1)


ARTEFACTS = (
    Difference(
        "an interrupt sent to a CPU that is off",
        "The capture's host is a module in the guest, which sends itself an IPI: ENXIO to a CPU"
        " that is off, the event flag being set all the same. Hyper-V has no such answer.",
        _fires_at_a_cpu_that_is_off,
    ),
    Difference(
        "a MODIFYCHANNEL that is refused",
        "The capture's host answers with a status and re-targets nonetheless. Ours refuses.",
        _acts_on_what_it_refuses,
    ),
)
# A third one is no difference in any answer: the capture's host keeps a single MODIFYCHANNEL
# in hand, and acts on it at once when the next one comes (of two that were delayed by 2 s,
# "sent 11 completed 10"). Ours keeps them all, so `Rig.write` lets the one before arrive.


# What happens to the guest ---------------------------------------------------------------------


class Rig:
    """The capture's rig: it reads its rows and does what they say."""

    def __init__(self) -> None:
        self.machine = captured_guest(CAPTURE)
        self.delay = 0
        self.refusals: list[str] = []  # what the thread that races got
        self._set_delay(0)
        self._forget()

    def replay(self, row: Row) -> Iterator[Mismatch]:
        for do in UNRECORDED.get(row.number, ()):
            do(self)
        self._forget()
        steps: dict[str, Callable[[Row], Iterator[Mismatch]]] = {
            "write": self._write,
            "state": self._state,
            "online": self._online,
            "param": self._param,
            "host": self._host,
            "hosts": self._hosts,
            "file": self._file,
            "interrupts": self._interrupts,
            "race": self._race,
        }
        if row.kind in steps:
            yield from steps[row.kind](row)

    # Steps

    def _write(self, row: Row) -> Iterator[Mismatch]:
        before = self.machine.kernel.vmbus.channels[row["relid"]].target_cpu
        self.arrive()
        yield from _compare(row, "cpu before", row["before"], before)
        yield from _compare(row, "write(2)", row.answer, self.do(row["write"], row.input))
        yield from self._channel(row)
        yield from self._said(row)

    def _state(self, row: Row) -> Iterator[Mismatch]:
        if row["state"].startswith("race"):
            self.arrive()
        yield from self._channel(row)

    def _online(self, row: Row) -> Iterator[Mismatch]:
        """A CPU goes or comes; where a thread of the rig's raced with it, so does `race`."""
        files = (f"{CPUS}/cpu{row['online']}/online", f"{CPUS}/online", f"{CPUS}/offline")
        race = "-race" in row["tag"] and row["tag"].startswith("offline")
        if race:
            race_with(self, row)
        yield from _compare(row, "write(2)", row.answer, self.do(files[0], row.input))
        for path, recorded in zip(files, row["reads"], strict=True):
            yield from _compare(row, path, recorded, _shown(read(self.machine, path)))
        yield from self._said(row)
        if row["completed"] > self.machine.kernel.vmbus.connection.modify_completed:
            self.arrive()  # it took the guest longer than the host
        if not race:
            yield from self._counters(row)

    def _param(self, row: Row) -> Iterator[Mismatch]:
        self.arrive()
        match row["param"], row["value"]:
            case "modch_delay_ms", value:
                self._set_delay(value * MILLISECOND)
            case _, 0:
                self._console("fault", "clear")
            case "modch_status", _:
                self._console("fault", f"modifychannel nak {OFTEN}")
            case "modch_drop", _:
                self._console("fault", f"modifychannel drop {OFTEN}")
            case "post_status", 5:
                self._console("fault", f"post einval {OFTEN}")
            case unknown:
                raise ValueError(unknown)
        yield from ()

    def _host(self, row: Row) -> Iterator[Mismatch]:
        kernel = self.machine.kernel
        match row["host"].split():
            case ["fire", relid, count]:
                self._console("interrupt", f"{relid} {count}")
            case ["ipi", cpu]:
                kernel.interrupt(int(cpu), {})
            case ["setbit", relid, cpu]:  # `fault pending` has no relid that is not mapped
                self.machine.host.faults.jam(int(cpu), int(relid))
            case ["clrbit", _, _]:
                self.machine.host.faults.clear()
            case unknown:
                raise ValueError(unknown)
        yield from _compare(row, "errno", row.get("errno"), None)

    def _hosts(self, row: Row) -> Iterator[Mismatch]:
        yield from self._counters(row)
        vmbus = self.machine.kernel.vmbus
        yield from _compare(row, "completed", row["completed"], vmbus.connection.modify_completed)
        for relid, target in row["targets"].items():
            ours = self.machine.host.relids.taken[int(relid)].target_vp
            yield from _compare(row, f"host target of {relid}", target, ours)

    def _file(self, row: Row) -> Iterator[Mismatch]:
        recorded = f"!{row['errno']}" if "errno" in row else row["text"]
        yield from _compare(row, "text", recorded, _shown(read(self.machine, row["file"])))

    def _interrupts(self, row: Row) -> Iterator[Mismatch]:
        """The columns, the rows of channels and HYP; the rest is QEMU's."""
        header, *table = text(self.machine, "/proc/interrupts").splitlines(keepends=True)
        ours = [header, *(at for at in table if " VMBus " in at or at.startswith("HYP:"))]
        yield from _compare(row, "text", row["text"], "".join(ours))

    def _race(self, row: Row) -> Iterator[Mismatch]:
        """What `race_with` began; the rig's thread moved the channel away at last."""
        last = self.refusals[-1] if self.refusals else "0"
        yield from _compare(row, "last errno", row["race"], last)
        self.arrive()
        vmbus = self.machine.kernel.vmbus
        if self.machine.kernel.cpus.is_online(5):
            self.move(19, 1)
        later = rows(CAPTURE)[row.number :]
        after = next(it for it in later if str(it.get("tag")).startswith("online-race"))
        while vmbus.connection.modify_sent < after["sent"]:  # a move goes somewhere and back
            self.move(19, 2)
            self.move(19, 1)

    # What a row says of the guest

    def _channel(self, row: Row) -> Iterator[Mismatch]:
        paths = [f"/proc/irq/{row['irq']}/{name}" for name in IRQ_FILES]
        paths.append(f"{channel_path(self.machine, row['relid'])}/cpu")
        for name, path in zip(READS, paths, strict=True):
            yield from _compare(row, name, row.reads[name], _shown(read(self.machine, path)))
        guest, host = row["targets"]
        channel = self.machine.kernel.vmbus.channels[row["relid"]]
        yield from _compare(row, "guest target", guest, channel.target_cpu)
        if not str(row.get("state")).startswith("race"):  # read with messages on their way
            ours = self.machine.host.relids.taken[row["relid"]].target_vp
            yield from _compare(row, "host target", host, ours)

    def _counters(self, row: Row) -> Iterator[Mismatch]:
        vmbus = self.machine.kernel.vmbus
        yield from _compare(row, "sent", row["sent"], vmbus.connection.modify_sent)
        synics = sum(1 << cpu for cpu in _cpus(row["synic_online"]))
        yield from _compare(row, "synics online", synics, vmbus.synic.online)

    def _said(self, row: Row) -> Iterator[Mismatch]:
        """Kernel log and uevents, since the step began."""
        kernel = self.machine.kernel
        said = [f"<{it.level}>{it.text}" for it in list(kernel.log.records)[self._logged :]]
        ours = [line for line in said if "fakeproc:" not in line]
        yield from _compare(row, "log", row.get("log") or [], ours)
        events = list(kernel.uevents.events)[self._reported :]
        ours = [f"{event.action}@{event.devpath}" for event in events]
        yield from _compare(row, "uevents", row.get("uevents") or [], ours)

    def _forget(self) -> None:
        self._logged = len(self.machine.kernel.log.records)
        self._reported = len(self.machine.kernel.uevents.events)

    # What the rig does

    def do(self, path: str, data: bytes) -> int | str:
        answer = write(self.machine, path, data)
        if not self.delay:
            self.machine.catch_up()
        return answer

    def arrive(self) -> None:
        """Let every MODIFYCHANNEL that is on its way be acted on and answered."""
        self.machine.advance(self.delay)

    def move(self, relid: int, cpu: int) -> None:
        path = f"{channel_path(self.machine, relid)}/cpu"
        assert self.do(path, b"%d\n" % cpu) == 2
        self.arrive()

    def evacuate(self, cpu: int) -> None:
        """Move all channels of a CPU to CPU 1."""
        for channel in list(self.machine.kernel.vmbus.channels.values()):
            if channel.target_cpu == cpu:
                self.move(channel.relid, 1)

    def _set_delay(self, delay: int) -> None:
        self.delay = delay
        self._console("latency", f"ack {delay / 1e9}")

    def _console(self, name: str, command: str) -> None:
        assert write(self.machine, f"/host/{name}", command.encode()) == len(command)


def race_with(rig: Rig, row: Row) -> None:
    """A thread keeps moving relid 19 to CPU 5 and back, while CPU 5 goes: with the same outcome.

    Which of the two comes first was a matter of luck; recorded is who won. EBUSY: the channel
    was on CPU 5 when hv_synic_cleanup() looked. Success: it was elsewhere, and from then on the
    thread got EINVAL, while CPU 5 was still online.
    """
    busy = row.answer == "EBUSY"
    rig.move(19, 2)
    rig.move(19, 1)
    rig.do(f"{channel_path(rig.machine, 19)}/cpu", b"5\n")
    if not busy:
        rig.do(f"{channel_path(rig.machine, 19)}/cpu", b"1\n")
    rig.refusals = []

    def again() -> None:
        path = "/proc/irq/39/smp_affinity_list"
        answer = write(rig.machine, path, b"5\n")
        if isinstance(answer, str):
            assert text(rig.machine, f"{CPUS}/cpu5/online") == "1\n", "not going any more, but gone"
            rig.refusals.append(answer)

    if not busy:
        for at in (0, 1, 2, 4):
            rig.machine.timeline.after(at * MILLISECOND + 1, again)  # once it has begun


# By the number of the row that it comes before.
UNRECORDED: dict[int, tuple[Callable[[Rig], None], ...]] = {
    38: (lambda rig: rig.evacuate(5),),
    147: (lambda rig: rig.evacuate(0),),
    151: (lambda rig: rig.evacuate(2),),
    152: (lambda rig: rig.evacuate(3),),
    153: (lambda rig: rig.evacuate(4),),
    154: (lambda rig: rig.evacuate(5),),
    155: (lambda rig: rig.evacuate(6),),
    156: (lambda rig: rig.evacuate(7),),
    208: (lambda rig: rig.move(19, 5), lambda rig: rig.move(19, 1)),
}


def _shown(got: bytes | str) -> str:
    return f"!{got}" if isinstance(got, str) else got.decode()


def _cpus(ranges: str) -> Iterator[int]:
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _compare(row: Row, field: str, recorded: object, ours: object) -> Iterator[Mismatch]:
    if recorded != ours:
        yield Mismatch(row, field, recorded, ours)


@once_a_version
def replayed() -> tuple[tuple[Row, tuple[Mismatch, ...]], ...]:
    rig = Rig()
    return tuple((row, tuple(rig.replay(row))) for row in rows(CAPTURE))


def sections() -> dict[str, list[tuple[Row, tuple[Mismatch, ...]]]]:
    found: dict[str, list[tuple[Row, tuple[Mismatch, ...]]]] = {}
    name = ""
    for row, mismatches in replayed():
        if row.kind == "section":
            name = row["section"]
        found.setdefault(name, []).append((row, mismatches))
    return found


SECTIONS = [row["section"] for row in rows(CAPTURE) if row.kind == "section"]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_step_as_recorded(section) -> None:
    mismatches = [it for _, found in sections()[section] for it in found]
    assert [str(it) for it in mismatches if not any(a.excuses(it) for a in ARTEFACTS)] == []


def test_no_step_is_left_out() -> None:
    steps = Counter(row.kind for row, _ in replayed())
    assert {kind: steps[kind] for kind in ("online", "write", "state", "race", "interrupts")} == {
        "online": 99,
        "write": 25,
        "state": 102,
        "race": 13,
        "interrupts": 4,
    }


@pytest.mark.parametrize(
    ("name", "times"),
    [("an interrupt sent to a CPU that is off", 1), ("a MODIFYCHANNEL that is refused", 2)],
)
def test_artefacts_are_needed(name, times) -> None:
    (artefact,) = (it for it in ARTEFACTS if it.name == name)
    mismatches = [it for _, found in replayed() for it in found]
    assert sum(map(artefact.excuses, mismatches)) == times


# The races, whose course was a matter of luck


def races() -> Iterator[tuple[Row, Row, Row]]:
    """How the CPU fared, how the thread fared, and where the channel was then."""
    found = rows(CAPTURE)
    for at, row in enumerate(found):
        if row.kind == "race":
            yield found[at - 1], row, found[at + 1]


def test_recorded_races_never_leave_a_channel_on_a_cpu_that_is_gone() -> None:
    for offline, thread, state in races():
        went = offline.answer != "EBUSY"
        assert (offline["reads"][0] == "0\n") == went, str(offline)
        assert (thread["einval"] > 0) == went, str(thread)
        assert (thread["race"] == "EINVAL") == went, str(thread)
        assert thread["other"] == 0, str(thread)
        assert state["targets"][0] == 1, str(state)
