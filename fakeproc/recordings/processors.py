"""The processors of a recording: which there are, what they are, and where each lies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fakeproc.cpu_lists import as_list
from fakeproc.recordings.caches import caches_of
from fakeproc.recordings.cpu_lists import cpus_at
from fakeproc.recordings.frequencies import frequencies_of
from fakeproc.recordings.models import OWN, cpuinfo_of, models_of, processor_of
from fakeproc.recordings.places import places_of

if TYPE_CHECKING:
    from fakeproc.recordings.findings import Findings
    from fakeproc.recordings.tree import Recording

__all__ = ["architecture_of", "cpus_of"]

CPU = "sys/devices/system/cpu"
_OTHERS = (
    (re.compile(r"^vendor_id\s*: IBM/S390", re.M), "s390x"),
    (re.compile(r"^cpu\s*: POWER", re.M), "POWER"),
    (re.compile(r"^isa\s*: rv", re.M), "RISC-V"),
    (re.compile(r"^arch(?:itecture)?\s*: IA-64", re.M), "Itanium"),
    (re.compile(r"^CPU Family\s*: Loongson", re.M), "LoongArch"),
)


def architecture_of(recording: Recording) -> str:
    """x86_64 or arm64; any other one is refused."""
    text = recording.text("proc/cpuinfo") or ""
    for pattern, name in _OTHERS:
        if pattern.search(text):
            raise recording.wrong("proc/cpuinfo", f"a machine of {name}: only x86-64 and arm64 are")
    interrupts = recording.text("proc/interrupts") or ""
    if not text and recording.number(f"{CPU}/cpu0/cpu_capacity") is not None:
        return "arm64"  # where it comes from the firmware; x86 had none for long
    is_arm = "CPU implementer" in text or re.search(r"^ *IPI0:", interrupts, re.M) is not None
    return "arm64" if is_arm else "x86_64"


def cpus_of(
    recording: Recording, architecture: str, columns: list[int], findings: Findings
) -> dict[str, Any]:
    """[cpus]: which there are, as a processor each, with caches; `columns` are interrupts'."""
    listed = [int(p["processor"]) for p in cpuinfo_of(recording) if p["processor"].isdecimal()]
    online = cpus_at(recording, f"{CPU}/online") or listed or columns
    present = cpus_at(recording, f"{CPU}/present") or recording.numbered(CPU, "cpu") or online
    if not present:
        raise recording.wrong("proc, sys", "no file says which CPUs the machine has")
    present = sorted({*present, *online, *columns})
    possible = sorted({*(cpus_at(recording, f"{CPU}/possible") or ()), *present})
    # Without a list of them, every CPU runs that does not say otherwise.
    online = [c for c in online or present if recording.number(f"{CPU}/cpu{c}/online") != 0]
    findings.found.append(f"{len(present)} CPUs, {len(online)} of them online")
    offline = sorted({*present} - {*online})
    document: dict[str, Any] = {"possible": as_list(possible), "present": as_list(present)}
    if offline:
        document["offline"] = as_list(offline)
    document |= processor_of(recording, architecture, findings)
    frequencies, of_each = frequencies_of(recording, present)
    document |= frequencies | _vulnerabilities(recording)
    of_each |= places_of(recording, present, findings)
    document["groups"] = _groups(recording, architecture, present, of_each)
    document["caches"] = caches_of(recording, present)
    if not document["caches"]:
        findings.missing.append("caches")
    return document


def _groups(
    recording: Recording, architecture: str, present: list[int], of_each: dict[str, dict[int, int]]
) -> list[dict[str, Any]]:
    """The CPUs by what processor they are; `of_each` has the numbers of each CPU by key."""
    models = models_of(recording, architecture)
    first = next(iter(models.values()), {})
    kinds = _kinds(recording)
    khz = {cpu: model["khz"] for cpu, model in models.items() if "khz" in model}
    of_each = of_each | ({"khz": khz} if len({*khz.values()}) > 1 else {})
    groups: dict[tuple[Any, ...], list[int]] = {}
    for cpu in present:
        model = models.get(cpu, first)
        groups.setdefault((kinds.get(cpu), *(model.get(key) for key in OWN)), []).append(cpu)
    return [
        {"cpus": as_list(cpus)}
        | {
            key: _numbers(number, cpus)
            for key, number in of_each.items()
            if any(cpu in number for cpu in cpus)
        }
        | ({} if kind is None else {"kind": kind})
        | {key: value for key, value in zip(OWN, own, strict=True) if value != first.get(key)}
        for (kind, *own), cpus in groups.items()
    ]


def _numbers(of_each: dict[int, int], cpus: list[int]) -> int | list[int]:
    """One number where all CPUs have the same; a CPU without one has that of another."""
    known = [of_each[cpu] for cpu in cpus if cpu in of_each]
    if len({*known}) == 1:
        return known[0]
    return [of_each.get(cpu, known[0]) for cpu in cpus]


def _kinds(recording: Recording) -> dict[int, str]:
    """Of a hybrid processor: `x86_hybrid_pmu`, a device for the CPUs of each kind."""
    return {
        cpu: kind
        for kind in ("core", "atom", "lowpower")
        for cpu in cpus_at(recording, f"sys/devices/cpu_{kind}/cpus") or ()
    }


def _vulnerabilities(recording: Recording) -> dict[str, Any]:
    """What was recorded of them; none of a kernel that has no such directory."""
    top = f"{CPU}/vulnerabilities"
    if not recording.is_directory(f"{CPU}/cpu0"):
        return {}
    texts = {name: recording.line(f"{top}/{name}") for name in recording.names(top)}
    return {"vulnerabilities": {name: text[:200] for name, text in texts.items() if text}}
