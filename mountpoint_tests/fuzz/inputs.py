"""Inputs that are wrong: profiles with something changed, lines for the console.

Each ends in what was asked for or in one sentence that says where it is wrong.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.profiles import ProfileError
from fakeproc.vfs.namespace import Namespace

from .console import FILES, console_line, spoiled
from .life import Guest, mistakes
from .requests import InProcess, Request

__all__ = ["console_inputs", "profile_input"]

HANG = 60  # seconds of the computer's time after which an input hangs, on a busy machine too
VALUES = (
    *("-1", "0", "1", "4096", "18446744073709551616", "1e400", "nan", "-inf", "true", '""', "[]"),
    *(
        "{}",
        "[1]",
        "{ a = 1 }",
        '"x"',
        "1979-05-27",
        '"\\u0000"',
        "9" * 5000,
        "[" * 3000,
        '"a',
        "=",
    ),
    *("0x10", "1.5", '["netvsc"]', "[[1]]", '"' + "y" * 100_000 + '"'),
)
SENTENCE = re.compile(r"[^\n]{1,1000}")


class HangsError(AssertionError):
    """An input that takes a minute."""


@contextmanager
def _in_time() -> Iterator[None]:
    def too_long(_signum: int, _frame: object) -> None:
        raise HangsError(f"it takes longer than {HANG} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(HANG)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def mutant(name: str, seed: int) -> str:
    """The TOML of a built-in profile with one to three things changed."""
    random = Random(seed)
    lines = profiles.source(name).splitlines()
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(lines))
        key, equals, _ = lines[at].partition(" = ")
        match random.randrange(8):
            case 0 | 1 | 2 if equals:
                lines[at] = f"{key} = {random.choice(VALUES)}"
            case 3:
                # A number within: of a relid, a count, a CPU.
                number = random.choice((r"-1", "0", "2047", "2048", "4294967296", "9" * 30))
                lines[at] = re.sub(r"\d+", number, lines[at], count=1)
            case 4:
                lines.insert(at, lines[random.randrange(len(lines))])
            case 5:
                del lines[at]
            case 6:
                lines[at] = lines[at].replace("=", "", 1)
            case _:
                lines[at] = f"{key}x{equals}{random.choice(VALUES)}"
    return "\n".join(lines) + "\n"


def profile_input(name: str, seed: int) -> str:
    """Try one mutant: "refused" with its place, or "booted".  Raises AssertionError."""
    toml = mutant(name, seed)
    with _in_time(), mistakes() as logged:
        try:
            profile = profiles.parse(toml, "mutant.toml", "mutant")
        except ProfileError as error:
            why = str(error)
        else:
            why = ""
            _looked_at(Machine(profile, "manual"))
        assert not logged, logged[0]
    if why:
        assert SENTENCE.fullmatch(why), f"no sentence: {why[:300]!r}"
        assert why.startswith("mutant.toml"), f"no place: {why}"
    return "refused" if why else "booted"


def _looked_at(machine: Machine) -> None:
    files = Namespace(machine)
    for path in ("/proc/interrupts", "/proc/stat", "/proc/cpuinfo", "/host/state.json"):
        files.read(path)


def console_inputs(guest: Guest, seed: int, number: int) -> dict[str, int]:
    """Write so many lines to one guest's console: how many were taken and refused."""
    random, counted = Random(seed), {"taken": 0, "refused": 0}
    machine = Machine(guest.load(), "manual")
    caller = InProcess(Namespace(machine))
    with mistakes() as logged:
        for _ in range(number):
            file = random.choice(FILES)
            line = console_line(random, machine, file, "proc/irq/39/smp_affinity_list 3")
            data = spoiled(random, line)
            request = Request("write", f"/host/{file}", data)
            with _in_time():
                answer = caller.make(request)
            assert not logged, f"{file}: {data[:100]!r}: {logged[0]}"
            counted["refused" if isinstance(answer, str) else "taken"] += 1
            if answer == "EINVAL" and data:
                assert SENTENCE.fullmatch(caller.why), f"{file}: {data[:100]!r}: {caller.why!r}"
                place = r"line \d+, '|no command|the host|post"
                assert re.search(place, caller.why), f"{file}: {data[:100]!r}: {caller.why!r}"
    return counted
