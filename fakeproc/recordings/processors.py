"""The processors of a recording: which there are, what they are, and where each lies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fakeproc.cpu_lists import as_list
from fakeproc.recordings.cpu_lists import cpus_at

if TYPE_CHECKING:
    from fakeproc.recordings.findings import Findings
    from fakeproc.recordings.tree import Recording

__all__ = ["architecture_of", "cpuinfo_of", "cpus_of"]

CPU = "sys/devices/system/cpu"
_OTHERS = (
    (re.compile(r"^vendor_id\s*: IBM/S390", re.M), "s390x"),
    (re.compile(r"^cpu\s*: POWER", re.M), "POWER"),
    (re.compile(r"^isa\s*: rv", re.M), "RISC-V"),
    (re.compile(r"^arch(?:itecture)?\s*: IA-64", re.M), "Itanium"),
    (re.compile(r"^CPU Family\s*: Loongson", re.M), "LoongArch"),
)
# Keys of x86's cpuinfo, and of [cpus]; the numbers are decimal.
_X86_TEXTS = {"vendor_id": "vendor", "model name": "name", "flags": "flags", "bugs": "bugs",
              "power management": "power_management", "vmx flags": "vmx_flags"}  # fmt: skip
_X86_NUMBERS = {"cpu family": "family", "model": "model", "stepping": "stepping",
                "cpuid level": "cpuid_level", "clflush size": "clflush_bytes",
                "cache_alignment": "cache_alignment"}  # fmt: skip
_ADDRESSES = re.compile(r"(\d+) bits physical, (\d+) bits virtual")
_TLB = re.compile(r"(\d+) 4K pages")


def cpuinfo_of(recording: Recording) -> list[dict[str, str]]:
    """The paragraphs of /proc/cpuinfo that are of a processor."""
    paragraphs: list[dict[str, str]] = []
    for line in (recording.text("proc/cpuinfo") or "").splitlines():
        key, colon, value = line.partition(":")
        if not colon:
            continue
        if key.strip() == "processor" or not paragraphs:
            paragraphs.append({})
        paragraphs[-1][key.strip()] = value.strip()
    return [paragraph for paragraph in paragraphs if "processor" in paragraph]


def architecture_of(recording: Recording) -> str:
    """x86_64 or arm64; any other one is refused."""
    text = recording.text("proc/cpuinfo") or ""
    for pattern, name in _OTHERS:
        if pattern.search(text):
            raise recording.wrong("proc/cpuinfo", f"a machine of {name}: only x86-64 and arm64 are")
    interrupts = recording.text("proc/interrupts") or ""
    is_arm = "CPU implementer" in text or re.search(r"^ *IPI0:", interrupts, re.M) is not None
    return "arm64" if is_arm else "x86_64"


def cpus_of(
    recording: Recording, architecture: str, columns: list[int], findings: Findings
) -> dict[str, Any]:
    """[cpus]: which there are, as a processor each, with caches; `columns` are interrupts'."""
    paragraphs = cpuinfo_of(recording)
    listed = [int(p["processor"]) for p in paragraphs if p["processor"].isdecimal()]
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
    document |= _processor(paragraphs, architecture, findings)
    document["groups"] = [_places(recording, present, architecture, findings)]
    document["caches"] = _caches(recording, present)
    if not document["caches"]:
        findings.missing.append("caches")
    return document


def _processor(
    paragraphs: list[dict[str, str]], architecture: str, findings: Findings
) -> dict[str, Any]:
    """What processor they are, by the first paragraph of cpuinfo."""
    if not paragraphs:
        findings.missing.append("/proc/cpuinfo")
        findings.assumed.append("the processor of a usual virtual machine")
        return {} if architecture == "x86_64" else {"vendor": "ARM"}
    first = paragraphs[0]
    if architecture == "arm64":
        return _arm64_processor(first)
    found: dict[str, Any] = {ours: first[key] for key, ours in _X86_TEXTS.items() if key in first}
    for key, ours in _X86_NUMBERS.items():
        if first.get(key, "").isdecimal():
            found[ours] = int(first[key])
    for key, ours, scale in (("cpu MHz", "khz", 1000), ("bogomips", "bogomips", None)):
        value = _decimal(first.get(key))
        if value:
            found[ours] = value if scale is None else round(value * scale)
    if first.get("microcode", "").startswith("0x"):
        found["microcode"] = int(first["microcode"], 16)
    size = first.get("cache size", "").removesuffix(" KB")
    if size.isdecimal():
        found["cache_size_kib"] = int(size)
    tlb, bits = (
        _TLB.match(first.get("TLB size", "")),
        _ADDRESSES.match(first.get("address sizes", "")),
    )
    if tlb:
        found["tlb_pages"] = int(tlb[1])
    if bits:
        found["address_bits"] = [int(bits[1]), int(bits[2])]
    return found


def _arm64_processor(first: dict[str, str]) -> dict[str, Any]:
    def of(key: str) -> int:
        word = first.get(key, "0")
        return int(word, 16 if word.startswith("0x") else 10)

    midr = (of("CPU implementer") & 0xFF) << 24 | (of("CPU variant") & 0xF) << 20 | 0xF << 16
    midr |= (of("CPU part") & 0xFFF) << 4 | of("CPU revision") & 0xF
    found: dict[str, Any] = {"vendor": "ARM", "midr": midr, "flags": first.get("Features", "")}
    bogomips = _decimal(first.get("BogoMIPS"))
    return found | ({"bogomips": bogomips} if bogomips else {})


def _decimal(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text) else None


def _places(
    recording: Recording, present: list[int], architecture: str, findings: Findings
) -> dict[str, Any]:
    """Where each CPU lies."""
    at = {cpu: f"{CPU}/cpu{cpu}/topology" for cpu in present}
    cores = {cpu: recording.number(f"{path}/core_id") for cpu, path in at.items()}
    if all(core is None for core in cores.values()):
        findings.missing.append("the topology of the CPUs")
        findings.assumed.append("one package, and a core for each CPU")
        return {"cpus": as_list(present)}
    highest = max(core for core in cores.values() if core is not None)
    place: dict[str, Any] = {"cpus": as_list(present), "core": []}
    for core in cores.values():
        highest += core is None
        place["core"].append(highest if core is None else core)
    if None in cores.values():
        findings.assumed.append("cores of their own for CPUs without topology")
    packages = [recording.number(f"{path}/physical_package_id") for path in at.values()]
    place["package"] = [0 if package is None else package for package in packages]
    for key, file in (("die", "die_id"), ("cluster", "cluster_id")):
        numbers = [recording.number(f"{path}/{file}") for path in at.values()]
        if None not in numbers and (key == "cluster" or architecture == "x86_64"):
            place[key] = numbers
    if architecture == "arm64":
        capacities = [recording.number(f"{CPU}/cpu{cpu}/cpu_capacity") for cpu in present]
        if None not in capacities:
            place["capacity"] = capacities
    return place


def _caches(recording: Recording, present: list[int]) -> list[dict[str, Any]]:
    """One entry for each kind of cache, in the order of index<n>."""
    kinds: dict[tuple[Any, ...], dict[str, tuple[int | None, list[int]]]] = {}
    for cpu in present:
        top = f"{CPU}/cpu{cpu}/cache"
        for index in recording.numbered(top, "index"):
            below = f"{top}/index{index}"
            level, holds = recording.number(f"{below}/level"), recording.line(f"{below}/type")
            sharers = cpus_at(recording, f"{below}/shared_cpu_list", f"{below}/shared_cpu_map")
            if level is None or holds not in {"Data", "Instruction", "Unified"} or sharers is None:
                continue
            shape = tuple(
                recording.number(f"{below}/{file}") or 0
                for file in (
                    "ways_of_associativity", "coherency_line_size", "number_of_sets",
                    "physical_line_partition",
                )
            )  # fmt: skip
            key = (index, level, holds, _kib(recording.line(f"{below}/size")), *shape)
            taken = kinds.setdefault(key, {})
            others = {other for _, others in taken.values() for other in others}
            if cpu not in others:
                mine = sorted(({cpu, *sharers} & {*present}) - others)
                taken[as_list(mine)] = (recording.number(f"{below}/id"), mine)
    caches = []
    for key, shared in sorted(kinds.items(), key=lambda item: item[0]):
        _, nearness, its_type, kib, ways, line, sets, partition = key
        ids = [number for number, _ in shared.values() if number is not None]
        caches.append(
            {
                "level": nearness, "type": its_type, "size_kib": kib, "ways": ways,
                "line_bytes": line, "sets": sets, "partition": partition, "shared_by": list(shared),
                "ids": ids if len(ids) == len(shared) else [],
            }
        )  # fmt: skip
    return caches


def _kib(text: str | None) -> int:
    match = re.fullmatch(r"(\d{1,9})([KM]?)", text or "")
    return int(match[1]) * (1024 if match[2] == "M" else 1) if match else 0
