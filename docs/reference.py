"""Pages of the reference, made from the code: `python docs/reference.py` writes docs/reference/."""

from __future__ import annotations

import dataclasses
import errno
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import facts

from fakeproc import access_record, agenda, journal, personality
from fakeproc.files.host import commands as host_commands
from fakeproc.files.host import words as host_words
from fakeproc.files.kernels import versions
from fakeproc.guest import log as guest_log
from fakeproc.guest.base import uevents
from fakeproc.guest.irq.faults import AFFINITY_ERRNOS
from fakeproc.host.faults import Fault
from fakeproc.profiles.kernels import KERNELS
from fakeproc.protocol.classes import CLASS_GUIDS

DIRECTORY = Path(__file__).with_name("reference")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines) + "\n"


def cell(text: str) -> str:
    """Text that may stand in a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def plain(text: str) -> str:
    """Text outside of code, in which <n> is no HTML."""
    return re.sub(r"(`[^`]*`)|<", lambda found: found[1] or "&lt;", text)


# -- Files ------------------------------------------------------------------------

# Where a page has a heading of its own, and what stands below it.
SECTIONS = (
    ("proc/irq/<n>", "An interrupt that was ever requested."),
    ("proc/irq", "All interrupts."),
    ("proc", "The guest's kernel and processors."),
    ("sys/bus/vmbus/drivers/<driver>", "A driver of the VMBus."),
    ("sys/bus/vmbus", "The VMBus. `devices/` links to the devices."),
    ("sys/bus", "The other buses."),
    (
        f"{facts.DEVICE}/channels/<relid>",
        "A channel: the primary one of a device, or a sub-channel.",
    ),
    (f"{facts.DEVICE}/host<n>", "A SCSI host. `sys/class/scsi_host` links to it."),
    (f"{facts.DEVICE}/pci", "A PCI function that is passed through, below its VMBus device."),
    (facts.DEVICE, "A VMBus device. `sys/bus/vmbus/devices/<guid>` links to it."),
    ("sys/devices/system/cpu/cpu<n>/cache", "The caches of a CPU."),
    ("sys/devices/system/cpu/cpu<n>/topology", "Where a CPU is, and with whom."),
    ("sys/devices/system/cpu/cpu<n>", "A CPU."),
    ("sys/devices/system/cpu", "All CPUs."),
    ("sys/devices/system/node", "NUMA nodes."),
    ("sys/devices/virtual/dmi/id", "The firmware. `sys/class/dmi/id` links to it."),
    ("<any interface>", "A network interface. `sys/class/net/<interface>` links to it."),
    ("<any device>/power", "Power management of a device, a CPU or a bus."),
    ("sys/kernel/irq/<n>", "An interrupt, from its allocation on: before it is requested, too."),
    ("sys", "Others."),
    ("host", "The host's console: see [its own page](console.md)."),
)


def files_page() -> str:
    """Every file of the tree."""
    parts = [
        "# Files\n\n"
        "Every file of a mounted guest, as the code declares it. `<n>`, `<relid>`, `<guid>` stand "
        "for one of many. The column *kernels* says on which of the [kernels](kernels.md) the file "
        "is; all were tried. A file that can be read and not written has the mode 0444, one that "
        "can only be written 0200. Errors are those of the kernel.\n"
    ]
    left = dict(facts.files())
    for prefix, said in SECTIONS:
        mine = {path: left.pop(path) for path in list(left) if path.startswith(prefix)}
        parts.append(f"## `{prefix}`\n\n{plain(said)}\n")
        parts.append(
            table(("file", "mode", "meaning", "kernels", "deviations"), _rows(prefix, mine))
        )
    if left:
        raise ValueError(f"below no heading of the page: {', '.join(left)}")
    return "\n".join(parts)


def _rows(prefix: str, files: dict[str, facts.File]) -> Iterable[tuple[str, ...]]:
    for path, file in files.items():
        name = path.removeprefix(prefix).lstrip("/")
        name = path.rpartition("/")[2] if prefix.endswith("/pci") else name
        modes = " or ".join(f"{mode:04o}" for mode in sorted(file.modes, reverse=True))
        said = [file.reads.rstrip(".") + "." if file.reads else ""]
        if any(mode & 0o222 for mode in file.modes):
            said.append(f"Written: {file.writes.rstrip('.') or 'the same'}.")
            said.append(f"Who writes it: {file.written_by}." if file.written_by else "")
        yield (
            f"`{name}`",
            modes,
            plain(" ".join(filter(None, said))),
            file.since,
            plain(file.differs),
        )


# -- The console --------------------------------------------------------------------


def console_page() -> str:
    """The files of host/."""
    parts = [
        "# The host's console\n\n"
        "`host/` is the way to drive a guest: Hyper-V's side, which no real guest can see. A write "
        "is any number of lines, one command a line; all are carried out, or none. A line that is "
        "wrong is EINVAL, and the last line of `host/log` says what is wrong with it. In a window "
        "of `fakeproc run` the console is `$FAKEPROC/host`.\n"
    ]
    for path, file in facts.files().items():
        if not path.startswith("host/"):
            continue
        name = path.removeprefix("host/")
        (mode,) = file.modes
        parts.append(f"## `{name}`\n\nMode {mode:04o}.\n")
        if file.reads:
            parts.append(f"Read: {plain(file.reads)}\n")
        if file.writes:
            parts.append(f"Written: {plain(file.writes)}\n")
        parts.append(MORE_OF_THE_CONSOLE.get(name, ""))
    return "\n".join(filter(None, parts))


def _faults() -> str:
    said = facts.comments(Fault)
    rows = [(f"`{fault.value} [N]`", said[fault.name]) for fault in Fault]
    rows.append(("`pending RELID`", "an event of that channel stays pending, until `clear`"))
    errnos = ", ".join(f"`{name}`" for name in AFFINITY_ERRNOS)
    rows.append(
        (
            "`affinity ERRNO [irq<N>] [COUNT]`",
            f"the next writes of the affinity of an interrupt, or of all, fail with {errnos}",
        )
    )
    rows.append(
        (
            "`irq enomem [COUNT]`",
            "the guest finds no memory for the Linux interrupt of the next channels (patch 8)",
        )
    )
    rows.append(("`stuck RELID`", "that channel interrupts nobody until `clear`, and then once"))
    request = "`read|write PATTERN [N]`"
    rows += [
        (f"{request} `ERRNO`", "the N-th read or write of such a path from now on, counted by "
         "read(2) and write(2), ends with that errno; `*` in a pattern stands for anything"),
        (f"{request} `late SECONDS`", "it takes so long"),
        (f"{request} `short BYTES`", "it reads, or hands over, no more than that"),
        (f"{request} `hang`", "it does not end before `release`, or `clear`"),
        (f"{request} `with MOMENT PATH DATA`", "in the middle of it another write is made, as "
         "`host/at` would: `with +0.0001 host/rescind 13`"),
    ]  # fmt: skip
    rows.append(("`release`", "what hangs goes on"))
    rows.append(("`clear`", "nothing more goes wrong"))
    return table(("fault", "what becomes of the next N such requests, or of the next one"), rows)


def kept_of(what: str, most: int, most_bytes: int) -> str:
    """How many of something are kept."""
    return (
        f"The last {most:,} {what} are kept, and fewer where their paths and data together have "
        f"more than {most_bytes >> 20} MiB."
    )


MORE_OF_THE_CONSOLE = {
    "fault": _faults(),
    "offer": (
        "CLASS is one of: " + ", ".join(f"`{name}`" for name in CLASS_GUIDS) + ".\n\n"
        "The keys of a device are `count=N`, how many of them; `guid=G`, its instance; `relid=N`; "
        "`subchannels=N`, how many more channels it can have; `pci=nic` or `pci=nvme`, what lies "
        "behind a vpci device; `disks=GIB,GIB`, those of a storage "
        "controller; `connection=N`, where the host has several. Those of a connection "
        "by socket are `count=N`, `port=N` or `service=GUID`, `initiator=host` or "
        "`initiator=guest`, `guid=G` and `relid=N`.\n\n"
        "A connection by socket (`hv_sock`) is a device of its own for as long as it lasts. Its "
        "class GUID is the service that it goes to: a GUID, or a port, which stands in front of "
        "`facb-11e6-bd58-64006a7986d3`. Without either, each connection takes the next port, from "
        "1024 on. The host connects to the guest, or with `initiator=guest` a program of the guest "
        "connects to the host. Linux opens no connection to a service that no port stands for.\n"
    ),
    "rescind": "Without COUNT all connections by socket end; with it the oldest ones.\n",
    "traffic": (
        "WHO is a relid; a class, which stands for all its channels; `hv_sock`, all connections by "
        "socket; `all` channels; `irq<N>`, an interrupt of no channel; `timer`, the "
        "timers of all CPUs. RATE is in interrupts a "
        f"second, at most {host_commands.MAX_RATE:g}.\n"
    ),
    "interrupt": f"COUNT is 1 where it is left out, and at most {host_words.MAX_COUNT}.\n",
    "clock": (
        "`manual`: time passes only when told. `advance SECONDS`: it passes at once, and all that "
        "was due happens. `hold`: as `manual`, but a write that takes machine time sleeps until "
        "somebody else moves the clock. `real`: it passes by itself, RATE times as fast as yours.\n"
    ),
    "accesses": f"{kept_of('accesses', access_record.CAPACITY, access_record.MOST_BYTES)}\n",
    "at": (
        f"At most {agenda.CAPACITY:,} requests wait, each with a path and data of at most "
        f"{agenda.MOST_DATA:,} bytes together; of those that were made the last "
        f"{agenda.CAPACITY:,} are shown.\n"
    ),
    "journal": (
        f"{kept_of('entries', journal.CAPACITY, journal.MOST_BYTES)} A journal that has lost some "
        "says so, and cannot be played.\n"
    ),
    "log": (
        f"The ring has {guest_log.LOG_BUF_LEN // 1024} KiB of text and at most "
        f"{guest_log.LOG_BUF_LEN // guest_log.AVERAGE:,} records, as a distribution's kernel "
        f"(`CONFIG_LOG_BUF_SHIFT=18`); a record has at most {guest_log.RECORD_MAX:,} bytes.\n"
    ),
    "uevents": f"The last {uevents.CAPACITY:,} are kept.\n",
    "state.json": (
        "CPUs and sets of CPUs are lists of numbers; counts are objects from CPU to number, "
        "without zeros; times are seconds of the machine's clock.\n"
    ),
}


# -- Kernels --------------------------------------------------------------------------


def kernels_page() -> str:
    """The kernels, and what differs between them."""
    names = [(f"`{name}`", version, series) for name, (version, series) in KERNELS.items()]
    return (
        "# Kernels\n\nA guest runs one of these, as its profile says or `--kernel` does.\n\n"
        + table(("name", "Linux", "the series"), names)
        + "\n## What a kernel does\n\nStraight from `fakeproc/personality.py`; an empty cell is "
        "as the one before it.\n\n"
        + _differences(personality.Version, personality.VERSIONS)
        + "\n## What its files look like\n\nStraight from `fakeproc/files/kernels/versions.py`.\n\n"
        + _differences(versions.Shown, versions.SHOWN)
        + "\n## What was done with the series\n\n"
        + table(
            ("series", *(f"`{field.name}`" for field in dataclasses.fields(personality.Series))),
            (
                (name, *(_shown("", value) for value in dataclasses.astuple(series)))
                for name, series in personality.SERIES.items()
            ),
        )
    )


def _differences(of: type, rows_of: Mapping[str, object]) -> str:
    """A row for each field in which the versions differ."""
    said = KERNEL_FACTS | facts.comments(of, on_lines_above=False)
    rows = []
    for field in dataclasses.fields(of):
        if field.name == "hotplug_states":  # whole texts
            continue
        values = [_shown(field.name, getattr(row, field.name)) for row in rows_of.values()]
        before = ["", *values]
        cells = ["" if value == before[at] else value for at, value in enumerate(values)]
        if len(set(values)) > 1:
            rows.append((f"`{field.name}`", plain(said.get(field.name, "")), *cells))
    return table(("what", "meaning", *rows_of), rows)


def _shown(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name.endswith("_errno"):
        return errno.errorcode[value]
    if isinstance(value, int) and name.endswith("_mode"):
        return f"{value:04o}"
    if isinstance(value, frozenset):
        return ", ".join(f"`{one}`" for one in sorted(value)) or "none"
    if isinstance(value, tuple):
        names = isinstance(value[0], str)
        versions = (".".join(map(str, one)) for one in value)
        return f"{len(value)} names" if names else ", ".join(versions)
    return "by its size" if value is None else f"`{value}`"


# What the tables say of a group of fields, or take for granted.
KERNEL_FACTS = {
    "interrupts_layout": "the layout of `/proc/interrupts`: that of this version",
    "unsettable_affinity_errno": "the error of a write to an affinity that user space may not set",
    "unsettable_affinity_mode": "the mode of such a file",
    "vmbus_versions": "the VMBus protocols that the guest asks for, in this order",
    "fcopy_driver": "who drives the class `fcopy`",
}


# -- Profiles ---------------------------------------------------------


def profile_page() -> str:
    """Every key of a profile."""
    parts = [
        "# Profiles\n\n"
        "A profile is a TOML file: `fakeproc profiles show hyperv-gen2` prints one to start from. "
        "What is not listed here, of the wrong type, or in contradiction with the rest is refused "
        "when it is loaded, in one sentence with the line and the key. A mounted guest shows its "
        "own, with every default, as `host/profile.toml`.\n"
    ]
    for name, said, keys in facts.tables():
        heading = name if name.startswith("(") else f"`{name}`"
        parts.append(f"## {heading}\n\n{plain(said)}\n")
        rows = (
            (
                f"`{key.name}`",
                key.type,
                f"`{key.default}`" if key.default else "",
                plain(key.meaning),
            )
            for key in keys
        )
        parts.append(table(("key", "type", "default", "meaning"), rows))
    parts.append("`class` takes a class GUID or one of these names:\n")
    parts.append(
        table(("name", "class GUID"), ((f"`{n}`", f"`{guid}`") for n, guid in CLASS_GUIDS.items()))
    )
    return "\n".join(parts)


PAGES: dict[str, Callable[[], str]] = {
    "files": files_page,
    "console": console_page,
    "kernels": kernels_page,
    "profile": profile_page,
}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (DIRECTORY / f"{name}.md").write_text(page())
