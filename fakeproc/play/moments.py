"""The steps of a scenario in the order of their moments, repetitions made explicit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fakeproc.play.names import PlayError
from fakeproc.play.schema import MAX_STEPS
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from fakeproc.play.schema import Scenario, Step

__all__ = ["Moment", "in_time"]


class Moment(NamedTuple):
    """One step at one moment: `instant` is in ns since the scenario began."""

    instant: int
    order: int
    number: str  # "3", or "3.2" for a step within a step
    step: Step


def in_time(scenario: Scenario) -> list[Moment]:
    """All steps by their moments; those of one moment as they stand in the file.

    Raises PlayError where repetitions make too many of them.
    """
    moments: list[Moment] = []
    _place(scenario.steps, 0, "", moments)
    return sorted(moments, key=lambda moment: (moment.instant, moment.order))


def _place(steps: tuple[Step, ...], begin: int, prefix: str, moments: list[Moment]) -> None:
    now = begin
    for place, step in enumerate(steps, start=1):
        number = f"{prefix}{place}"
        now = begin + _ns(step.at) if step.at is not None else now + _ns(step.after or 0)
        for repetition in range(step.times):
            instant = now + repetition * _ns(step.every or 0)
            if step.steps:
                _place(step.steps, instant, f"{number}.", moments)
                continue
            if len(moments) >= MAX_STEPS:
                raise PlayError(f"the scenario has more than {MAX_STEPS} steps to make")
            moments.append(Moment(instant, len(moments), number, step))


def _ns(seconds: float) -> int:
    return round(seconds * SECOND)
