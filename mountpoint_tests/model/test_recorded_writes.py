"""Every write that the real code was asked, asked again: return value, errno and read-back."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest

from .differences import KNOWN, known, unexplained
from .guests import FCOPY
from .replay import replayed

pytestmark = pytest.mark.every_kernel

# How many writes each capture has: none is lost in silence.
WRITES = {
    "wt-8cpu": 924,
    "wtoff-8cpu": 46,
    "closed-8cpu": 34,
    "default-8cpu": 10,
    "small-2cpu": 6,
    "small-8cpu-2numa": 6,
    "lowver-8cpu": 36,
    "isol-8cpu": 14,
    "fdops-8cpu": 11,
}
# And what else it asks between them: states of channels, files, CPUs, the host.
BETWEEN = {
    "wt-8cpu": 0,
    "wtoff-8cpu": 18,
    "closed-8cpu": 16,
    "default-8cpu": 35,
    "small-2cpu": 29,
    "small-8cpu-2numa": 29,
    "lowver-8cpu": 39,
    "isol-8cpu": 28,
    "fdops-8cpu": 12,
}
ASKED_BETWEEN = {"state", "file", "online", "host"}


# What the default guest has of the series, and the series to the letter.
SERIES = ("as meant", "as posted")


@pytest.mark.differs("6.1", FCOPY, capture="default-8cpu")
@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("capture", WRITES)
def test_every_write_is_answered_and_read_back_as_recorded(capture, series):
    answers = [each for row, each in replayed(capture, series) if row.kind == "write"]
    assert len(answers) == WRITES[capture]
    differing = unexplained(chain(*answers), series)
    assert not differing, "\n".join(differing)


@pytest.mark.differs("6.1", FCOPY, capture="default-8cpu")
@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("capture", BETWEEN)
def test_everything_between_the_writes_is_as_recorded(capture, series):
    answers = [each for row, each in replayed(capture, series) if row.kind in ASKED_BETWEEN]
    assert len(answers) == BETWEEN[capture]
    differing = unexplained(chain(*answers), series)
    assert not differing, "\n".join(differing)


def test_there_are_1087_recorded_writes():
    assert sum(WRITES.values()) == 1087


@pytest.mark.differs("6.1", FCOPY)
def test_every_difference_from_the_captures_is_still_there():
    met = Counter(
        difference.name
        for capture in (*WRITES, "boot-8cpu")
        for _, mismatches in replayed(capture)
        for mismatch in mismatches
        if (difference := known(mismatch)) is not None
    )
    assert met.keys() == {difference.name for difference in KNOWN}
    # Every successful store to `cpu`, and no other write, returns what was not recorded.
    assert met["a store to `cpu` returns the count"] == 127
    assert met["a closed channel can be opened again"] == 3
