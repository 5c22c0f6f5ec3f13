"""`scripts/fuzz`: random lives, changed profiles, console lines, for as long as wanted."""

from __future__ import annotations

import itertools
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from typing import NamedTuple

import click
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from fakeproc import profiles
from fakeproc.profiles.kernels import KERNELS

from .inputs import console_inputs, profile_input
from .life import EVERY_GUEST, Failure, Guest, live
from .shorter import shortened

LIFE = 200  # steps of a life, where --steps does not say it
LINES = 200  # console lines for one guest
LARGE = "hyperv-max"  # a life of it takes as long as a hundred of another
RARELY = 40  # one life in so many is that of a large machine


class Job(NamedTuple):
    """One piece of work of a process."""

    what: str  # life, profile, console
    guest: Guest
    seed: int
    steps: int


def work(job: Job) -> tuple[int, dict[str, int], str]:
    """How many steps were made, with which outcomes, and what failed ("" if nothing)."""
    try:
        if job.what == "profile":
            return 1, {profile_input(job.guest.profile, job.seed): 1}, ""
        if job.what == "console":
            return job.steps, console_inputs(job.guest, job.seed, job.steps), ""
        life = live(job.guest, job.seed, job.steps)
        return len(life.requests), dict(life.answers), ""
    except Failure as failure:
        return (
            len(failure.life.requests),
            {},
            f"{failure}\nthe shortest found:\n{shortened(failure)}",
        )
    except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
        return 1, {}, f"{job}\n{traceback.format_exc(limit=-6)}"


def jobs(what: str, guests: list[Guest], seed: int, steps: int) -> Iterator[Job]:
    """Pieces of work without end: one guest after the other, each with the next seed."""
    small = [guest for guest in guests if guest.profile != LARGE]
    for number in itertools.count():
        choice = guests if number % RARELY == 0 or not small else small
        at = number // RARELY if choice is guests else number
        yield Job(what, choice[at % len(choice)], seed + number, steps)


@click.command()
@click.option("--steps", type=click.IntRange(1), help=f"Requests of one life.  [default: {LIFE}]")
@click.option("--seed", type=click.IntRange(0), help="Begin with this seed, not one of the time.")
@click.option("--profile", type=click.Choice(profiles.names()), help="Only this machine.")
@click.option("--kernel", type=click.Choice(list(KERNELS)), help="Only this kernel.")
@click.option("--jobs", "processes", type=click.IntRange(1), default=os.cpu_count())
@click.option("--for", "seconds", type=click.FloatRange(0), help="End after so many seconds.")
@click.option("--total", type=click.IntRange(1), help="End after so many steps or inputs.")
@click.option("--profiles", "what", flag_value="profile", help="Try changed profiles instead.")
@click.option("--console", "what", flag_value="console", help="Try lines of the console instead.")
def main(
    steps: int | None,
    seed: int | None,
    profile: str | None,
    kernel: str | None,
    processes: int,
    seconds: float | None,
    total: int | None,
    what: str | None,
) -> None:
    """Make random requests to random guests, and check what must hold.

    With a profile, a kernel and a seed it lives that one life, else it goes on until it is
    interrupted.  Exit status 1: something did not hold; the seed and the step are printed.
    """
    begun = int(time.time()) if seed is None else seed
    one_life = None not in {seed, profile, kernel} and seconds is None and total is None
    guests = [g for g in EVERY_GUEST if profile in {None, g.profile} and kernel in {None, g.kernel}]
    length = 1 if what == "profile" else steps or LIFE
    todo = jobs(what or "life", guests, begun, length)
    most = 1 if one_life else total
    deadline = None if seconds is None else time.monotonic() + seconds
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    made, last = 0, begun
    console = Console(soft_wrap=True)
    columns = TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console) as bar, ProcessPoolExecutor(processes) as pool:
        task = bar.add_task("", total=None)
        running = set()
        try:
            while True:
                over = deadline is not None and time.monotonic() > deadline
                while len(running) < 2 * processes and not over and (most is None or made < most):
                    job = next(todo)
                    last = job.seed
                    running.add(pool.submit(work, job))
                    if one_life:
                        over = True
                    elif most is not None and made + len(running) * length >= most:
                        break
                if not running:
                    break
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for number, found, failure in (each.result() for each in done):
                    made += number
                    outcomes.update(found)
                    if failure:
                        failures.append(failure)
                        bar.console.print(failure, markup=False, highlight=False)
                if one_life and not running:
                    break
                bar.update(task, description=f"{made:,} steps, {len(failures)} failures")
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
    told = ", ".join(f"{number} {name}" for name, number in outcomes.most_common(12))
    print(f"{made} steps, seeds {begun} to {last}, {len(failures)} failures ({told})")  # noqa: T201
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main(prog_name="scripts/fuzz")
