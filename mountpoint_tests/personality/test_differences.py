"""Every difference between kernels that a program can see, each held to its value.

A test's id is the kernel, the difference, and the release (and commit) that made it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
from model.guests import (
    captured_toml,
    channel_path,
    interrupt_rows,
    node_at,
    read,
    stored,
    text,
    write,
)

from fakeproc import profiles
from fakeproc.guest.hv.ring import Ring
from fakeproc.machine import Machine

from .kernels import (
    FCOPY,
    HEARTBEAT,
    NETVSC,
    VERSIONS,
    console,
    counts,
    elapsed,
    guest,
    log,
    rows,
    set_cpu,
    set_online,
    settle,
)

CPU = "/sys/devices/system/cpu"


@dataclass(frozen=True)
class Difference:
    """What is asked of a guest, and what each kernel answers.

    `answers` has the first version of each answer; `made` says what made the last of them.
    """

    what: str
    made: str
    ask: Callable[[str], object]
    answers: Mapping[str, object]

    def expected(self, version: str) -> object:
        since = [v for v in self.answers if VERSIONS.index(v) <= VERSIONS.index(version)]
        return self.answers[since[-1]]


def cases(table: tuple[Difference, ...]) -> list[object]:
    return [
        pytest.param(each, version, id=f"{version}: {each.what} ({each.made})")
        for each in table
        for version in VERSIONS
    ]


# /proc/interrupts ----------------------------------------------------------------------------


def two_cpus(
    version: str, series: str = "as meant", more: str = "", possible: str = "2"
) -> Machine:
    """A guest on whose first two CPUs rows have counted what those in the tables below have."""
    base = captured_toml("small-2cpu")
    machine = guest(version, series, base=base, possible=possible, threads_per_core="1", more=more)
    kernel = machine.kernel
    for desc in kernel.irqs.descs.values():
        kernel.irqs.restore(desc, {0: 16841} if desc.hwirq == 7 else {})
    kernel.accounting.restore_arch("HYP", {0: 8123, 1: 45})
    for cpu in range(2, int(possible)):
        kernel.cpus.online &= ~(1 << cpu)
    return machine


def row(label: str, **how: str) -> Callable[[str], str]:
    return lambda version: rows(two_cpus(version, **how))[label]


def with_vpci(version: str) -> list[str]:
    """The rows of a channel and of a vPCI function's first vector, which is wider."""
    base = """
description = "a NIC that is passed through"
[cpus]
possible = 2
[[vmbus.devices]]
class = "heartbeat"
instance = "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0"
relid = 7
[[vmbus.devices]]
class = "vpci"
instance = "47505500-c05b-0000-3130-444531454238"
relid = 8
"""
    table = rows(guest(version, "as meant", base=base))
    return [table["24"], table["26"]]


def arm64(version: str, series: str = "as meant") -> Machine:
    base = """
description = "arm64"
architecture = "arm64"
[cpus]
possible = 2
[[vmbus.devices]]
class = "heartbeat"
instance = "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0"
relid = 24
[arch]
IPI0 = [312, 298]
"""
    machine = guest(version, series, base=base)
    machine.kernel.irqs.restore(machine.kernel.irqs.descs[12], {0: 52, 1: 7})
    return machine


def arm64_row(label: str) -> Callable[[str], str]:
    return lambda version: rows(arm64(version))[label]


def labels(machine: Machine) -> str:
    """The rows that are no Linux interrupts."""
    return " ".join(label for label in rows(machine) if label and not label.isdigit())


def row_without_action(version: str) -> str | None:
    """What is left of the row of an IRQ that has counted, and whose action is gone."""
    machine = two_cpus(version)
    desc = machine.kernel.irqs.descs[8]
    machine.kernel.irqs.restore(desc, {0: 5})
    machine.kernel.irqs.release(desc)
    return rows(machine).get("8")


def errors_and_misrouted(version: str) -> list[str | None]:
    """The rows ERR and MIS once there has been one."""
    machine = two_cpus(version)
    for label in ("ERR", "MIS"):
        machine.kernel.accounting.count_arch(label, 1, 3)
    return [rows(machine)[label] for label in ("ERR", "MIS")]


X86_6_1 = "NMI LOC SPU PMI IWI RTR RES CAL TLB TRM THR DFR MCE MCP HYP HRE HVS ERR MIS PIN NPI PIW"
X86_7_2 = "NMI LOC PMI IWI RES CAL TLB TRM THR MCE MCP HYP HRE HVS PIN NPI PIW VPMI"
ALIGNED = "v6.13, commit f9ed1f7c2e26; v7.2, irq-core-2026-06-13"
NEW_LAYOUT = "v7.2, irq-core-2026-06-13"

INTERRUPTS = (
    Difference(
        "header",
        NEW_LAYOUT,
        row(""),
        {
            "6.1": "           CPU0       CPU1       ",
            "7.2": "            CPU0       CPU1       ",
        },
    ),
    Difference(
        "row of a channel",
        ALIGNED,
        row("24"),
        {
            "6.1": " 24:      16841          0     VMBus   7  heartbeat",
            "6.18": " 24:      16841          0    VMBus   7  heartbeat",
            "7.2": "  24:      16841          0  VMBus       7  heartbeat",
        },
    ),
    Difference(
        "row of the IO-APIC",
        ALIGNED,
        row("8"),
        {
            "6.1": "  8:          0          0   IO-APIC   8-edge      rtc0",
            "6.18": "  8:          0          0  IO-APIC   8-edge      rtc0",
            "7.2": "   8:          0          0  IO-APIC     8-edge      rtc0",
        },
    ),
    Difference(
        "row of the architecture",
        NEW_LAYOUT,
        row("HYP"),
        {
            "6.1": "HYP:       8123         45   Hypervisor callback interrupts",
            "7.2": " HYP:       8123         45  Hypervisor callback interrupts",
        },
    ),
    Difference(
        "row of a channel with 40 possible CPUs",
        NEW_LAYOUT,
        row("24", possible="40"),
        {
            "6.1": " 24:      16841          0     VMBus   7  heartbeat",
            "6.18": " 24:      16841          0    VMBus   7  heartbeat",
            "7.2": "   24:      16841          0  VMBus        7  heartbeat",
        },
    ),
    Difference(
        "rows with a vPCI function",
        "v6.17, 'Switch to msi_create_parent_irq_domain'; v7.2, irq-core-2026-06-13",
        with_vpci,
        {
            "6.1": [
                " 24:          0          0     VMBus   7  heartbeat",
                " 26:          0          0  Hyper-V PCIe MSI 6609283612672-edge"
                "      mlx5_async0@pci:c05b:00:02.0",
            ],
            "6.18": [
                " 24:          0          0    VMBus   7  heartbeat",
                " 26:          0          0 HV-PCI-MSIX-c05b:00:02.0   0-edge"
                "      mlx5_async0@pci:c05b:00:02.0",
            ],
            "7.2": [
                "  24:          0          0  VMBus                       7  heartbeat",
                "  26:          0          0  HV-PCI-MSIX-c05b:00:02.0    0-edge"
                "      mlx5_async0@pci:c05b:00:02.0",
            ],
        },
    ),
    Difference(
        "rows of the architecture",
        "v7.0, commit a05385d84b2a; v7.2, irq-core-2026-06-13",
        lambda version: labels(two_cpus(version)),
        {"6.1": X86_6_1, "7.2": X86_7_2},
    ),
    Difference(
        "rows on a host without direct timers",
        NEW_LAYOUT,
        lambda version: labels(guest(version, base=profiles.source("hyperv-old-host"))),
        {
            "6.1": X86_6_1.replace(" HRE HVS", ""),
            "7.2": X86_7_2.replace(" HRE HVS", ""),
        },
    ),
    Difference(
        "errors, once there are some",
        NEW_LAYOUT,
        errors_and_misrouted,
        {
            "6.1": ["ERR:          3", "MIS:          3"],
            "7.2": [
                " ERR:          0          3  PIC/APIC error interrupts",
                " MIS:          0          3  Misrouted IO/APIC interrupts",
            ],
        },
    ),
    Difference(
        "row whose action is gone",
        "v6.11, commit 540588772ed0",
        row_without_action,
        {"6.1": "  8:          5          0   IO-APIC   8-edge    ", "6.10": None},
    ),
    Difference(
        "arm64: header",
        NEW_LAYOUT,
        arm64_row(""),
        {
            "6.1": "           CPU0       CPU1       ",
            "7.2": "            CPU0       CPU1       ",
        },
    ),
    Difference(
        "arm64: row of a channel",
        ALIGNED,
        arm64_row("24"),
        {
            "6.1": " 24:          0          0     VMBus  24 Edge      heartbeat",
            "6.18": " 24:          0          0    VMBus  24 Edge      heartbeat",
            "7.2": "  24:          0          0  VMBus      24 Edge      heartbeat",
        },
    ),
    Difference(
        "arm64: row of the VMBus",
        ALIGNED,
        arm64_row("12"),
        {
            "6.1": " 12:         52          7     GICv3  18 Edge      Hyper-V VMbus",
            "6.18": " 12:         52          7    GICv3  18 Edge      Hyper-V VMbus",
            "7.2": "  12:         52          7  GICv3      18 Edge      Hyper-V VMbus",
        },
    ),
    Difference(
        "arm64: row of an IPI",
        "between v6.13 and v7.2",
        arm64_row("IPI0"),
        {
            "6.1": "IPI0:       312        298       Rescheduling interrupts",
            "7.2": "IPI0:        312        298  Rescheduling interrupts",
        },
    ),
    Difference(
        "arm64: errors",
        NEW_LAYOUT,
        arm64_row("Err"),
        {"6.1": "Err:          0", "7.2": " Err:          0"},
    ),
    Difference(
        "arm64: the IPIs there are",
        "v6.7, and by v6.12",
        lambda version: [
            line.split("0  ")[-1].strip()
            for label, line in rows(arm64(version)).items()
            if label in {"IPI3", "IPI6", "IPI7"}
        ],
        {
            "6.1": ["CPU stop (for crash dump) interrupts", "CPU wake-up interrupts"],
            "6.10": [
                "CPU stop (for crash dump) interrupts",
                "CPU backtrace interrupts",
                "KGDB roundup interrupts",
            ],
            "6.12": ["CPU stop NMIs", "CPU backtrace interrupts", "KGDB roundup interrupts"],
        },
    ),
)


@pytest.mark.parametrize(("difference", "version"), cases(INTERRUPTS))
def test_proc_interrupts(difference: Difference, version: str) -> None:
    assert difference.ask(version) == difference.expected(version)


# /proc/irq, /proc/stat, CPUs -----------------------------------------------------------------


def settable(data: bytes) -> Callable[[str], object]:
    """What writing to the affinity of an IRQ that nobody may move gives."""

    def ask(version: str) -> object:
        machine = guest(version)
        machine.kernel.irqs.descs[8].settable = False
        return [write(machine, f"/proc/irq/8/smp_affinity{name}", data) for name in ("", "_list")]

    return ask


def mode_of_unsettable(version: str) -> list[int]:
    machine = guest(version)
    machine.kernel.irqs.descs[8].settable = False
    return [node_at(machine, f"/proc/irq/{irq}/smp_affinity").mode for irq in (8, 9)]


def grows_by(label: str, architecture: str = "x86_64") -> Callable[[str], int]:
    """By how much the total of `intr` grows when a row of the architecture counts 7."""

    def ask(version: str) -> int:
        machine = guest(version) if architecture == "x86_64" else arm64(version, "absent")

        def total() -> int:
            (intr,) = (
                line for line in text(machine, "/proc/stat").splitlines() if line[:5] == "intr "
            )
            return int(intr.split()[1])

        before = total()
        machine.kernel.accounting.count_arch(label, 1, 7)
        return total() - before

    return ask


def online(data: str) -> Callable[[str], object]:
    """What a word to the `online` of a CPU that no channel is on gives."""

    def ask(version: str) -> object:
        machine = guest(version, "as meant")
        assert write(machine, "/proc/irq/38/smp_affinity", b"1") == 1  # it was on CPU 5
        if data.startswith(("e", "E")):
            assert set_online(machine, 5, "0") == 1
        answer = set_online(machine, 5, data)
        return answer, text(machine, f"{CPU}/cpu5/online")

    return ask


def cpu0_online(architecture: str, more: str = "") -> Callable[[str], object]:
    def ask(version: str) -> object:
        base = profiles.source("hyperv-arm64") if architecture == "arm64" else ""
        machine = guest(version, base=base, more=more)
        return read(machine, f"{CPU}/cpu0/online"), set_online(machine, 0, "0")

    return ask


def of_arm64(path: str) -> Callable[[str], object]:
    return lambda version: read(arm64(version, "absent"), path)


def files(directory: str, *names: str) -> Callable[[str], set[str]]:
    """Which of these files there are."""

    def ask(version: str) -> set[str]:
        machine = guest(version)
        return {name for name in names if node_at(machine, f"{directory}/{name}") is not None}

    return ask


def smt(data: str, threads: str = "2") -> Callable[[str], object]:
    return lambda version: write(
        guest(version, threads_per_core=threads), f"{CPU}/smt/control", data.encode()
    )


PERMISSIONS = "v6.12, commit c7718e5c76d4"
REFUSALS = "v6.12, commit eb29369fa543"
KSTRTOBOOL = "v6.16, kstrtobool"
SMT = "v6.6, commit 7f48405c3c34"

SYSTEM = (
    *(
        Difference(
            f"write of {data!r} to an affinity that is not settable",
            REFUSALS,
            settable(data),
            {"6.1": ["EIO", "EIO"], "6.12": ["EPERM", "EPERM"]},
        )
        for data in (b"1\n", b"", b"junk", b"8" * 5000)
    ),
    Difference(
        "mode of an affinity that is not settable, and of one that is",
        PERMISSIONS,
        mode_of_unsettable,
        {"6.1": [0o644, 0o644], "6.12": [0o444, 0o644]},
    ),
    Difference(
        "/proc/irq/8: links that nlink counts",
        "seen on 6.12.95, not on 6.12.117",
        lambda version: node_at(guest(version), "/proc/irq/8").nlink,
        {"6.1": 3, "6.12": 10, "6.18": 3},
    ),
    *(
        Difference(f"{label} in the total of intr", NEW_LAYOUT, grows_by(label), answers)
        for label, answers in (
            ("TLB", {"6.1": 0, "7.2": 7}),
            ("DFR", {"6.1": 0, "7.2": 7}),
            ("PIN", {"6.1": 0, "7.2": 7}),
            ("LOC", {"6.1": 7}),
            ("HYP", {"6.1": 7}),
        )
    ),
    Difference("arm64: IPI0 in the total of intr", "never", grows_by("IPI0", "arm64"), {"6.1": 0}),
    *(
        Difference(f"online <- {word!r}", KSTRTOBOOL, online(word), answers)
        for word, answers in (
            ("d", {"6.1": ("EINVAL", "1\n"), "6.18": (1, "0\n")}),
            ("disable", {"6.1": ("EINVAL", "1\n"), "6.18": (7, "0\n")}),
            ("e", {"6.1": ("EINVAL", "0\n"), "6.18": (1, "1\n")}),
            ("Enable\n", {"6.1": ("EINVAL", "0\n"), "6.18": (7, "1\n")}),
            ("off", {"6.1": (3, "0\n")}),
            ("f", {"6.1": (1, "0\n")}),
            ("x", {"6.1": ("EINVAL", "1\n")}),
        )
    ),
    Difference(
        "cpu0/online on x86",
        "v6.5, 'x86/smp: Make CPU0 not hotpluggable'",
        cpu0_online("x86_64"),
        {"6.1": ("ENOENT", "ENOENT")},
    ),
    Difference(
        "cpu0/online on x86 booted with cpu0_hotplug",
        "v6.5, 'x86/smp: Make CPU0 not hotpluggable'",
        cpu0_online("x86_64", 'cmdline = "root=/dev/sda1 cpu0_hotplug"\n'),
        {"6.1": (b"1\n", "EBUSY"), "6.10": ("ENOENT", "ENOENT")},
    ),
    Difference(
        "cpu0/online on arm64, which the VMBus holds",
        "hv_synic_cleanup",
        cpu0_online("arm64"),
        {"6.1": (b"1\n", "EBUSY")},
    ),
    Difference(
        "nohz_full",
        "between v6.13 and v6.18",
        lambda version: read(guest(version), f"{CPU}/nohz_full"),
        {"6.1": b"  (null)\n", "6.18": b"\n"},
    ),
    Difference(
        "arm64: nohz_full",
        "by v6.12; between v6.13 and v6.18",
        of_arm64(f"{CPU}/nohz_full"),
        {"6.1": b"\n", "6.12": b"(null)\n", "6.18": b"\n"},
    ),
    Difference(
        "files of /sys/devices/system/cpu",
        "v6.6 crash_hotplug; v6.11 enabled; v6.19 or v7.0 housekeeping",
        files(CPU, "crash_hotplug", "enabled", "housekeeping"),
        {
            "6.1": set(),
            "6.10": {"crash_hotplug"},
            "6.12": {"crash_hotplug", "enabled"},
            "7.2": {"crash_hotplug", "enabled", "housekeeping"},
        },
    ),
    Difference(
        "files of vulnerabilities",
        "by v6.18",
        files(f"{CPU}/vulnerabilities", "spectre_v1", "ghostwrite", "old_microcode"),
        {"6.1": {"spectre_v1"}, "6.18": {"spectre_v1", "ghostwrite", "old_microcode"}},
    ),
    Difference(
        "cpu_capacity on x86",
        "by v6.18",
        lambda version: read(guest(version), f"{CPU}/cpu1/cpu_capacity"),
        {"6.1": "ENOENT", "6.18": b"1024\n"},
    ),
    Difference(
        "cpu_capacity on arm64", "always", of_arm64(f"{CPU}/cpu1/cpu_capacity"), {"6.1": b"1024\n"}
    ),
    Difference("smt/control <- 2", SMT, smt("2\n"), {"6.1": "EINVAL", "6.10": 2}),
    Difference("smt/control <- 3", SMT, smt("3\n"), {"6.1": "EINVAL"}),
    Difference("smt/control <- on", "always", smt("on\n"), {"6.1": 3}),
    Difference(
        "smt/control <- bogus without threads",
        SMT,
        smt("bogus", threads="1"),
        {"6.1": "EINVAL", "6.10": "ENODEV"},
    ),
    Difference("smt/control <- on without threads", SMT, smt("on", threads="1"), {"6.1": "ENODEV"}),
)


@pytest.mark.parametrize(("difference", "version"), cases(SYSTEM))
def test_irqs_and_cpus(difference: Difference, version: str) -> None:
    assert difference.ask(version) == difference.expected(version)


# The VMBus -----------------------------------------------------------------------------------


def netvsc_channels(possible: str, threads: str) -> Callable[[str], int]:
    """How many channels an adapter opens on a host that has 64."""
    base = f"""
description = "a network adapter"
[cpus]
possible = {possible}
threads_per_core = {threads}
[[vmbus.devices]]
class = "netvsc"
instance = "{NETVSC}"
relid = 7
more_subchannels = 63
"""
    return lambda version: len(
        text(
            guest(version, base=base), f"/sys/bus/vmbus/devices/{NETVSC}/channel_vp_mapping"
        ).splitlines()
    )


def huge_index(name: str) -> Callable[[str], str]:
    """An index beyond 2^31, which no ring of a real guest is large enough for."""

    def ask(version: str) -> str:
        machine = guest(version)
        primary = machine.kernel.vmbus.devices[HEARTBEAT].primary
        primary.outbound = primary.inbound = Ring((1 << 32) - 1, bytes_through=3 << 30)
        return text(machine, f"/sys/bus/vmbus/devices/{HEARTBEAT}/{name}")

    return ask


def ring(kind: str) -> Callable[[str], object]:
    """channels/<relid>/ring: mode, st_size and what read(2) gives, of a device of uio's."""

    def ask(version: str) -> object:
        machine = guest(version, "as meant")
        if kind == "fcopy":
            console(machine, "offer", f"fcopy guid={FCOPY} relid=99")
            name, relid = FCOPY, 99
        else:
            name, relid = HEARTBEAT, 7
            path = f"{channel_path(machine, relid)}/ring"
            assert read(machine, path) == "ENOENT"
            core = "/sys/bus/vmbus/drivers"
            assert write(machine, f"{core}/hv_utils/unbind", name.encode()) == len(name)
            guid = text(machine, f"/sys/bus/vmbus/devices/{name}/class_id")[1:37]
            assert write(machine, f"{core}/uio_hv_generic/new_id", guid.encode()) == 36
        settle(machine)
        driver = machine.kernel.vmbus.devices[name].driver
        node = node_at(machine, f"{channel_path(machine, relid)}/ring")
        if driver is None or node is None:
            return driver and driver.name
        return node.mode, node.size, read(machine, f"{channel_path(machine, relid)}/ring")

    return ask


def agreed(protocol: str) -> Callable[[str], object]:
    """What is said of the protocol on a host that speaks at most that one."""

    def ask(version: str) -> object:
        machine = guest(version, protocol=f'"{protocol}"')
        said = [
            line.split("] ")[1] for line in log(machine).splitlines() if "Vmbus version" in line
        ]
        return said, text(machine, "/sys/module/hv_vmbus/parameters/max_version")

    return ask


def collision(version: str) -> list[str]:
    """The PCI domains of two functions that want the same one."""
    base = 'description = "two of a kind"\n[cpus]\npossible = 2\n'
    machine = guest(version, base=base)
    for first in ("47505500", "47505501"):
        console(machine, "offer", f"vpci guid={first}-c05b-0000-3130-444531454238")
        settle(machine)
    return sorted(machine.kernel.pci.functions)


def fcopy_driver(version: str) -> str | None:
    machine = guest(version)
    console(machine, "offer", "fcopy")
    settle(machine)
    driver = machine.kernel.vmbus.devices[FCOPY].driver
    return driver.name if driver else None


QUEUES = "v6.12, netvsc_devinfo_get"
PROTOCOL = "v6.19, confidential VMBus"

VMBUS = (
    Difference("netvsc channels on 4 CPUs", QUEUES, netvsc_channels("4", "1"), {"6.1": 4}),
    Difference(
        "netvsc channels on 32 CPUs of 16 cores",
        QUEUES,
        netvsc_channels("32", "2"),
        {"6.1": 8, "6.12": 16},
    ),
    Difference(
        "netvsc channels on 96 cores", QUEUES, netvsc_channels("96", "1"), {"6.1": 8, "6.12": 48}
    ),
    Difference(
        "out_write_index beyond 2^31",
        "v6.18, %u",
        huge_index("out_write_index"),
        {"6.1": "-1073741824\n", "6.18": "3221225472\n"},
    ),
    Difference(
        "out_read_index beyond 2^31",
        "v6.18, %u",
        huge_index("out_read_index"),
        {"6.1": "-1073741824\n", "6.18": "3221225472\n"},
    ),
    Difference(
        "in_write_index beyond 2^31",
        "still %d",
        huge_index("in_write_index"),
        {"6.1": "-1073741824\n"},
    ),
    Difference(
        "ring of most devices",
        "v6.16, 'Fix ring buffer sysfs creation path'",
        ring("heartbeat"),
        {"6.1": (0o600, 4 << 20, "EIO")},
    ),
    Difference(
        "ring of fcopy",
        "v6.10, commit ec314f61e4fc; v6.16, 'Fix ring buffer sysfs creation path'",
        ring("fcopy"),
        {"6.1": "hv_utils", "6.10": (0o600, 4 << 20, "EIO"), "6.18": (0o600, 40960, "EIO")},
    ),
    Difference(
        "driver of fcopy",
        "v6.10, commit ec314f61e4fc",
        fcopy_driver,
        {"6.1": "hv_utils", "6.10": "uio_hv_generic"},
    ),
    Difference(
        "protocol on a host with 6.0",
        PROTOCOL,
        agreed("6.0"),
        {
            "6.1": (["hv_vmbus: Vmbus version:5.3"], "327683\n"),
            "7.2": (["hv_vmbus: Vmbus version:6.0"], "393216\n"),
        },
    ),
    Difference(
        "protocol on a host with 5.0",
        PROTOCOL,
        agreed("5.0"),
        {
            "6.1": (["hv_vmbus: Vmbus version:5.0"], "327683\n"),
            "7.2": (["hv_vmbus: Vmbus version:5.0"], "393216\n"),
        },
    ),
    Difference(
        "PCI domain that is taken",
        "between v6.13 and v7.2",
        collision,
        {"6.1": ["0001:00:02.0", "c05b:00:02.0"], "7.2": ["c05b:00:02.0", "c05c:00:02.0"]},
    ),
)


@pytest.mark.parametrize(("difference", "version"), cases(VMBUS))
def test_vmbus(difference: Difference, version: str) -> None:
    assert difference.ask(version) == difference.expected(version)


# With the series, and without ----------------------------------------------------------------

RFC = "RFC, 3 June 2024"


def patch(number: int, *series: str) -> pytest.MarkDecorator:
    """Every version, with the series and without it; the id names the patch."""
    wanted = series or ("absent", "as meant", "as posted")
    return pytest.mark.parametrize(
        ("version", "series"),
        [
            pytest.param(version, each, id=f"{version}, series {each} ({RFC}, patch {number})")
            for version in VERSIONS
            for each in wanted
        ],
    )


@patch(1)
def test_offers_that_linux_has_no_driver_for(version: str, series: str) -> None:
    machine = guest(version, series)
    classes = {
        "f5bee29c-1741-4aad-a4c2-8fdedb46dcc2": 12,
        "99221fa0-24ad-11e2-be98-001aa01bbf6e": 6,
    }
    for name, relid in classes.items():
        device = f"/sys/bus/vmbus/devices/{name}"
        if series == "absent":
            assert text(machine, f"{device}/device") == "0x10\n"
            assert text(machine, f"{device}/id") == f"{relid}\n"
            assert text(machine, f"{device}/state") == "2\n"
            assert node_at(machine, f"{device}/driver") is None
        else:
            assert node_at(machine, device) is None
    assert "Unknown GUID" not in log(machine)  # is_unsupported_vmbus_devs() comes first


@patch(9)
def test_what_hyp_counts(version: str, series: str) -> None:
    """Without the series every interrupt of the VMBus; with it those with a control message."""
    machine = guest(version, series)
    hyp = counts(machine, "HYP")
    console(machine, "interrupt", "19 1000")  # on CPU 6
    console(machine, "interrupt", "message 5")
    new = [after - before for after, before in zip(counts(machine, "HYP"), hyp, strict=True)]
    assert new == [5, 0, 0, 0, 0, 0, 1000 if series == "absent" else 0, 0]
    assert text(machine, f"{channel_path(machine, 19)}/interrupts") == "1000\n"


@patch(6)
def test_what_the_row_of_the_vmbus_counts_on_arm64(version: str, series: str) -> None:
    machine = arm64(version, series)
    console(machine, "interrupt", "24 1000")
    console(machine, "interrupt", "message 5")
    assert counts(machine, "12") == [52 + 5 + (1000 if series == "absent" else 0), 7]
    if series != "absent":
        assert counts(machine, "24") == [1000, 0]


@patch(8)
def test_channels_are_irqs_or_are_not(version: str, series: str) -> None:
    machine = guest(version, series)
    chips = [each.chip for each in interrupt_rows(text(machine, "/proc/interrupts")).values()]
    numbers = range(24, 45)
    proc = [irq for irq in numbers if node_at(machine, f"/proc/irq/{irq}") is not None]
    sys = [irq for irq in numbers if node_at(machine, f"/sys/kernel/irq/{irq}") is not None]
    expected = [] if series == "absent" else list(numbers)
    assert chips.count("VMBus") == len(expected)
    assert proc == sys == expected


# The checks of target_cpu_store, in their order, by writes that fail more than one of them.
# A line: what is the matter, the text, and what the kernels answer without the series and with.
CHECKS = (
    ("protocol 4.0", "abc", "EIO", "EIO"),
    ("protocol 4.0", "8", "EIO", "EIO"),
    ("protocol 4.0", "3", "EIO", "EIO"),
    ("", "abc", "EIO", "EIO"),
    ("", "-1", "EIO", "EIO"),
    ("", "8", "EINVAL", "EINVAL"),
    ("", "4294967296", 10, 10),  # CPU 0
    ("isolated", "2", "EINVAL", "EINVAL"),
    ("isolated closed", "2", "EINVAL", "EINVAL"),
    ("offline", "5", "EINVAL", "EINVAL"),
    ("offline closed", "5", "EINVAL", "EINVAL"),
    ("offline closed", "abc", "EIO", "EIO"),
    ("closed", "8", "EINVAL", "EINVAL"),
    ("closed", "3", "EIO", "EIO"),
    ("closed", "0", "EIO", 1),  # where it is
    ("", "0", 1, 1),
    ("nak", "0", 1, 1),
    ("nak", "3", "EIO", 1),
    ("post eagain", "3", "EIO", "EAGAIN"),
    ("post enobufs", "3", "EIO", "ENOBUFS"),
    ("post einval", "3", "EIO", "EINVAL"),
    ("post einval", "0", 1, 1),
    ("", "3", 1, 1),
)


def _troubled(version: str, series: str, trouble: str) -> Machine:
    """A guest with relid 9 (shutdown, on CPU 0) and something the matter."""
    isolated = "[cpus.isolated]\nmanaged_irq = [2]\n" if "isolated" in trouble else ""
    protocol = '"4.0"' if "4.0" in trouble else '"5.3"'
    machine = guest(version, series, more=isolated, protocol=protocol)
    if "offline" in trouble:
        assert set_cpu(machine, 18, "0") in {0, 1}  # which is on CPU 5
        settle(machine)
        assert set_online(machine, 5, "0") == 1
    if "closed" in trouble:
        name = machine.kernel.vmbus.channels[9].device.name
        driver = "/sys/bus/vmbus/drivers/hv_utils"
        assert write(machine, f"{driver}/unbind", name.encode()) == 36
    if "nak" in trouble:
        console(machine, "fault", "modifychannel nak")
    if "post" in trouble:
        console(machine, "fault", trouble)
    return machine


@pytest.mark.parametrize(
    ("trouble", "data", "stock", "applied"),
    [
        pytest.param(*check, id=f"{check[1]!r} where: {check[0] or 'all is well'}")
        for check in CHECKS
    ],
)
@pytest.mark.parametrize("series", ["absent", "as meant"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_checks_of_target_cpu_store(
    version: str, series: str, trouble: str, data: str, stock: object, applied: object
) -> None:
    """v6.15 put parsing before the protocol, which both answer with EIO."""
    machine = _troubled(version, series, trouble)
    before = text(machine, f"{channel_path(machine, 9)}/cpu")
    answer = set_cpu(machine, 9, data)
    assert answer == (stock if series == "absent" else applied)
    after = text(machine, f"{channel_path(machine, 9)}/cpu")
    moves = isinstance(answer, int) and data == "3"
    assert after == ("3\n" if moves else before)


@pytest.mark.parametrize("version", VERSIONS)
def test_parsing_comes_first_since_6_15(version: str) -> None:
    """Both refusals are EIO; the log tells them apart."""
    machine = guest(version, protocol='"4.0"')
    assert set_cpu(machine, 9, "abc") == "EIO"
    with pytest.raises(OSError, match=r"number|ModifyChannel") as refused:
        stored(machine, node_at(machine, f"{channel_path(machine, 9)}/cpu"), b"abc")
    assert refused.value.errno == errno.EIO
    first = "no number" if version in {"6.18", "7.2"} else "ModifyChannel"
    said = refused.value.strerror.replace("not a number", "no number")
    assert first in said


@pytest.mark.parametrize("protocol", ["4.1", "5.2", "5.3"])
@patch(10)
def test_a_write_to_cpu_waits_for_the_host_or_does_not(
    version: str, series: str, protocol: str
) -> None:
    machine = guest(version, series, protocol=f'"{protocol}"')
    console(machine, "latency", "ack 0.2")
    before = machine.timeline.now
    assert set_cpu(machine, 19, "3\n") == (0 if series == "as posted" else 2)
    waits = series == "absent" and protocol == "5.3"
    assert elapsed(machine, before) == (200 if waits else 0)
    assert text(machine, f"{channel_path(machine, 19)}/cpu") == "3\n"
    console(machine, "interrupt", "19 10")
    host = machine.host.relids.taken[19]
    assert host.target_vp == (3 if waits else 6)


@patch(10)
def test_the_only_way_to_move_a_channel_without_the_series_is_cpu(
    version: str, series: str
) -> None:
    machine = guest(version, series)
    absent = series == "absent"
    for name, data in (("smp_affinity", b"8"), ("smp_affinity_list", b"3")):
        answer = write(machine, f"/proc/irq/39/{name}", data)
        assert answer == ("ENOENT" if absent else 1)
    assert set_cpu(machine, 19, "4") == (0 if series == "as posted" else 1)
    assert text(machine, f"{channel_path(machine, 19)}/cpu") == "4\n"


# Offlining -----------------------------------------------------------------------------------


@patch(12)
def test_offlining_a_cpu_that_channels_interrupt(version: str, series: str) -> None:
    """v6.15, hv_synic_cleanup: without the series, channels are bound elsewhere."""
    machine = guest(version, series)
    rebinds = series == "absent" and version in {"6.18", "7.2"}
    held = [c.relid for c in machine.kernel.vmbus.channels.values() if c.target_cpu == 6]
    assert held == [19]
    assert set_online(machine, 6, "0") == (1 if rebinds else "EBUSY")
    target = int(text(machine, f"{channel_path(machine, 19)}/cpu"))
    if not rebinds:
        assert target == 6
        assert text(machine, f"{CPU}/online") == "0-7\n"
        return
    assert target != 6
    assert text(machine, f"{CPU}/online") == "0-5,7\n"
    assert machine.host.relids.taken[19].target_vp == target
    assert set_online(machine, 6, "1") == 1
    assert int(text(machine, f"{channel_path(machine, 19)}/cpu")) == target, "it is not moved back"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("trouble", "answer"),
    [
        ("protocol 5.2", "EBUSY"),  # no acknowledgement to wait for
        ("nak", 1),  # the next CPU will do
        ("closed", "EIO"),  # what vmbus_channel_set_cpu says
    ],
)
def test_what_keeps_channels_from_being_bound_elsewhere(
    version: str, trouble: str, answer: object
) -> None:
    protocol = '"5.2"' if trouble == "protocol 5.2" else '"5.3"'
    machine = guest(version, protocol=protocol)
    if trouble == "nak":
        console(machine, "fault", "modifychannel nak")
    if trouble == "closed":
        assert set_cpu(machine, 9, "6") == 1
        name = machine.kernel.vmbus.channels[9].device.name
        assert write(machine, "/sys/bus/vmbus/drivers/hv_utils/unbind", name.encode()) == 36
    rebinds = version in {"6.18", "7.2"}
    assert set_online(machine, 6, "0") == (answer if rebinds else "EBUSY")
    assert text(machine, f"{CPU}/cpu6/online") == ("0\n" if answer == 1 and rebinds else "1\n")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_cpu_but_the_first_can_go_where_channels_are_bound_elsewhere(version: str) -> None:
    machine = guest(version)
    answers = [set_online(machine, cpu, "0") for cpu in range(1, 8)]
    if version in {"6.18", "7.2"}:
        assert answers == [1] * 7
        assert {c.target_cpu for c in machine.kernel.vmbus.channels.values()} == {0}
        assert rows(machine)[""].split() == ["CPU0"]
    else:
        assert answers == ["EBUSY"] * 7
