"""Playing a scenario: every write at its moment, every expectation checked.

Writes are planned with `host/at`, so that a write falls into the middle of
another one that takes machine time where their moments say so.  Between them
the player moves the clock to the moment of a step that looks at something:
a manual clock by `advance to`, a real one by waiting.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fakeproc.access_record import escaped
from fakeproc.errno_names import errno_name
from fakeproc.journal import in_seconds
from fakeproc.play.moments import in_time
from fakeproc.play.names import PlayError, expand, idle_cpus, state_of
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from fakeproc.play.moments import Moment
    from fakeproc.play.schema import Count, Needs, Scenario, Step
    from fakeproc.play.target import Target

__all__ = ["Player", "StepFailed", "missing_needs"]

_POLL_S = 0.02  # how often a real clock is looked at


class StepFailed(Exception):  # noqa: N818 - what it is called by who reads it
    """An expectation that was not met; the message names the step and what came instead."""


class _Planned(NamedTuple):
    """A write that waits in host/at."""

    number: int
    moment: Moment


@dataclass
class Player:
    """One playing of one scenario; `on_step` is called as each step is made."""

    scenario: Scenario
    target: Target
    on_step: Callable[[int, int, Moment], None] = lambda _done, _all, _moment: None

    def play(self) -> int:
        """Make all steps, and return how many.  Raises StepFailed and PlayError."""
        self._marks: dict[str, dict[str, Any]] = {}
        self._waiting: list[_Planned] = []
        moments = in_time(self.scenario)
        mode, now = self._clock()
        self._manual, self._origin = mode != "real", now
        for done, moment in enumerate(moments):
            self.on_step(done, len(moments), moment)
            if moment.step.write is None:
                self._go_to(moment.instant)
                self._check_writes()
                self._look(moment)
            else:
                self._plan(moment)
        self._go_to(moments[-1].instant)
        self._check_writes()
        return len(moments)

    # -- Time ----------------------------------------------------------------------

    def _clock(self) -> tuple[str, int]:
        mode, seconds, *_ = self.target.read("/host/clock").split()
        return mode, round(float(seconds) * SECOND)

    def _go_to(self, instant: int) -> None:
        if self._manual:
            self.target.write("/host/clock", f"advance to {in_seconds(self._origin + instant)}\n")
            return
        while (left := self._origin + instant - self._clock()[1]) >= 0:
            time.sleep(max(left / SECOND, _POLL_S))

    # -- Writes ----------------------------------------------------------------------

    def _plan(self, moment: Moment) -> None:
        step = moment.step
        if "{" in f"{step.write}{step.data}" and self._waiting:
            # Its names are looked up when its moment comes, not before.
            self._go_to(moment.instant)
            self._check_writes()
        path = self._expand(step.write or "", moment)
        data = _as_word(self._expand(step.data, moment))
        when = in_seconds(self._origin + moment.instant)
        self._console("at", f"at {when} {path} {data}", moment)
        # The one just planned: it waits, or its moment is now and it was made.
        number = max(int(line.removeprefix("done ").split()[0]) for line in self._agenda())
        self._waiting.append(_Planned(number, moment))

    def _agenda(self) -> list[str]:
        return self.target.read("/host/at").splitlines()

    def _check_writes(self) -> None:
        """Compare how the writes ended with how they were expected to."""
        if not self._waiting:
            return
        outcomes = {}
        for line in self._agenda():
            if line.startswith("done "):
                _, number, outcome, *_ = line.split()
                outcomes[int(number)] = outcome
        for planned in self._waiting:
            outcome = outcomes.get(planned.number, "nothing: it still waits")
            expected = planned.moment.step.errno
            if outcome.isdigit() and expected is None:
                continue
            if outcome != expected:
                wanted = expected or "success"
                raise _failure(planned.moment, f"the write gave {outcome}, expected {wanted}")
        self._waiting.clear()

    def _console(self, file: str, command: str, moment: Moment) -> None:
        try:
            self.target.write(f"/host/{file}", f"{command}\n")
        except OSError as error:
            raise PlayError(f"{_name(moment)}: host/{file} refused {command!r}: {error}") from error

    # -- Looking ---------------------------------------------------------------------

    def _look(self, moment: Moment) -> None:
        step = moment.step
        match step.kind:
            case "read":
                self._read(moment)
            case "count":
                assert step.count is not None  # noqa: S101 - it is the step's kind
                self._check_number(moment, self._counted(step.count, moment), "the count")
            case _:
                self._marks[step.mark or ""] = state_of(self.target)

    def _read(self, moment: Moment) -> None:
        step, path = moment.step, self._expand(moment.step.read or "", moment)
        try:
            text = self.target.read(f"/{path}")
        except OSError as error:
            name = errno_name(error.errno)
            if step.errno != name:
                raise _failure(moment, f"reading {path} gave {name}") from error
            return
        if step.errno is not None:
            raise _failure(moment, f"reading {path} succeeded, expected {step.errno}")
        self._check_text(moment, text, path)
        if step.at_least is not None or step.at_most is not None:
            try:
                number = float(text)
            except ValueError:
                raise _failure(moment, f"{path} is no number: {text.rstrip()!r}") from None
            self._check_number(moment, number, path)

    def _check_text(self, moment: Moment, text: str, what: str) -> None:
        step, text = moment.step, text.removesuffix("\n")
        shown = text if len(text) <= 200 else f"{text[:200]}…"
        equals, contains, lacks = (
            None if wanted is None else self._expand(wanted, moment)
            for wanted in (step.equals, step.contains, step.lacks)
        )
        if equals is not None and text != equals:
            raise _failure(moment, f"{what} is {shown!r}, expected {equals!r}")
        if contains is not None and contains not in text:
            raise _failure(moment, f"{what} does not contain {contains!r}: {shown!r}")
        if lacks is not None and lacks in text:
            raise _failure(moment, f"{what} contains {lacks!r}")
        if step.matches is not None and not re.search(step.matches, text, re.MULTILINE):
            raise _failure(moment, f"{what} does not match {step.matches!r}: {shown!r}")

    def _check_number(self, moment: Moment, number: float, what: str) -> None:
        step = moment.step
        if step.at_least is not None and number < step.at_least:
            raise _failure(moment, f"{what} is {number:g}, expected at least {step.at_least:g}")
        if step.at_most is not None and number > step.at_most:
            raise _failure(moment, f"{what} is {number:g}, expected at most {step.at_most:g}")

    def _counted(self, count: Count, moment: Moment) -> int:
        now = self._sum(count, state_of(self.target), moment)
        if count.since is None:
            return now
        if count.since not in self._marks:
            raise PlayError(f"{_name(moment)}: no step before it has mark = {count.since!r}")
        return now - self._sum(count, self._marks[count.since], moment)

    def _sum(self, count: Count, state: dict[str, Any], moment: Moment) -> int:
        if count.relid is not None:
            relid = int(self._expand(count.relid, moment))
            devices = state["vmbus"]["devices"].values()
            channels = [c for device in devices for c in device["channels"]]
            return sum(c["interrupts"] for c in channels if c["relid"] == relid)
        if count.irq is not None:
            irq = state["irqs"].get(self._expand(count.irq, moment))
            by_cpu = irq["counts"] if irq else {}
        else:
            by_cpu = state["arch"].get(count.row, {})
        if count.cpu is None:
            return sum(by_cpu.values())
        return int(by_cpu.get(self._expand(count.cpu, moment), 0))

    def _expand(self, text: str, moment: Moment) -> str:
        try:
            return expand(text, self.scenario.names, self.target)
        except PlayError as error:
            raise PlayError(f"{_name(moment)}: {error}") from None


def missing_needs(scenario: Scenario, target: Target) -> str | None:
    """Why a scenario makes no sense on a machine, or None where it does."""
    return next(_missing(scenario.needs, state_of(target), target), None)


def _missing(needs: Needs, state: dict[str, Any], target: Target) -> Iterator[str]:
    devices = state["vmbus"]["devices"].values()
    for name in needs.classes:
        if not any(device["type"] == name for device in devices):
            yield f"the machine has no device of class {name}"
    if len(state["cpus"]["online"]) < needs.cpus:
        yield f"the machine has fewer than {needs.cpus} CPUs online"
    if needs.idle_cpu and not idle_cpus(state):
        yield "a channel interrupts each of its CPUs but the first"
    if needs.free_relids and sum(len(device["channels"]) for device in devices) > 2000:
        yield "it has no room for another device"
    if needs.subchannels and not any(
        device["type"] == "netvsc" and len(device["channels"]) > 1 for device in devices
    ):
        yield "the machine has no network adapter with sub-channels"
    if needs.retargeting and float(state["vmbus"]["protocol"]) < 4.1:
        yield "its host cannot move channels"
    if needs.series is not None and needs.series == (state["kernel"]["series"] == "absent"):
        yield f"the series is {'not ' if needs.series else ''}applied to its kernel"
    if needs.hibernation and "hibernation = true" not in target.read("/host/profile.toml"):
        yield "its host does not let it hibernate"


def _as_word(data: str) -> str:
    """What `host/at` reads as this data, blanks and newlines kept."""
    plain = data == " ".join(data.split()) and data.isascii() and "\\" not in data
    if plain and data:
        return data
    return escaped(data.encode(errors="surrogateescape")).replace(" ", r"\x20") or r"\x"


def _name(moment: Moment) -> str:
    return f"step {moment.number}"


def _failure(moment: Moment, what: str) -> StepFailed:
    step: Step = moment.step
    subject = getattr(step, step.kind) if isinstance(getattr(step, step.kind), str) else ""
    where = f"{step.kind} {subject}".strip()
    return StepFailed(f"{_name(moment)} ({where}), at {moment.instant / SECOND:g} s: {what}")
