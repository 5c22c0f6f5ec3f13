"""/proc/schedstat: `kernel/sched/stats.c`, and the domains of `kernel/sched/topology.c`.

The counters of CONFIG_SCHEDSTATS stand still, as they do until somebody sets
kernel.sched_schedstats; what is always counted are the time that tasks ran, and how often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.files.kernels.versions import shown
from fakeproc.files.proc.stat import SWITCHES_A_SECOND
from fakeproc.files.text.bitmap import format_mask
from fakeproc.files.tree import Attribute
from fakeproc.guest.cpus import cpus_in
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakeproc.guest.kernel import Kernel

__all__ = ["schedstat_file"]

HZ = 250  # of the usual distributions' kernels
INITIAL_JIFFIES = (1 << 32) - 300 * HZ  # INITIAL_JIFFIES: 32 bits of them wrap after 5 minutes
NAMED_SINCE = 17  # the version from which on a domain has its name, and four imbalances
NUMBERS, NUMBERS_NAMED = 36, 45  # of a domain


def schedstat_file(kernel: Kernel) -> Attribute:
    """/proc/schedstat; a record is the head, or a CPU with its domains."""
    return Attribute(
        0o444, kernel, lambda: "".join(_show(kernel)).encode(), end_of_record=_end_of_cpu
    )


def _end_of_cpu(text: bytes, start: int) -> int:
    return text.find(b"\ncpu", start) + 1 or len(text)


def _show(kernel: Kernel) -> Iterator[str]:
    version = shown(kernel).schedstat_version
    yield f"version {version}\ntimestamp {INITIAL_JIFFIES + kernel.timeline.now * HZ // SECOND}\n"
    present = kernel.cpus.present.bit_count()
    for cpu in cpus_in(kernel.cpus.online):
        times = kernel.accounting.times(cpu)
        all_of_it = times.user + times.system + times.idle + times.irq + times.softirq
        # Every other switch is one to the idle task, which is no task's turn.
        turns = all_of_it * SWITCHES_A_SECOND // (2 * present * SECOND)
        yield f"cpu{cpu} 0 0 0 0 0 0 {times.user + times.system} 0 {turns}\n"
        for level, (name, span) in enumerate(_domains(kernel, cpu)):
            mask = format_mask(span, kernel.cpus.nr_cpu_ids)
            if version < NAMED_SINCE:
                yield f"domain{level} {mask}{' 0' * NUMBERS}\n"
            else:
                yield f"domain{level} {name} {mask}{' 0' * NUMBERS_NAMED}\n"


def _domains(kernel: Kernel, cpu: int) -> Iterator[tuple[str, int]]:
    """`build_sched_domains`: what each level adds to the one below; none of an isolated CPU."""
    cpus = kernel.cpus
    balanced = cpus.online & cpus.housekeeping_domain
    if not balanced >> cpu & 1:
        return
    below = 1 << cpu
    for name, mask in _levels(kernel, cpu):
        span = mask & balanced | below
        if span != below:
            yield name, span
            below = span


def _levels(kernel: Kernel, cpu: int) -> Iterator[tuple[str, int]]:
    """`default_topology`, and a level for each distance between nodes."""
    cpus, topology = kernel.cpus, kernel.cpus.topology
    yield "SMT", cpus.core_mask(cpu)
    cluster = topology.cluster_mask(cpu)
    if cluster is not None:
        yield "CLS", cluster
    if topology.caches:
        last = max(topology.caches, key=lambda cache: cache.profile.level)
        yield "MC", last.mask(cpu)
    yield "PKG", cpus.package_mask(cpu)
    if topology.has_numa:
        node = kernel.numa.nodes[cpus.node_of(cpu)]
        others = list(zip(kernel.numa.nodes, node.distances, strict=True))
        known = {far for each in kernel.numa.nodes.values() for far in each.distances}
        for distance in sorted(known):
            near = [number for number, far in others if far <= distance]
            yield "NUMA", sum(topology.node_masks[number] for number in near)
