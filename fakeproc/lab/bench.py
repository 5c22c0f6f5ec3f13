"""Running the cells: on the processes of this computer, or on a Dask cluster that exists.

A finished cell is a file, and is not run again; what fails is reported, and the rest
goes on.  Nothing here is a scheduler: that is Dask's work.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster, as_completed

from fakeproc.lab import cell as cells
from fakeproc.lab.cell import CellError, Result
from fakeproc.lab.schema import Cell

__all__ = ["Failed", "cluster", "preflight", "run_all", "stored"]

Failed = tuple[Cell, str]
Progress = Callable[[Cell, bool], None]


def stored(directory: Path, cell: Cell) -> Path:
    """The file of a cell's result; its name changes with anything that the cell is made of."""
    digest = hashlib.sha256(cell.model_dump_json().encode()).hexdigest()[:12]
    return directory / "cells" / f"{cell.name} {digest}.json"


@contextmanager
def cluster(scheduler: str | None, workers: int | None) -> Iterator[Client]:
    """A cluster of processes of this computer, or the one at an address.

    Raises OSError where none answers there.
    """
    if scheduler is not None:
        with Client(scheduler, timeout="10s", set_as_default=False) as client:
            yield client
        return
    number = workers or os.cpu_count() or 1
    # What Tornado says of the callbacks that an interruption has cut short helps nobody.
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    # A ctrl+c is for this process, which ends the others; a worker would print where it was.
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        local = LocalCluster(
            n_workers=number,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # another laboratory may run at the same time
            # A worker whose heartbeat finds the scheduler gone at the end prints where it was;
            # what befalls a cell is said by us.
            silence_logs="CRITICAL",
        )
    finally:
        signal.signal(signal.SIGINT, interrupted)
    with local, Client(local, set_as_default=False) as client:
        yield client


def preflight(client: Client, programs: Sequence[str]) -> dict[str, str]:
    """What each worker lacks to run cells, by its address; nothing where all is well."""
    answers: dict[str, str | None] = client.run(_check_worker, list(programs))
    return {worker: missing for worker, missing in answers.items() if missing}


def _check_worker(programs: Sequence[str]) -> str | None:
    """On a worker: mount a guest, and look for the programs."""
    import shutil  # noqa: PLC0415 - this runs elsewhere

    from fakeproc.api.errors import FakeprocError  # noqa: PLC0415
    from fakeproc.api.guest import Guest  # noqa: PLC0415

    absent = [name for name in programs if shutil.which(name) is None]
    if absent:
        return f"{absent[0]} is not installed"
    try:
        with Guest() as guest:
            guest.run(["true"])
    except FakeprocError as error:
        return str(error)
    return None


def run_all(
    client: Client, todo: Sequence[Cell], directory: Path, progress: Progress
) -> list[Failed]:
    """Run the cells that have no result yet, and keep each result as soon as it is there.

    `progress` hears of every cell that has ended, and whether well.  Returns those
    that failed, with the reason.
    """
    (directory / "cells").mkdir(parents=True, exist_ok=True)
    futures = {client.submit(_run, cell.model_dump(mode="json"), pure=False): cell for cell in todo}
    failed: list[Failed] = []
    for future in as_completed(list(futures), loop=client.loop):
        cell = futures[future]
        found = future.result()
        if "failed" in found:
            failed.append((cell, found["failed"]))
        else:
            _keep(stored(directory, cell), found)
        progress(cell, "failed" not in found)
        future.release()
    return failed


def _run(cell: dict[str, Any]) -> dict[str, Any]:
    """On a worker: the cell's result, or why it has none."""
    try:
        return cells.run(Cell.model_validate(cell)).to_json()
    except CellError as error:
        return {"failed": str(error)}


def _keep(path: Path, found: dict[str, Any]) -> None:
    """Write a result so that it is there whole or not at all."""
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(found))
    draft.replace(path)


def load(path: Path) -> Result:
    """A result that was kept.  Raises OSError, ValueError."""
    try:
        return Result.from_json(json.loads(path.read_text()))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: no result of a cell") from error
