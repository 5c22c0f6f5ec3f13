"""What processor each CPU of a recording is: /proc/cpuinfo and regs/identification."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.recordings.findings import Findings
    from fakeproc.recordings.tree import Recording

__all__ = ["OWN", "cpuinfo_of", "models_of", "processor_of"]

CPU = "sys/devices/system/cpu"
# Keys of x86's cpuinfo, and of [cpus]; the numbers are decimal.
_X86_TEXTS = {"vendor_id": "vendor", "model name": "name", "flags": "flags", "bugs": "bugs",
              "power management": "power_management", "vmx flags": "vmx_flags"}  # fmt: skip
_X86_NUMBERS = {"cpu family": "family", "model": "model", "stepping": "stepping",
                "cpuid level": "cpuid_level", "clflush size": "clflush_bytes",
                "cache_alignment": "cache_alignment"}  # fmt: skip
_ADDRESSES = re.compile(r"(\d+) bits physical, (\d+) bits virtual")
_TLB = re.compile(r"(\d+) 4K pages")


# What CPUs of one machine may differ in: keys of [[cpus.groups]].
OWN = (
    "vendor", "family", "model", "stepping", "microcode", "name", "flags", "bugs", "midr",
)  # fmt: skip


def cpuinfo_of(recording: Recording) -> list[dict[str, str]]:
    """The paragraphs of /proc/cpuinfo that are of a processor."""
    paragraphs: list[dict[str, str]] = []
    for line in (recording.text("proc/cpuinfo") or "").splitlines():
        key, colon, value = line.partition(":")
        if not colon:
            continue
        if key.strip() == "processor" or not paragraphs:
            paragraphs.append({})
        # The model's name is as the processor has it, often with blanks behind.
        is_name = key.startswith("model name")
        paragraphs[-1][key.strip()] = value.removeprefix(" ") if is_name else value.strip()
    return [paragraph for paragraph in paragraphs if "processor" in paragraph]


def processor_of(recording: Recording, architecture: str, findings: Findings) -> dict[str, Any]:
    """What processor they are, by the first paragraph of cpuinfo."""
    paragraphs = cpuinfo_of(recording)
    if not paragraphs:
        findings.missing.append("/proc/cpuinfo")
        if recording.is_directory(f"{CPU}/cpu0"):
            findings.assumed.append("a processor without a name")
            return {"name": "", "vendor": "GenuineIntel" if architecture == "x86_64" else "ARM"}
        findings.assumed.append("the processor of a usual virtual machine")
        return {} if architecture == "x86_64" else {"vendor": "ARM"}
    return _model(recording, paragraphs[0], architecture)


def models_of(recording: Recording, architecture: str) -> dict[int, dict[str, Any]]:
    """The processors of the CPUs that cpuinfo lists, as keys of [cpus]."""
    return {
        int(paragraph["processor"]): _model(recording, paragraph, architecture)
        for paragraph in cpuinfo_of(recording)
        if paragraph["processor"].isdecimal()
    }


def _model(recording: Recording, paragraph: dict[str, str], architecture: str) -> dict[str, Any]:
    if architecture == "arm64":
        return _arm64_processor(recording, paragraph)
    return _x86_processor(paragraph)


def _x86_processor(first: dict[str, str]) -> dict[str, Any]:
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


def _arm64_processor(recording: Recording, first: dict[str, str]) -> dict[str, Any]:
    def of(key: str) -> int:
        word = first.get(key, "0")
        return int(word, 16 if word.startswith("0x") else 10)

    number = int(first["processor"]) if first["processor"].isdecimal() else 0
    register = recording.line(f"{CPU}/cpu{number}/regs/identification/midr_el1") or ""
    is_whole = re.fullmatch(r"0x0{8}[0-9a-f]{8}", register)
    midr = int(register, 16) if is_whole else _midr(of)
    found: dict[str, Any] = {"vendor": "ARM", "midr": midr, "flags": first.get("Features", "")}
    bogomips = _decimal(first.get("BogoMIPS"))
    return found | ({"bogomips": bogomips} if bogomips else {})


def _midr(of: Callable[[str], int]) -> int:
    """The main ID register, of which cpuinfo has all but the architecture, 15."""
    midr = (of("CPU implementer") & 0xFF) << 24 | (of("CPU variant") & 0xF) << 20 | 0xF << 16
    return midr | (of("CPU part") & 0xFFF) << 4 | of("CPU revision") & 0xF


def _decimal(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text) else None
