"""One life of a random guest: from its boot through some random requests to rest."""

from __future__ import annotations

import json
import logging
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from fakeproc import profiles
from fakeproc.host.faults import Fault
from fakeproc.journal import Saved
from fakeproc.machine import Machine
from fakeproc.play.replay import play_again
from fakeproc.profiles.kernels import KERNELS, with_kernel
from fakeproc.timeline import MILLISECOND, SECOND, Clock
from fakeproc.vfs.namespace import Namespace

from .drawing import Drawing
from .invariants import Invariants
from .requests import InProcess, Request

if TYPE_CHECKING:
    from fakeproc.profiles.schema import Profile

__all__ = ["EVERY_GUEST", "Failure", "Guest", "Life", "live"]

FAULTY = tuple(fault.value.split()[0].encode() for fault in Fault)
AFTERWARDS = 400 * SECOND  # that a life waits for what is on its way: a latency is up to 130 s
REPLAYED = 10  # one life in so many is played again from its journal


class Guest(NamedTuple):
    """Which guest lives: names of a profile and of a kernel."""

    profile: str
    kernel: str

    def load(self) -> Profile:
        """The profile, of a guest that may hibernate where its host has such guests."""
        found = with_kernel(profiles.load(self.profile), self.kernel)
        vmbus = found.vmbus.model_copy(update={"hibernation": True})
        return found.model_copy(update={"vmbus": vmbus})


EVERY_GUEST = tuple(Guest(name, kernel) for name in profiles.names() for kernel in KERNELS)


@dataclass
class Life:
    """What a life was: its guest, its seed, and the requests made so far."""

    guest: Guest
    seed: int
    requests: list[Request] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)


class Failure(Exception):  # noqa: N818 - what it is called by those who read it
    """A life in which something did not hold; the text says how to run it again."""

    def __init__(self, life: Life, why: str) -> None:
        self.life = life
        self.why = why
        guest, last = life.guest, [*map(str, life.requests[-12:])]
        super().__init__(
            f"scripts/fuzz --profile {guest.profile} --kernel {guest.kernel} --seed {life.seed}"
            f" --steps {len(life.requests)}\nfails after step {len(life.requests)}: {why}\n"
            + "".join(f"  {line[:200]}\n" for line in last)
        )


class _Mistakes(logging.Handler):
    """What the boundary and the machine log: a mistake of ours."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        trace = "".join(traceback.format_exception(error)[-3:]) if error else ""
        self.lines.append(f"{record.msg}\n{trace}")


@contextmanager
def mistakes() -> Iterator[list[str]]:
    """What `fakeproc` logs meanwhile."""
    handler, logger = _Mistakes(), logging.getLogger("fakeproc")
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def live(guest: Guest, seed: int, steps: int, script: list[Request] | None = None) -> Life:
    """Live a life of so many steps, or one of given requests.  Raises Failure."""
    life, random = Life(guest, seed), Random(f"{seed}/{guest.profile}/{guest.kernel}")
    passed = [0]  # ns by the computer's clock, which a real clock goes by
    machine = Machine(
        guest.load(), "manual", boot_time=0, source=Clock(manual=True, monotonic=lambda: passed[0])
    )
    files = Namespace(machine)
    caller = InProcess(files)
    drawing = Drawing(random, machine, files)
    invariants = Invariants(machine, files, Random(seed))
    with mistakes() as logged:
        try:
            for step in range(steps if script is None else len(script)):
                request = drawing.draw() if script is None else script[step]
                life.requests.append(request)
                invariants.faulted |= _is_faulty(request)
                answer = caller.make(request)
                life.answers[answer if isinstance(answer, str) else "taken"] += 1
                _refusal_has_its_place(request, answer, caller.why)
                passed[0] += random.choice((0, 20_000, MILLISECOND))
                if not logged:
                    invariants.check(step)
                assert not logged, logged[0]
            machine.timeline.clock.manual = True
            machine.advance(AFTERWARDS)
            invariants.at_rest()
            assert not logged, logged[0]
            if seed % REPLAYED == 0:
                _is_the_same_again(machine, files)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            at = f"{where.filename.rpartition('/')[2]}:{where.lineno}"
            raise Failure(life, f"{type(error).__name__} at {at}: {error}") from error
    return life


def _is_faulty(request: Request) -> bool:
    """Whether it may make the host go wrong, at once or later."""
    if request.path == "/host/fault":
        return True
    return request.path == "/host/latency" and b"130" in request.data


def _refusal_has_its_place(request: Request, answer: object, why: str) -> None:
    """What the console refuses it refuses with the line, or says that there is none."""
    if request.call == "write" and request.path.startswith("/host/") and answer == "EINVAL":
        assert len(why) < 700, f"{len(why)} characters of refusal"
        told = why.startswith("line ") or why == "there is no command in it" or " " in why
        assert told, f"refused with {why!r}"


def _is_the_same_again(machine: Machine, files: Namespace) -> None:
    """A machine is its profile, its seed and its journal."""
    saved = Saved.parse(files.read("/host/journal").decode())
    if saved.journal.missing or saved.header.clock != "manual":
        return
    if any(e.path == "/host/clock" and b"r" in e.data for e in saved.journal.entries):
        return  # its time was the computer's, for a while
    played = play_again(saved)
    assert not played.differences, str(played.differences[0])
    before, after = (json.loads(each.read("/host/state.json")) for each in (files, played.files))
    assert before == after
