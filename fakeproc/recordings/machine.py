"""A recording as the document of a profile, ready to be written as TOML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fakeproc.personality import VERSIONS
from fakeproc.recordings.cpu_lists import of_list
from fakeproc.recordings.dmi import dmi_of
from fakeproc.recordings.interrupts import interrupts_of, table_of
from fakeproc.recordings.lacking import lacks_of
from fakeproc.recordings.lscpu import LSCPU
from fakeproc.recordings.memory import memory_of
from fakeproc.recordings.processors import architecture_of, cpus_of
from fakeproc.recordings.vmbus import add_vmbus

if TYPE_CHECKING:
    from fakeproc.recordings.findings import Findings
    from fakeproc.recordings.tree import Recording

__all__ = ["machine_of"]

_BANNER = re.compile(r"Linux version (\S+) \((\S+)\) \((.*)\) (#.*)")
# Chip and flow as one word, as old kernels print them (3.13 still, 4.13 no longer).
_JOINED = re.compile(r"^ *\d+:(?: +\d+)+ +[A-Za-z]\S*?-(?:edge|fasteoi|level)(?: |$)", re.M)
# What hwloc-gather-topology keeps of uname(2), where there is no banner.
_UNAME = re.compile(r"^OS(Release|Version): ([^\n]{1,100})$", re.M)
# And what a sos report has of `uname -a`.
_UNAME_A = re.compile(r"Linux \S+ (\S+) (#.*?)(?: (?:x86_64|aarch64|unknown|GNU/Linux))*\s*$")
_RELEASE = re.compile(r"(\d+)\.(\d+)")


def machine_of(recording: Recording, description: str, findings: Findings) -> dict[str, Any]:
    """The document.  Raises RecordingError for what cannot be read or is no machine of ours."""
    architecture = architecture_of(recording)
    table = table_of(recording)
    columns = list(table.cpus) if table else []
    cpus = cpus_of(recording, architecture, columns, findings)
    present = [cpu for group in cpus["groups"] for cpu in of_list(group["cpus"])]
    offline = set(of_list(cpus.get("offline", "")))
    online = [cpu for cpu in present if cpu not in offline]
    if LSCPU in recording.files:
        findings.found.append(f"lscpu's summary of {len(present)} CPUs")
        findings.assumed.append(
            "that CPUs are numbered in the usual order, where lscpu counts them"
        )
    kernel = _kernel(recording, findings)
    memory = memory_of(recording, present, findings)
    if "nodes" not in memory and recording.is_directory("sys/devices/system/cpu/cpu0/topology"):
        cpus["nodes"] = 0  # a kernel without NUMA
    machine: dict[str, Any] = {
        "description": description,
        "architecture": architecture,
        "hyperv": False,
        "kernel": kernel,
        "cpus": cpus,
        **memory,
        "dmi": {"ids": dmi_of(recording)},
    }
    uptime = re.match(r"\d{1,9}", recording.text("proc/uptime") or "")
    if uptime:
        machine["uptime_s"] = int(uptime[0])
    if table is None:
        findings.missing.append("/proc/interrupts")
        findings.assumed.append("no interrupts but the timers'")
    else:
        machine |= interrupts_of(recording, table, online, findings)
    add_vmbus(recording, machine, table, findings)
    return machine


def _kernel(recording: Recording, findings: Findings) -> dict[str, Any]:
    """The kernel, by its banner, or else by the blanks of /proc/interrupts."""
    banner = _BANNER.match(recording.text("proc/version") or "")
    kernel: dict[str, Any] = {"series": "absent"}
    lacks = lacks_of(recording)
    if lacks:
        kernel["lacks"] = lacks
    joined = _JOINED.search(recording.text("proc/interrupts") or "") is not None
    if joined:
        kernel["hwirq_column"] = False
    cmdline = recording.line("proc/cmdline")
    if cmdline:
        kernel["cmdline"] = cmdline
    if banner is not None:
        release, builder, compiler, build = banner.groups()
        kernel |= {"release": release, "builder": builder, "compiler": compiler, "build": build}
    else:
        findings.missing.append("/proc/version")
        uname = _uname(recording)
        release = uname.get("release", "")
        kernel |= uname if len(uname) == 2 else {}
    match = _RELEASE.match(release)
    if match is None:
        kernel["version"] = next(iter(VERSIONS)) if joined else _by_blanks(recording)
        findings.assumed.append(f"Linux {kernel['version']}")
        return kernel
    wanted = int(match[1]), int(match[2])
    older = [v for v in VERSIONS if tuple(map(int, v.split("."))) <= wanted]
    kernel["version"] = older[-1] if older else next(iter(VERSIONS))
    findings.found.append(f"Linux {release}")
    if kernel["version"].split(".") != release.split("-")[0].split(".")[:2]:
        findings.assumed.append(f"that it behaves as Linux {kernel['version']}")
    return kernel


def _uname(recording: Recording) -> dict[str, str]:
    """Release and build of the kernel, as far as something beside /proc tells them."""
    said = _UNAME_A.match(recording.text("sos_commands/kernel/uname_-a") or "")
    if said is not None:
        return {"release": said[1], "build": said[2]}
    found = _UNAME.findall(recording.text("proc/hwloc-nofile-info") or "")
    return {{"Release": "release", "Version": "build"}[key]: text for key, text in found}


def _by_blanks(recording: Recording) -> str:
    """v6.13 took away a blank before the chip, which is eight wide at least."""
    text = recording.text("proc/interrupts") or ""
    row = re.search(r"^ *\d+:(?: +\d+)+( +)(IO-APIC|GICv[23]|PCI-MSI)", text, re.M)
    if row is None:
        return "6.12"
    return "6.12" if len(row[1]) - max(0, 8 - len(row[2])) >= 2 else "6.18"
