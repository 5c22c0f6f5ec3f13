"""What lscpu has printed, as text or JSON: turned into the files that it was made of.

lscpu's summary counts threads, cores and sockets, and says which CPUs a node has, but not
which CPU is where: CPUs are divided evenly, in the order that is usual.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from fakeproc.cpu_lists import as_list
from fakeproc.recordings.cpu_lists import of_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakeproc.recordings.tree import Recording

__all__ = ["LSCPU", "fill_in_lscpu"]

LSCPU = "lscpu"  # where the text lies in a recording
CPU = "sys/devices/system/cpu"
NODE = "sys/devices/system/node"
_MOST_CPUS = 8192
_NODE = re.compile(r"NUMA node(\d{1,4}) CPU\(s\)")
_CACHE = re.compile(r"L([1-4])([di]?)(?: cache)?")
_SIZE = re.compile(r"([\d.]{1,12}) ?([KMG])(?:iB?)?(?: \((\d{1,6}) instances?\))?")
_KIB = {"K": 1, "M": 1 << 10, "G": 1 << 20}
_TYPES = {"d": "Data", "i": "Instruction", "": "Unified"}
_IMPLEMENTERS = {"ARM": 0x41, "APM": 0x50, "Ampere": 0xC0, "Cavium": 0x43, "HiSilicon": 0x48}
_PARTS = {  # as lscpu names them
    "Cortex-A53": 0xD03, "Cortex-A57": 0xD07, "Cortex-A72": 0xD08, "Cortex-A76": 0xD0B,
    "Neoverse-N1": 0xD0C, "Neoverse-V1": 0xD40, "Neoverse-N2": 0xD49, "Neoverse-V2": 0xD4F,
}  # fmt: skip
# lscpu's names of lines of x86's cpuinfo.
_X86_LINES = {
    "Vendor ID": "vendor_id", "CPU family": "cpu family", "Model": "model",
    "Model name": "model name", "Stepping": "stepping", "CPU MHz": "cpu MHz", "Flags": "flags",
    "BogoMIPS": "bogomips", "Address sizes": "address sizes",
}  # fmt: skip


def fill_in_lscpu(recording: Recording) -> None:
    """Add the files that lscpu's text tells of, where no other source has them.

    Raises RecordingError where it is none of lscpu's, or of another architecture.
    """
    text = recording.text(LSCPU)
    if text is None:
        return
    said = _said(recording, text)
    architecture = said.get("Architecture")
    if architecture not in {"x86_64", "aarch64"}:
        raise recording.wrong(
            LSCPU, f"a machine of {architecture}: only x86-64 (x86_64) and arm64 (aarch64) are"
        )
    try:
        files = dict(_files(said))
    except ValueError as error:
        raise recording.wrong(LSCPU, str(error)) from error
    has_cpus, has_nodes = recording.is_directory(CPU), recording.is_directory(NODE)
    for path, content in files.items():
        known = (path.startswith(CPU) and has_cpus) or (path.startswith(NODE) and has_nodes)
        if not known and path not in recording.files:
            recording.add_file(path, content.encode())


def _said(recording: Recording, text: str) -> dict[str, str]:
    """Field and value; of hybrid processors what the first kind has."""
    if not text.lstrip().startswith("{"):
        pairs = [line.partition(":")[::2] for line in text.splitlines() if ":" in line]
        said: dict[str, str] = {}
        for field, value in pairs:
            said.setdefault(field.strip(), value.strip())
        return said
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise recording.wrong(LSCPU, f"no JSON: {error}") from error
    found: dict[str, str] = {}
    _walk(document.get("lscpu") if isinstance(document, dict) else None, found)
    if not found:
        raise recording.wrong(LSCPU, "JSON, but not what lscpu -J prints")
    return found


def _walk(entries: Any, found: dict[str, str]) -> None:
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("field"), str):
            if isinstance(entry.get("data"), str):
                found.setdefault(entry["field"].strip().removesuffix(":"), entry["data"].strip())
            _walk(entry.get("children"), found)


def _number(said: dict[str, str], field: str, otherwise: int) -> int:
    word = said.get(field, "")
    return max(1, int(word)) if word.isdecimal() and len(word) < 6 else otherwise


def _files(said: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The files.  Raises ValueError."""
    number = _number(said, "CPU(s)", 1)
    online = of_list(said.get("On-line CPU(s) list", f"0-{number - 1}"))
    offline = of_list(said.get("Off-line CPU(s) list", ""))
    cpus = sorted({*online, *offline})
    if not online or cpus[-1] >= _MOST_CPUS:
        raise ValueError(f"names no CPU, or one of more than {_MOST_CPUS}")
    yield f"{CPU}/online", as_list(online) + "\n"
    yield f"{CPU}/present", as_list(cpus) + "\n"
    nodes = {
        int(match[1]): of_list(value)
        for field, value in said.items()
        if (match := _NODE.fullmatch(field))
    }
    for node, of_node in nodes.items():
        yield f"{NODE}/node{node}/cpulist", as_list(of_node) + "\n"
    yield "proc/cpuinfo", "".join(_paragraph(said, cpu) for cpu in online)
    cores = _cores(said, online, list(nodes.values()))
    per_socket = max(1, len(cores) // _number(said, "Socket(s)", 1))
    for core, threads in enumerate(cores):
        for cpu in threads:
            top = f"{CPU}/cpu{cpu}/topology"
            yield f"{top}/core_id", f"{core % per_socket}\n"
            yield f"{top}/physical_package_id", f"{core // per_socket}\n"
            yield f"{top}/thread_siblings_list", as_list(threads) + "\n"
    yield from _frequencies(said, online)
    yield from _caches(said, cores, per_socket)
    for field, value in said.items():
        name = field.removeprefix("Vulnerability ").lower().replace(" ", "_")
        if field.startswith("Vulnerability ") and re.fullmatch(r"[a-z0-9_]{1,60}", name):
            yield (
                f"{CPU}/vulnerabilities/{name}",
                value.replace("Mitigation;", "Mitigation:", 1) + "\n",
            )


def _paragraph(said: dict[str, str], cpu: int) -> str:
    """The paragraph of /proc/cpuinfo of a CPU."""
    lines = {"processor": str(cpu)}
    if said["Architecture"] == "x86_64":
        lines |= {ours: said[field] for field, ours in _X86_LINES.items() if field in said}
    else:
        variant, _, revision = said.get("Stepping", "").removeprefix("r").partition("p")
        lines |= {
            "BogoMIPS": said.get("BogoMIPS", "50.00"),
            "Features": said.get("Flags", ""),
            "CPU implementer": hex(_IMPLEMENTERS.get(said.get("Vendor ID", ""), 0x41)),
            "CPU variant": hex(int(variant)) if variant.isdecimal() else "0x0",
            "CPU part": hex(_PARTS.get(said.get("Model name", ""), 0xD0C)),
            "CPU revision": revision if revision.isdecimal() else "0",
        }
    return "".join(f"{key}\t: {value}\n" for key, value in lines.items()) + "\n"


def _cores(said: dict[str, str], online: list[int], nodes: list[list[int]]) -> list[list[int]]:
    """The threads of each core, core by core and node by node.

    In a virtual machine neighbours in number are the threads of a core; elsewhere the second
    threads of a node come behind all its first ones.
    """
    threads = _number(said, "Thread(s) per core", 1)
    listed = {cpu for cpus in nodes for cpu in cpus}
    cores: list[list[int]] = []
    for cpus in (*nodes, [cpu for cpu in online if cpu not in listed]):
        of_node = [cpu for cpu in cpus if cpu in online]
        number = -(-len(of_node) // threads)
        if "Hypervisor vendor" in said:
            cores += [of_node[at * threads : (at + 1) * threads] for at in range(number)]
        else:
            cores += [of_node[at::number] for at in range(number)]
    return cores


def _frequencies(said: dict[str, str], online: list[int]) -> Iterator[tuple[str, str]]:
    boost = said.get("Frequency boost")
    if boost in {"enabled", "disabled"}:
        yield f"{CPU}/cpufreq/boost", f"{boost == 'enabled':d}\n"
    khz = {
        file: round(float(said[field].replace(",", ".")) * 1000)
        for field, file in (
            ("CPU max MHz", "cpuinfo_max_freq"),
            ("CPU min MHz", "cpuinfo_min_freq"),
        )
        if re.fullmatch(r"\d{1,6}([.,]\d{1,6})?", said.get(field, ""))
    }
    percent = re.fullmatch(r"(\d{1,4})%", said.get("CPU(s) scaling MHz", ""))
    if percent and "cpuinfo_max_freq" in khz:
        khz["scaling_cur_freq"] = khz["cpuinfo_max_freq"] * int(percent[1]) // 100
    for file, number in khz.items():
        for cpu in online:
            yield f"{CPU}/cpu{cpu}/cpufreq/{file}", f"{number}\n"


def _caches(
    said: dict[str, str], cores: list[list[int]], per_socket: int
) -> Iterator[tuple[str, str]]:
    """Caches; old releases tell the size of one, and not how many there are."""
    index = 0
    for field, value in said.items():
        kind, size = _CACHE.fullmatch(field), _SIZE.fullmatch(value)
        if kind is None or size is None:
            continue
        kib = round(float(size[1]) * _KIB[size[2]])
        shared = per_socket if kind[1] >= "3" else 1
        number = int(size[3]) if size[3] else -(-len(cores) // shared)
        number = min(max(1, number), len(cores))
        kib = kib // number if size[3] else kib
        for at in range(number):
            first, last = at * len(cores) // number, (at + 1) * len(cores) // number
            cpus = sorted(cpu for threads in cores[first:last] for cpu in threads)
            for cpu in cpus:
                top = f"{CPU}/cpu{cpu}/cache/index{index}"
                yield f"{top}/level", f"{kind[1]}\n"
                yield f"{top}/type", f"{_TYPES[kind[2]]}\n"
                yield f"{top}/size", f"{kib}K\n"
                yield f"{top}/shared_cpu_list", as_list(cpus) + "\n"
        index += 1
