"""What the interrupt path of the VMBus does, step by step, without the series and with it.

Counted from the functions that the model mirrors: `vmbus_isr` and what it calls
in 6.10, and the patches.  A wake-up is one run of `vmbus_isr`, which may find
the flags of several channels.  What a step costs is assumed, not measured
(`CYCLES`): the counts say which work is added, not how long a processor takes
for it, which depends on what its caches and branch predictors hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fakeproc.series import Patch

if TYPE_CHECKING:
    from fakeproc.series import Series

__all__ = ["CYCLES", "STEPS", "Cost", "Step", "cost", "extra_cost"]

# Cycles of a step on a processor that has everything at hand.  5 for what the first-level
# cache holds, and 20 for a locked instruction, are those of Intel's Skylake (Agner Fog,
# "Instruction tables"); the others are guesses.
CYCLES = {
    "register": 1,  # a test, an increment, a branch that was predicted
    "memory": 5,  # a load or store that the first-level cache holds
    "locked": 20,  # an atomic instruction that nobody contends for
    "call": 10,  # an indirect call with its return
    "mix": 40,  # add_interrupt_randomness: fast_mix(), and the look whether it is time
}


@dataclass(frozen=True, slots=True)
class Step:
    """A step: how often before and after the patch that changes it; None where none does."""

    what: str
    function: str
    per: Literal["wake-up", "channel"]
    kind: str  # a key of CYCLES
    before: int
    after: int
    patch: Patch | None = None
    only: Literal["x86", "arm64"] | None = None

    def count(self, series: Series) -> int:
        """How often it is done, with this much of the series."""
        return self.after if self.patch in series.patches else self.before


STEPS = (
    Step("count on HYP", "sysvec_hyperv_callback", "wake-up", "memory", 1, 0, Patch.REQUEST_IRQS,
         "x86"),
    Step("find the top-level interrupt", "gic_handle_irq: irq_resolve_mapping", "wake-up",
         "memory", 3, 3, only="arm64"),
    Step("count on the top-level interrupt", "handle_percpu_devid_irq: kstat", "wake-up",
         "memory", 3, 0, Patch.COUNT_IF_HANDLED, "arm64"),
    Step("call the top-level action", "handle_percpu_devid_irq", "wake-up", "call", 1, 1,
         only="arm64"),
    Step("scan 2,048 event flags", "vmbus_chan_sched: for_each_set_bit", "wake-up", "memory",
         32, 32),
    Step("look for a message", "vmbus_isr", "wake-up", "memory", 1, 1),
    Step("feed the entropy pool", "vmbus_isr: add_interrupt_randomness", "wake-up", "mix", 1, 0,
         Patch.REQUEST_IRQS),
    Step("clear the event flag", "sync_test_and_clear_bit", "channel", "locked", 1, 1),
    Step("look up the relid", "relid2channel", "channel", "memory", 1, 4, Patch.MAP_RELIDS),
    Step("see whether it was rescinded", "vmbus_chan_sched", "channel", "memory", 1, 1),
    Step("lock the descriptor, and again", "handle_simple_irq, handle_irq_event", "channel",
         "locked", 0, 2, Patch.REQUEST_IRQS),
    Step("look at its state and action", "handle_simple_irq: irq_may_run", "channel", "memory",
         0, 4, Patch.REQUEST_IRQS),
    Step("count the interrupt", "kstat_incr_irqs_this_cpu", "channel", "memory", 0, 3,
         Patch.REQUEST_IRQS),
    Step("mark it in progress, and done", "handle_irq_event", "channel", "memory", 0, 3,
         Patch.REQUEST_IRQS),
    Step("call its action", "__handle_irq_event_percpu", "channel", "call", 0, 1,
         Patch.REQUEST_IRQS),
    Step("feed the entropy pool", "handle_irq_event_percpu", "channel", "mix", 0, 1,
         Patch.REQUEST_IRQS),
    Step("look for spurious ones", "note_interrupt", "channel", "memory", 0, 3,
         Patch.REQUEST_IRQS),
    Step("lock the channel", "vmbus_chan_sched, vmbus_chan_handler", "channel", "locked", 1, 1),
    Step("count, and see who is to be called", "channel->interrupts", "channel", "memory", 3, 3),
    Step("call the driver, or schedule its tasklet", "onchannel_callback", "channel", "call",
         1, 1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """Steps and assumed cycles of one wake-up."""

    steps: int
    cycles: int


def cost(series: Series, channels: int, *, arm64: bool) -> Cost:
    """One wake-up that finds the flags of so many channels, and no message."""
    steps = cycles = 0
    for step in STEPS:
        if step.only is not None and (step.only == "arm64") != arm64:
            continue
        times = step.count(series) * (channels if step.per == "channel" else 1)
        steps += times
        cycles += times * CYCLES[step.kind]
    return Cost(steps, cycles)


def extra_cost(series: Series, without: Series, channels: int, khz: int, *, arm64: bool) -> float:
    """Nanoseconds by which a wake-up is longer with the series than without, at `khz`."""
    more = cost(series, channels, arm64=arm64).cycles - cost(without, channels, arm64=arm64).cycles
    return more * 1_000_000 / khz
