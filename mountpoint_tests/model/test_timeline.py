"""Machine time: the order of events, and kernel code that sleeps."""

from __future__ import annotations

from errno import ETIMEDOUT

import pytest

from fakeproc.locking import Mutex
from fakeproc.timeline import MILLISECOND, SECOND, Clock, Completion, HungTaskError, Timeline


@pytest.fixture
def timeline() -> Timeline:
    return Timeline(Clock(manual=True))


def wait_for(completion):
    yield completion


def test_events_happen_by_time_and_at_one_instant_in_the_order_they_were_planned(timeline):
    done = []
    for name, delay in (("c", 30), ("a", 10), ("b1", 20), ("b2", 20), ("b3", 20)):
        timeline.after(delay, lambda name=name: done.append((name, timeline.now)))
    timeline.clock.forward_to(25)
    timeline.catch_up()
    assert done == [("a", 10), ("b1", 20), ("b2", 20), ("b3", 20)]
    assert timeline.now == 25
    timeline.clock.forward_to(100)
    timeline.catch_up()
    assert done[-1] == ("c", 30)


def test_an_event_planned_by_an_event_happens_in_the_same_run(timeline):
    done = []

    def first() -> None:
        timeline.after(0, lambda: done.append(("at once", timeline.now)))
        timeline.after(5, lambda: done.append(("later", timeline.now)))
        timeline.after(95, lambda: done.append(("too late", timeline.now)))

    timeline.after(10, first)
    timeline.clock.forward_to(100)
    timeline.catch_up()
    assert done == [("at once", 10), ("later", 15)]


def test_a_delay_is_counted_from_how_far_the_machine_has_run(timeline):
    """The clock may be ahead of it."""
    done = []
    timeline.clock.forward_to(1000)
    timeline.after(10, lambda: done.append(timeline.now))
    timeline.catch_up()
    assert done == [10]
    assert timeline.now == 1000


def test_settle_runs_to_the_last_event_and_moves_the_clock(timeline):
    timeline.after(3 * SECOND, lambda: timeline.after(SECOND, lambda: None))
    timeline.settle()
    assert timeline.now == timeline.clock.now() == 4 * SECOND


# Completions -------------------------------------------------------------------------------------


def test_a_completion_wakes_all_who_wait_in_their_order_and_those_who_come_late():
    completion: Completion[int] = Completion()
    woken = []
    completion.then(lambda: woken.append("first"))
    completion.then(lambda: woken.append("second"))
    assert (completion.done, woken) == (False, [])
    completion.complete(5)
    assert woken == ["first", "second"]
    completion.then(lambda: woken.append("late"))
    assert woken == ["first", "second", "late"]
    assert completion.result() == 5


def test_only_the_first_word_counts():
    completion: Completion[int] = Completion()
    completion.fail(OSError(5, "no"))
    completion.complete(1)
    completion.fail(ValueError())
    with pytest.raises(OSError, match="no"):
        completion.result()


# Sleepers ----------------------------------------------------------------------------------------


def test_finish_moves_time_as_far_as_the_code_sleeps_and_runs_what_is_due_meanwhile(timeline):
    done = []
    timeline.after(15, lambda: done.append(("event", timeline.now)))
    timeline.after(25, lambda: done.append(("never", timeline.now)))

    def sleeper():
        yield 10
        done.append(("woken", timeline.now))
        yield 10
        return "value"

    assert timeline.finish(sleeper()) == "value"
    assert done == [("woken", 10), ("event", 15)]
    assert timeline.now == timeline.clock.now() == 20


def test_finish_of_code_that_does_not_sleep_moves_nothing(timeline):
    def sleeper():
        return 7
        yield

    assert timeline.finish(sleeper()) == 7
    assert timeline.now == 0


def test_code_that_nobody_wakes_is_a_hung_task(timeline):
    """A real one would wait for ever: two minutes, a line in the log, and ETIMEDOUT."""
    said = []
    timeline.on_hung = lambda: said.append(timeline.now)
    timeline.after(SECOND, lambda: None)
    with pytest.raises(HungTaskError) as hung:
        timeline.finish(wait_for(Completion()))
    assert hung.value.errno == ETIMEDOUT
    assert (said, timeline.now, timeline.clock.now()) == (
        [120 * SECOND],
        120 * SECOND,
        120 * SECOND,
    )


def test_a_hung_task_waits_for_no_event_that_is_far_away(timeline):
    timeline.after(1000 * SECOND, lambda: None)
    with pytest.raises(HungTaskError):
        timeline.finish(wait_for(Completion()))
    assert timeline.now == 120 * SECOND


def test_a_long_sleep_is_no_hung_task(timeline):
    def sleeper():
        yield 500 * SECOND

    timeline.finish(sleeper())
    assert timeline.now == 500 * SECOND


def test_a_hung_task_cleans_up_and_a_late_answer_wakes_nobody(timeline):
    answer: Completion[object] = Completion()
    done = []

    def sleeper():
        try:
            yield answer
        finally:
            yield MILLISECOND
            done.append(timeline.now)

    with pytest.raises(HungTaskError):
        timeline.finish(sleeper())
    answer.complete(None)
    assert done == [120 * SECOND + MILLISECOND]


# Events that fail --------------------------------------------------------------------------------


def test_an_event_that_fails_hurts_no_other(timeline):
    failed: list[Exception] = []
    done = []
    timeline.on_failure = failed.append
    timeline.after(10, lambda: 1 // 0)
    timeline.after(10, lambda: done.append(timeline.now))
    timeline.clock.forward_to(100)
    timeline.catch_up()
    assert done == [10]
    assert [type(error) for error in failed] == [ZeroDivisionError]


def test_background_code_that_fails_by_mistake_is_reported_and_an_errno_is_not(timeline):
    failed: list[Exception] = []
    timeline.on_failure = failed.append

    def sleeper(error):
        yield 10
        raise error

    timeline.start(sleeper(KeyError("relid")))
    timeline.start(sleeper(OSError(5, "input")))
    timeline.clock.forward_to(100)
    timeline.catch_up()
    assert [str(error) for error in failed] == ["'relid'"]


def test_a_mistake_in_the_code_that_a_write_waits_for_reaches_the_writer(timeline):
    def sleeper():
        yield 10
        raise KeyError("relid")

    with pytest.raises(KeyError):
        timeline.finish(sleeper())


def test_finish_hands_on_what_the_code_raises(timeline):
    def sleeper():
        yield MILLISECOND
        raise OSError(16, "busy")

    with pytest.raises(OSError, match="busy"):
        timeline.finish(sleeper())
    assert timeline.clock.now() == MILLISECOND


def test_an_answer_and_an_error_reach_the_code_that_waits(timeline):
    answer: Completion[object] = Completion()
    failure: Completion[object] = Completion()
    timeline.after(10, lambda: answer.complete("yes"))
    timeline.after(20, lambda: failure.fail(OSError(11, "again")))

    def sleeper():
        first = yield answer
        try:
            yield failure
        except OSError as error:
            return first, error.errno, timeline.now

    assert timeline.finish(sleeper()) == ("yes", 11, 20)


def test_started_code_runs_to_its_first_sleep_and_goes_on_as_time_does(timeline):
    done = []

    def sleeper():
        done.append("begun")
        yield 10
        done.append("over")
        raise OSError(5, "input")

    finished = timeline.start(sleeper())
    assert (done, finished.done) == (["begun"], False)
    timeline.clock.forward_to(10)
    timeline.catch_up()
    assert (done, finished.done) == (["begun", "over"], True)
    with pytest.raises(OSError, match="input"):
        finished.result()


# The mutex ---------------------------------------------------------------------------------------


def test_a_mutex_lets_one_in_at_a_time_first_come_first_served(timeline):
    mutex, log = Mutex(), []

    def worker(name: str, hold: int):
        yield from mutex.acquire()
        log.append((name, "in", timeline.now))
        yield hold
        log.append((name, "out", timeline.now))
        mutex.release()

    for name in "abc":
        timeline.start(worker(name, 10))
    timeline.settle()
    assert log == [
        (name, way, at)
        for start, name in enumerate("abc")
        for way, at in (("in", 10 * start), ("out", 10 * start + 10))
    ]


def test_a_mutex_given_back_is_free(timeline):
    mutex = Mutex()

    def worker():
        yield from mutex.acquire()
        mutex.release()

    timeline.finish(worker())
    timeline.finish(worker())
    assert timeline.now == 0


def test_who_comes_while_the_next_one_is_woken_does_not_overtake(timeline):
    """`release` hands the mutex on: it is not free in between."""
    mutex, log = Mutex(), []

    def holder():
        yield from mutex.acquire()
        yield 10
        mutex.release()
        timeline.start(worker("late"))

    def worker(name: str):
        yield from mutex.acquire()
        log.append(name)
        yield 10
        mutex.release()

    timeline.start(holder())
    timeline.start(worker("waiting"))
    timeline.settle()
    assert log == ["waiting", "late"]


def test_one_who_gives_up_waiting_for_a_mutex_is_passed_over(timeline):
    mutex = Mutex()
    done = []

    def holder():
        with (yield from mutex.acquire()):
            yield 200 * SECOND
        done.append("holder")

    def waiter():
        with (yield from mutex.acquire()):
            done.append("waiter")

    timeline.start(holder())
    with pytest.raises(HungTaskError):
        timeline.finish(waiter())
    timeline.start(waiter())
    timeline.settle()
    assert done == ["waiter", "holder"]


def test_a_mutex_is_released_whatever_is_raised_inside(timeline):
    mutex = Mutex()

    def fails():
        with (yield from mutex.acquire()):
            yield 1
            raise OSError(5, "input")

    for _ in range(2):
        with pytest.raises(OSError, match="input"):
            timeline.finish(fails())
