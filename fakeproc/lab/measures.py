"""What is worked out of a cell: load by CPU and its spread, moves, losses, locality.

All of it comes from states of the model at moments of the guest's time, so that
the same cell has the same measures to the last digit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fakeproc.api.state import State

__all__ = ["MEASURES", "Measures", "Sample", "measured", "series"]

# Every measure, in the order of the columns; `HIGHER_IS_BETTER` says which way is up.
MEASURES = (
    "cv",
    "jain",
    "busiest_share",
    "interrupts",
    "moves",
    "writes",
    "refusals",
    "lost",
    "on_old_cpu",
    "locality",
    "settle_s",
)

_DIGITS = 6  # of a measure: more is noise of the division


@dataclass(frozen=True)
class Sample:
    """Interrupts by CPU between two looks, which end at `time_s` of the cell's time."""

    time_s: float
    by_cpu: Mapping[int, int]


@dataclass(frozen=True)
class Measures:
    """The measures of a cell.

    `cv` is the coefficient of variation of the load over the CPUs that are online,
    `jain` Jain's fairness index (1 is even, 1/n all on one CPU), `busiest_share`
    the share of the busiest CPU: all three of the second half of the time.
    `interrupts` that came, `moves` that the guest asked of the host, `writes` and
    `refusals` of programs, `lost` interrupts that the host sent and no handler saw,
    `on_old_cpu` those that came to a CPU that an interrupt had been moved away from,
    `locality` the share of a channel's interrupts on CPUs of its device's node,
    `settle_s` when the last interrupt was moved.
    """

    cv: float
    jain: float
    busiest_share: float
    interrupts: int
    moves: int
    writes: int
    refusals: int
    lost: int
    on_old_cpu: int
    locality: float
    settle_s: float


def series(states: Sequence[State]) -> list[Sample]:
    """The load between each state and the one before."""
    samples = []
    for before, after in pairwise(states):
        had, has = _by_cpu(before), _by_cpu(after)
        grown = {cpu: has[cpu] - had[cpu] for cpu in sorted(after.online)}
        samples.append(Sample(round(after.time_s - states[0].time_s, 9), grown))
    return samples


def _by_cpu(state: State) -> Counter[int]:
    """All device interrupts by CPU; without the series channels are counted in HYP alone."""
    total: Counter[int] = Counter()
    for irq in state.irqs.values():
        total.update(irq.counts)
    if state.series == "absent":
        for row in ("HYP", "Hyper-V VMbus"):  # of x86 and arm64
            total.update(state.arch.get(row, {}))
    return total


def measured(
    states: Sequence[State],
    end: State,
    writes: Sequence[str | None],
    nodes: Mapping[int, int],
    device_nodes: Mapping[str, int],
) -> Measures:
    """The measures of a cell.

    `states` are its samples, `end` the state when all traffic has ended and nothing
    is outstanding; `writes` the errnos of the writes to affinities, None for those
    that were taken; `nodes` the node of each CPU, `device_nodes` that of a device.
    """
    samples = series(states)
    half = samples[len(samples) // 2 :] or samples
    load: Counter[int] = Counter()
    for sample in half:
        load.update(sample.by_cpu)
    online = [load[cpu] for cpu in states[-1].online]
    first, last = states[0], end
    return Measures(
        cv=_rounded(_cv(online)),
        jain=_rounded(_jain(online)),
        busiest_share=_rounded(max(online) / total if (total := sum(online)) else 0.0),
        interrupts=sum(sum(sample.by_cpu.values()) for sample in samples),
        moves=last.modifychannels_sent - first.modifychannels_sent,
        writes=len(writes),
        refusals=sum(error is not None for error in writes),
        lost=_lost(first, last),
        on_old_cpu=_grown(first, last, "elsewhere"),
        locality=_rounded(_locality(states, nodes, device_nodes)),
        settle_s=_settled(states),
    )


def _cv(loads: Sequence[int]) -> float:
    mean = sum(loads) / len(loads)
    if not mean:
        return 0.0
    return math.sqrt(sum((load - mean) ** 2 for load in loads) / len(loads)) / mean


def _jain(loads: Sequence[int]) -> float:
    squares = sum(load * load for load in loads)
    return sum(loads) ** 2 / (len(loads) * squares) if squares else 1.0


def _lost(first: State, last: State) -> int:
    """What the host sent for channels that are still there, and no handler saw."""
    return max(_grown(first, last, "sent") - _grown(first, last, "interrupts"), 0)


def _grown(first: State, last: State, counter: str) -> int:
    """By how much a counter of the channels has grown, those that have gone left out."""
    known = first.channels
    return sum(
        getattr(channel, counter) - (getattr(known[relid], counter) if relid in known else 0)
        for relid, channel in last.channels.items()
    )


def _locality(
    states: Sequence[State], nodes: Mapping[int, int], device_nodes: Mapping[str, int]
) -> float:
    """The share of interrupts that came to the node of their device; 1 where there were none."""
    near = every = 0
    for before, after in pairwise(states):
        known = before.channels
        for name, device in after.devices.items():
            for channel in device.channels:
                was = known.get(channel.relid)
                came = channel.interrupts - (was.interrupts if was else 0)
                every += came
                if nodes.get(channel.target_cpu, 0) == max(device_nodes.get(name, 0), 0):
                    near += came
    return near / every if every else 1.0


def _settled(states: Sequence[State]) -> float:
    """When the last change of a channel's CPU was seen, in seconds of the cell; 0 for none."""
    last = 0.0
    for before, after in pairwise(states):
        was = {relid: channel.target_cpu for relid, channel in before.channels.items()}
        now = {relid: channel.target_cpu for relid, channel in after.channels.items()}
        if was != now:
            last = after.time_s - states[0].time_s
    return _rounded(last)


def _rounded(value: float) -> float:
    return round(value, _DIGITS)
