"""The interrupts of a recording: /proc/interrupts and /proc/irq."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fakeproc.cpu_lists import as_list
from fakeproc.interrupts_table import Row, Table, TableError
from fakeproc.recordings.cpu_lists import cpus_at

if TYPE_CHECKING:
    from fakeproc.recordings.findings import Findings
    from fakeproc.recordings.tree import Recording

__all__ = ["interrupts_of", "label_width", "table_of"]

U32 = 0xFFFFFFFF
_PER_CPU_CHIPS = ("xen-percpu",)


def table_of(recording: Recording) -> Table | None:
    """The recorded table, or None.  Raises RecordingError with the line."""
    text = recording.text("proc/interrupts")
    if text is None:
        return None
    try:
        return Table.parse(text)
    except TableError as error:
        raise recording.wrong("proc/interrupts", str(error)) from error


def label_width(recording: Recording) -> int:
    """The columns before the colon: the header begins eight behind them."""
    header = (recording.text("proc/interrupts") or "").partition("\n")[0]
    return len(header) - len(header.lstrip()) - 8


def interrupts_of(
    recording: Recording, table: Table, online: list[int], findings: Findings
) -> dict[str, Any]:
    """`irqs`, `arch`, `arch_rows` and `nr_irqs`."""
    irqs = [_irq(recording, table, row, online) for row in table.irqs.values()]
    have = {irq["irq"] for irq in irqs}
    directories = [n for n in recording.numbered("proc/irq", "") if n not in have]
    irqs += [
        {"irq": n, "directory": True} | _unrequested(recording, n, online) for n in directories
    ]
    rows, arch = [], {}
    for label, row in table.arch.items():
        rows.append({"label": label} | ({"text": row.text} if row.text else {}))
        arch[label] = {str(cpu): n & U32 for cpu, n in table.by_cpu(row).items() if n & U32}
    findings.found.append(
        f"/proc/interrupts of {len(table.cpus)} CPUs: {len(table.irqs)} interrupts and "
        f"{len(rows)} rows of the architecture"
    )
    if not recording.is_directory("proc/irq"):
        findings.missing.append("/proc/irq")
        findings.assumed.append("interrupts that may go to every CPU, and come to the first")
    return {
        "irqs": sorted(irqs, key=lambda irq: int(irq["irq"])),
        "arch": {label: counts for label, counts in arch.items() if counts},
        "arch_rows": rows,
        "nr_irqs": _nr_irqs(recording, max(have, default=0)),
    }


def _irq(recording: Recording, table: Table, row: Row, online: list[int]) -> dict[str, Any]:
    number = int(row.label)
    irq: dict[str, Any] = {"irq": number, "chip": row.chip, "actions": list(row.actions)}
    if not (row.actions or row.trigger) and row.hwirq is None and row.chip:
        irq |= {"chip": "-", "actions": [row.chip]}  # of old arm kernels, whose chips have no name
    if row.hwirq is not None:
        irq["hwirq"] = row.hwirq
    if row.trigger in {"Level", "Edge"}:
        irq["trigger"] = row.trigger.lower()
    elif row.trigger:
        irq["flow"] = row.trigger
        irq["trigger"] = "level" if row.trigger in {"fasteoi", "level"} else "edge"
    irq["counts"] = {str(cpu): n & U32 for cpu, n in table.by_cpu(row).items() if n & U32}
    is_ppi = row.chip.startswith("GIC") and row.hwirq is not None and row.hwirq < 32
    if row.chip in _PER_CPU_CHIPS or is_ppi:
        return irq | {"per_cpu": True}
    return irq | _affinities(recording, number, online)


def _unrequested(recording: Recording, number: int, online: list[int]) -> dict[str, Any]:
    """An interrupt that has no row: what /sys/kernel/irq says of it."""
    top = f"sys/kernel/irq/{number}"
    irq: dict[str, Any] = {"chip": recording.line(f"{top}/chip_name") or "dummy"}
    hwirq, flow = recording.number(f"{top}/hwirq"), recording.line(f"{top}/name")
    if hwirq is not None and hwirq >= 0:
        irq["hwirq"] = hwirq
    if flow is not None:
        irq["flow"] = flow
    if recording.line(f"{top}/type") == "level":
        irq["trigger"] = "level"
    return irq | _affinities(recording, number, online)


def _affinities(recording: Recording, number: int, online: list[int]) -> dict[str, Any]:
    top = f"proc/irq/{number}"
    affinity = cpus_at(recording, f"{top}/smp_affinity_list", f"{top}/smp_affinity")
    effective = cpus_at(recording, f"{top}/effective_affinity_list", f"{top}/effective_affinity")
    hint = cpus_at(recording, "", f"{top}/affinity_hint")
    found: dict[str, Any] = {}
    if affinity is not None:
        found["affinity"] = as_list(affinity)
    if effective is not None:
        found["effective"] = as_list(effective)
    elif affinity:
        chosen = [cpu for cpu in affinity if cpu in online] or online
        found["effective"] = chosen[0]
    if hint:
        found["hint"] = as_list(hint)
    node = recording.number(f"{top}/node")
    return found | ({} if node is None else {"node": node})


def _nr_irqs(recording: Recording, highest: int) -> int:
    """As many as `intr` has fields, or what makes the labels as wide as they are."""
    match = re.search(r"^intr (.*)$", recording.text("proc/stat") or "", re.M)
    width = label_width(recording)
    fewest = 10 ** (width - 1) if width > 3 else 1
    fields = len(match[1].split()) - 1 if match else 0
    return min(max(fields, fewest, highest + 1, 16), 65_536)
