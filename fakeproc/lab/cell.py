"""One experiment: a guest of its own, its traffic, a tool, and what came of it.

A cell is a process of its own (`python -m fakeproc.lab.cell`, the cell as JSON on
standard input, its result on standard output), so that one that fails or is killed
takes no other along.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

from fakeproc.access_record import Access
from fakeproc.api.guest import Guest
from fakeproc.api.keeper import python
from fakeproc.api.state import State
from fakeproc.journal import Saved
from fakeproc.lab.measures import Measures, Sample, measured, series
from fakeproc.lab.schema import Cell
from fakeproc.mount.processes import die_with_parent

__all__ = ["CellError", "Result", "main", "run"]

_TIMEOUT = 124  # how timeout(1) ends when it has ended the command
_PATIENCE_S = 3600.0
_QUIET_S = 5.0  # what a guest does in its first seconds is over


class CellError(Exception):
    """The cell could not be run; the message says why."""


@dataclass(frozen=True)
class Result:
    """What came of a cell; `cpu_s` is what the tool took of this computer."""

    name: str
    cell: Cell
    measures: Measures
    samples: list[Sample]
    journal: str
    cpu_s: float

    def to_json(self) -> dict[str, Any]:
        """As it is kept in a file."""
        return {
            "name": self.name,
            "cell": self.cell.model_dump(mode="json"),
            "measures": asdict(self.measures),
            "samples": [
                {"time_s": it.time_s, "by_cpu": {str(c): n for c, n in it.by_cpu.items()}}
                for it in self.samples
            ],
            "journal": self.journal,
            "cpu_s": self.cpu_s,
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Result:
        """What `to_json` made.  Raises KeyError, TypeError, ValueError where it did not."""
        return cls(
            name=found["name"],
            cell=Cell.model_validate(found["cell"]),
            measures=Measures(**found["measures"]),
            samples=[
                Sample(it["time_s"], {int(c): n for c, n in it["by_cpu"].items()})
                for it in found["samples"]
            ],
            journal=found["journal"],
            cpu_s=found["cpu_s"],
        )


def run(cell: Cell) -> Result:
    """Run a cell in a process of its own.  Raises CellError."""
    done = subprocess.run(  # noqa: S603
        python("fakeproc.lab.cell"),
        input=cell.model_dump_json(),
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise CellError(f"{cell.name}: {said[-1] if said else f'ended with {done.returncode}'}")
    return Result.from_json(json.loads(done.stdout))


def main() -> None:
    """Run the cell of standard input; ends with the worker that has started it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a worker ignores
    die_with_parent(signal.SIGTERM)
    cell = Cell.model_validate_json(sys.stdin.read())
    json.dump(_experiment(cell).to_json(), sys.stdout)


def _experiment(cell: Cell) -> Result:
    with Guest(
        cell.machine.profile, kernel=cell.kernel, cpus=cell.machine.cpus, seed=cell.seed
    ) as guest:
        for source, rate in cell.traffic.rates.items():
            guest.traffic(source, rate, "steady" if source == "timer" else cell.traffic.kind)
        guest.advance(_QUIET_S)
        nodes, device_nodes = _nodes(guest), _device_nodes(guest)
        guest.record()
        guest.write("/host/journal", "clear\n")
        guest.write("/host/journal", "on\n")
        states = [guest.state()]
        guest.write("/host/at", "".join(_looks(cell)))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _use_tool(guest, cell)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        left = states[0].time_s + cell.guest_time_s - guest.state().time_s
        if left > 0:
            guest.advance(left + 1e-6)
        journal = guest.read("/host/journal")
        states += _looked(journal)
        writes = [it.error for it in guest.accesses() if _is_affinity(it)]
        guest.traffic("all", 0)
        guest.settle()
        return Result(
            cell.name,
            cell,
            measured(states, guest.state(), writes, nodes, device_nodes),
            series(states),
            _without_looks(guest.read("/host/journal")),
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        )


def _looks(cell: Cell) -> list[str]:
    """The plan of the moments at which the state is kept."""
    number = max(round(cell.guest_time_s / cell.sample_s), 1)
    step = cell.guest_time_s / number
    return [f"+{step * (at + 1):.6f} read host/state.json\n" for at in range(number)]


def _looked(journal: str) -> list[State]:
    entries = Saved.parse(journal, "host/journal").journal.entries
    return [
        State.parse(entry.data.decode())
        for entry in entries
        if entry.operation == "read" and entry.path == "/host/state.json"
    ]


def _without_looks(journal: str) -> str:
    """The journal without the reads of this cell, which change nothing and are long."""
    lines = journal.splitlines(keepends=True)
    return "".join(it for it in lines if "\tread\t/host/state.json\t" not in it)


def _use_tool(guest: Guest, cell: Cell) -> None:
    """Run the tool for the cell's time of the guest, which passes as the tool sleeps."""
    if not cell.tool.command:
        return
    done = guest.run(
        ["timeout", f"{cell.guest_time_s:g}", *cell.tool.command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, _TIMEOUT):
        said = (done.stderr or done.stdout).strip().splitlines()
        raise CellError(
            f"{cell.tool.command[0]} ended with {done.returncode}: {said[-1] if said else ''}"
        )


def _is_affinity(access: Access) -> bool:
    path = access.path
    return access.operation == "write" and ("smp_affinity" in path or path.endswith("/cpu"))


def _nodes(guest: Guest) -> dict[int, int]:
    """The node of each CPU that is online."""
    found = {}
    for cpu in guest.state().online:
        names = guest.list(f"/sys/devices/system/cpu/cpu{cpu}")
        nodes = [int(name[4:]) for name in names if name.startswith("node") and name[4:].isdigit()]
        found[cpu] = nodes[0] if nodes else 0
    return found


def _device_nodes(guest: Guest) -> dict[str, int]:
    found = {}
    for name in guest.state().devices:
        path = f"/sys/bus/vmbus/devices/{name}/numa_node"
        found[name] = int(guest.read(path)) if guest.exists(path) else 0
    return found


if __name__ == "__main__":
    main()
