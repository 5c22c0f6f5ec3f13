"""What is kept of the past: in bounds, whatever somebody writes and however long."""

from __future__ import annotations

import gc

import pytest

from fakeproc.access_record import Access, AccessRecord
from fakeproc.agenda import MOST_DATA
from fakeproc.guest.log import AVERAGE, LOG_BUF_LEN, RECORD_MAX, KernelLog
from fakeproc.history import History
from fakeproc.journal import MOST_BYTES, Journal
from fakeproc.timeline import SECOND, Clock, Timeline
from model.guests import default_guest, write


@pytest.mark.parametrize(
    ("most", "most_bytes", "kept", "lost"),
    [
        (10, 100, ["a", "bb", "ccc"], 0),
        (2, 100, ["bb", "ccc"], 1),
        (10, 5, ["bb", "ccc"], 1),
        (10, 4, ["ccc"], 2),
        (10, 1, ["ccc"], 2),  # the latest stays, however long it is
    ],
)
def test_the_oldest_go_first(most, most_bytes, kept, lost) -> None:
    history: History[str] = History(most, most_bytes, len)
    for text in ("a", "bb", "ccc"):
        history.append(text)
    assert [*history] == kept
    assert (len(history), history[-1], history[0:], history.lost) == (len(kept), "ccc", kept, lost)
    history.clear()
    assert ([*history], history.lost) == ([], 0)


def test_one_that_grows_makes_room_for_itself() -> None:
    history: History[list[int]] = History(10, 6, len)
    for number in range(3):
        history.append([number])
    history[2].extend([2, 2, 2, 2])
    history.has_changed(history[2])
    assert [*history] == [[1], [2] * 5]
    history.has_changed([7])  # not kept
    history.append([3])
    assert [*history] == [[2] * 5, [3]]


def test_the_log_is_as_long_as_printks_ring() -> None:
    log = KernelLog(Timeline(Clock(manual=True)))
    for _ in range(LOG_BUF_LEN // AVERAGE + 5):
        log.say("short")
    assert len(log.records) == LOG_BUF_LEN // AVERAGE
    for _ in range(LOG_BUF_LEN // RECORD_MAX + 5):
        log.say("x" * 5000)
    assert len(log.records) == LOG_BUF_LEN // RECORD_MAX


def test_a_journal_of_long_writes_is_no_longer_than_one_of_short_ones() -> None:
    journal, size = Journal(), MOST_BYTES // 8
    for number in range(20):
        with journal.entry(0, (1, "sh"), "write", "/proc/stat", bytes(size)) as entry:
            entry.result = number
    assert [entry.result for entry in journal.entries] == list(range(13, 20))
    assert journal.missing == "only the last 7 are kept"


def test_what_a_planned_read_finds_counts_as_well() -> None:
    journal = Journal()
    for number in range(20):
        with journal.entry(0, (0, "at"), "read", "/proc/stat", b"") as entry:
            entry.data, entry.result = bytes(MOST_BYTES // 8), number
    assert [entry.result for entry in journal.entries] == list(range(13, 20))


def test_a_record_of_accesses_says_how_many_it_has_lost() -> None:
    record = AccessRecord()
    for number in range(5):
        record.note(Access(number, 1, "sh", "write", "/proc/stat", data=bytes(5 << 20)))
    assert ([access.time_s for access in record.accesses], record.lost) == ([2, 3, 4], 2)


# What is planned -----------------------------------------------------------------------------


def test_a_planned_request_has_a_page_of_data() -> None:
    machine, path = default_guest(), "proc/irq/39/smp_affinity"
    longest = MOST_DATA - len(f"/{path}\n")
    assert write(machine, "/host/at", f"+1 {path} {'1' * longest}".encode()) > longest
    assert write(machine, "/host/at", f"+1 {path} {'1' * (longest + 1)}".encode()) == "EINVAL"
    assert "at most 4096 bytes" in machine.kernel.log.records[-1].text


@pytest.mark.parametrize("last", ["clear", "cancel"])
def test_requests_that_are_planned_and_cancelled_leave_nothing(last) -> None:
    machine = default_guest()
    agenda, timeline = machine.agenda, machine.timeline
    objects = len(gc.get_objects())
    for _ in range(3000):
        number = agenda.plan(timeline.now + 1000 * SECOND, "read", "/proc/stat", b"").number
        if last == "clear":
            agenda.clear()
        else:
            agenda.cancel(number)
    gc.collect()
    assert len(gc.get_objects()) < objects + 1000
    machine.advance(2000 * SECOND)
    assert not agenda.done


def test_events_keep_their_order_when_others_are_cancelled() -> None:
    timeline, done = Timeline(Clock(manual=True)), []
    for number in range(500):
        timeline.after(500 - number, lambda number=number: done.append(number))
        timeline.cancel(timeline.after(1000 * SECOND, lambda: done.append(-1)))
    timeline.run_to(2000 * SECOND)
    assert done == list(range(499, -1, -1))
