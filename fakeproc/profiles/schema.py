"""What a profile may say: the machine, as data, checked before anything is built.

Every key is listed once, with its unit and its meaning: those of the machine
as a whole here, the others in the module of their concept beside.  pydantic
refuses what is not listed, what has the wrong type, and what contradicts
itself.  The comment on a key's line, or right above it, is its line in the manual.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from fakeproc.cpu_lists import as_list
from fakeproc.defaults import MAX_CPUS, MAX_SEED
from fakeproc.personality import SERIES_VERSION, VERSIONS, NetvscNames, Personality, personality
from fakeproc.profiles.boot_parameters import BootParameters, boot_parameters, isolcpus
from fakeproc.profiles.bus import MAX_RELID, Device, MonitorSlot, Subchannel, VMBus
from fakeproc.profiles.caches import Cache
from fakeproc.profiles.errors import ContradictionError, Location
from fakeproc.profiles.fields import MAX_UPTIME_S, Counts, Rate, Table
from fakeproc.profiles.interrupts import ARCH_ROWS, MAX_IRQ, ArchitectureRow, Gic, OtherIrq
from fakeproc.profiles.memory import Memory, Node
from fakeproc.profiles.processors import CpuGroup, Cpus, Isolation
from fakeproc.recordings.dmi import DMI_TEXT, DmiName
from fakeproc.series import ALL_PATCHES, Patch, missing_patch

__all__ = [
    "MAX_CPUS",
    "MAX_RELID",
    "ArchitectureRow",
    "Cache",
    "CpuGroup",
    "Cpus",
    "Device",
    "Dmi",
    "Gic",
    "Isolation",
    "Kernel",
    "Memory",
    "MonitorSlot",
    "Node",
    "OtherIrq",
    "Profile",
    "Subchannel",
    "VMBus",
]


def _linux_version(value: str) -> str:
    """A version that has a row in the table of kernels."""
    if value not in VERSIONS:
        raise ValueError(f"{value!r} is none of: {', '.join(VERSIONS)}")
    return value


LinuxVersion = Annotated[str, AfterValidator(_linux_version)]
PatchNumber = Annotated[int, Field(ge=1, le=len(ALL_PATCHES))]
LackedPath = Annotated[str, Field(pattern=r"^(proc|sys)(/[!-.0-~]{1,64}){1,16}$")]
RecordedPath = Annotated[str, Field(min_length=1, max_length=4095, pattern=r"^[^\x00]*$")]
DmiText = Annotated[str, Field(max_length=64, pattern=f"^{DMI_TEXT}$")]


class Kernel(Table):
    """Which kernel the guest runs, and what was done with the series."""

    version: LinuxVersion = SERIES_VERSION  # of Linux
    # What was done with the series: nothing; what it was meant to do; what was
    # posted, to the letter; what the review proposed for control messages.
    series: Literal["absent", "as meant", "as posted", "as reviewed"] = "as meant"
    # Which of its twelve patches are applied; default: all of them.
    patches: frozenset[PatchNumber] | None = None
    # What becomes of a CPU that channels interrupt: "refuse" keeps it online (EBUSY), "rebind"
    # moves the channels first; default: what the version does, but with the series "refuse".
    offlining: Literal["refuse", "rebind"] | None = None
    # What the interrupts of network adapters are called: "netvsc", as posted; those of sub-channels
    # after interface and queue, netvsc-eth0:1; or all, for which the driver reserves the name.
    netvsc_names: NetvscNames = "as posted"
    release: str = ""  # uname -r; default: the version and .0
    build: str = "#1 SMP PREEMPT_DYNAMIC Mon Jun  3 05:09:26 UTC 2024"  # uname -v
    builder: str = "fakeproc@hyperv"  # who built it, for /proc/version
    # What built it, for /proc/version.
    compiler: str = "gcc (Debian 12.2.0-14) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40"
    cmdline: str = "root=/dev/sda1 ro console=tty1 console=ttyS0"  # /proc/cmdline
    max_cpus: int = Field(default=8192, ge=1, le=8192)  # CONFIG_NR_CPUS
    # Whether /proc/interrupts has a column of hwirqs, as all the kernels here have it; an older one
    # prints chip and flow as one word, IO-APIC-edge, and an hwirq only where there is a domain.
    hwirq_column: bool = True
    # Files and directories that it does not have, of those that are emulated; * is any part of a
    # name: "sys/devices/system/cpu/cpu*/topology/die_*".
    lacks: tuple[LackedPath, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Kernel:
        if self.patches and self.series == "absent":
            raise ContradictionError(("patches",), "the series is absent")
        missing = missing_patch(self.patches or ())
        if missing is not None:
            raise ContradictionError(("patches",), f"patch {missing[0]} needs patch {missing[1]}")
        if self.series == "as reviewed" and self.patches and Patch.REQUEST_IRQS not in self.patches:
            raise ContradictionError(
                ("patches",), "as reviewed, control messages are handled as patch 9 has it"
            )
        if self.offlining == "rebind" and not VERSIONS[self.version].rebinds_when_offlining:
            raise ContradictionError(
                ("offlining",),
                f"Linux {self.version} moves no channel by itself, as v6.15 does",
            )
        return self

    @property
    def personality(self) -> Personality:
        """What this kernel does that another does not."""
        return personality(
            self.version, self.series, self.patches, self.offlining, self.netvsc_names
        )

    @property
    def uname_release(self) -> str:
        """What `uname -r` says."""
        return self.release or f"{self.version}.0"


class Dmi(Table):
    """What the firmware calls the machine; its serial numbers come of the seed."""

    # The firmware: "bios" of Generation 1 or "uefi"; default: a BIOS where there is a PIC.
    firmware: Literal["bios", "uefi"] | None = None
    # The chassis' asset tag; default: the serial number.  By Azure's tag agents know Azure.
    asset_tag: str = Field(default="", max_length=64, pattern=r"^[ -~]*$")
    # What serial numbers and UUID are made of, with the seed; default: the profile's name.
    identity: str = Field(default="", max_length=200)
    # Texts of /sys/class/dmi/id by the names of the files: in place of Hyper-V's, or, of a machine
    # that is none of its guests, all that there are.
    ids: dict[DmiName, DmiText] = Field(default={})


class Profile(Table):
    """A whole machine."""

    name: str = ""  # the file's name without .toml; not to be given
    description: str  # one line, which `fakeproc profiles` lists
    architecture: Literal["x86_64", "arm64"] = "x86_64"  # of the processors
    stimer_direct: bool = True  # x86: timers on a vector of their own, not as messages
    pic: bool = False  # x86: whether there is a PIC, with 16 interrupts (Generation 1)
    hyperv: bool = True  # whether the machine is a guest of Hyper-V, with a VMBus
    io_apic_inputs: int = Field(default=24, ge=1, le=4096)  # x86: of all IO-APICs together
    # How many interrupts the kernel counts with at boot, by which /proc/interrupts is as wide as it
    # is; default: what it makes of the CPUs and the IO-APICs.
    nr_irqs: int | None = Field(default=None, ge=1, le=MAX_IRQ + 1)
    seed: int = Field(default=1, ge=0, le=MAX_SEED)  # of all that is left to chance
    # Archives or directories with proc/ and sys/ of a real machine, relative to this file: what
    # they have and is not emulated is shown as it was recorded, read-only.
    recorded: tuple[RecordedPath, ...] = Field(default=(), max_length=16)
    uptime_s: int = Field(
        default=0, ge=0, le=MAX_UPTIME_S
    )  # how long it has run when it is mounted
    quiet_s: float = Field(
        default=0, ge=0, le=MAX_UPTIME_S
    )  # how long it is left alone from then on
    timer_rate: Rate = 0.0  # timer interrupts a second, of each CPU
    kernel: Kernel = Kernel()  # a table of its own, as the next ones are
    cpus: Cpus  # the processors
    gic: Gic = Gic()  # arm64: the interrupt controller
    dmi: Dmi = Dmi()  # what the firmware says
    memory: Memory = Memory()  # how much there is
    nodes: tuple[Node, ...] = ()  # a list of tables: NUMA nodes, where cpus.nodes does not do
    vmbus: VMBus = VMBus()  # the bus and its devices
    irqs: tuple[OtherIrq, ...] = ()  # a list of tables: interrupts of no channel
    arch: dict[str, Counts] = Field(default={})  # counts of the architecture's own rows, by label
    # A list of tables: these rows in their order, in place of the kernel's own.
    arch_rows: tuple[ArchitectureRow, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Profile:
        self._check_boot_parameters()
        self._check_nodes()
        self._check_hypervisor()
        self._check_counts()
        numbers: set[int] = set()
        for at, irq in enumerate(self.irqs):
            if irq.irq in numbers:
                raise ContradictionError(("irqs", at, "irq"), f"IRQ {irq.irq} is described twice")
            numbers.add(irq.irq)
        possible = self.cpus.possible_cpus
        for location, what, cpus in self._cpu_sets():
            if not cpus <= possible:
                raise ContradictionError(
                    location, f"{what} names CPU {min(cpus - possible)}, which is not possible"
                )
        return self

    def _cpu_sets(self) -> Iterator[tuple[Location, str, frozenset[int]]]:
        """Every set of CPUs that is no part of [cpus]: where it stands, and of what it is."""
        for at, irq in enumerate(self.irqs):
            for key in ("effective", "affinity", "hint"):
                yield ("irqs", at, key), f"IRQ {irq.irq}", getattr(irq, key) or frozenset()
        for at, node in enumerate(self.nodes):
            yield ("nodes", at, "cpus"), f"node {node.number}", node.cpus

    def _check_counts(self) -> None:
        present = self.cpus.present_cpus
        for location, what, counts in self._counts():
            # A CPU that is gone keeps what it has counted; a list counts from CPU 0 on.
            absent = [cpu for cpu, count in counts.items() if cpu not in present and count]
            absent = absent or [cpu for cpu in counts if cpu not in self.cpus.possible_cpus]
            if absent:
                raise ContradictionError(
                    location,
                    f"{what} counts on CPU {max(absent)}, but only {as_list(sorted(present))}"
                    " are present",
                )
        for at, row in enumerate(self.arch_rows):
            if any(other.label == row.label for other in self.arch_rows[:at]):
                raise ContradictionError(
                    ("arch_rows", at, "label"), f"{row.label} is described twice"
                )
        known = ARCH_ROWS[self.architecture] | {row.label for row in self.arch_rows}
        unknown = set(self.arch) - known
        if unknown:
            raise ContradictionError(("arch", min(unknown)), "no row has this label")

    def _check_nodes(self) -> None:
        cpus, nodes = self.cpus, self.nodes
        if nodes and "nodes" in cpus.model_fields_set and cpus.nodes != 1:
            raise ContradictionError(("cpus", "nodes"), "is said by [[nodes]]")
        numbers = [node.number for node in nodes]
        for at, node in enumerate(nodes):
            if at and node.number <= numbers[at - 1]:
                raise ContradictionError(
                    ("nodes", at, "number"), "nodes stand in the order of their numbers, each once"
                )
            if node.distances and len(node.distances) != len(nodes):
                raise ContradictionError(
                    ("nodes", at, "distances"),
                    f"{len(node.distances)} distances for {len(nodes)} nodes",
                )
        shown = self.node_numbers
        if cpus.possible_nodes is not None and not set(shown) <= cpus.possible_nodes:
            raise ContradictionError(
                ("cpus", "possible_nodes"), f"lacks {as_list(sorted(set(shown)))}"
            )
        if nodes and not any(node.kib or node.mib or node.kib is node.mib for node in nodes):
            raise ContradictionError(("nodes", 0), "no node has memory")

    @property
    def node_numbers(self) -> list[int]:
        """The NUMA nodes, ascending; none of a kernel without NUMA."""
        if self.nodes:
            return [node.number for node in self.nodes]
        nodes = self.cpus.nodes
        return list(range(nodes)) if isinstance(nodes, int) else sorted(nodes)

    def _check_hypervisor(self) -> None:
        arm64 = self.architecture == "arm64"
        if self.vmbus.hibernation and arm64:
            raise ContradictionError(("vmbus", "hibernation"), "there is no S4 on arm64")
        if not self.hyperv and self.vmbus.devices:
            raise ContradictionError(("vmbus", "devices"), "only Hyper-V offers any (hyperv)")
        for key in ("offline", "offlined"):
            if 0 in getattr(self.cpus, key) and self.hyperv:
                raise ContradictionError(
                    ("cpus", key), "names CPU 0, which receives the VMBus's messages"
                )
        if 0 not in self.cpus.present_cpus:
            raise ContradictionError(("cpus", "present"), "lacks CPU 0, which boots the guest")
        online = self.cpus.possible_cpus - self.cpus.offline - self.cpus.offlined
        for location, channel in self.vmbus.located_channels:
            target = channel.target_cpu
            if target is not None and target not in online:
                raise ContradictionError(
                    ("vmbus", *location, "target_cpu"), f"CPU {target} is not online"
                )

    @property
    def boot_parameters(self) -> BootParameters:
        """What the command line says of CPUs and interrupts."""
        return boot_parameters(self.command_line, self.cpus.nr_cpu_ids)

    @property
    def command_line(self) -> str:
        """What the kernel was booted with: cpus.isolated is said by isolcpus=, too."""
        given = self.kernel.cmdline
        if any(word.startswith("isolcpus=") for word in given.split()):
            return given
        isolated = self.cpus.isolated
        words = isolcpus({"managed_irq": isolated.managed_irq, "domain": isolated.domain})
        kernel, dashes, init = given.partition(" -- ")  # what follows is for init
        return f"{kernel}{words}{dashes}{init}"

    def _check_boot_parameters(self) -> None:
        try:
            isolated = boot_parameters(self.kernel.cmdline, self.cpus.nr_cpu_ids).isolated
        except ValueError as error:
            raise ContradictionError(("kernel", "cmdline"), str(error)) from error
        for flag in ("managed_irq", "domain"):
            key: frozenset[int] = getattr(self.cpus.isolated, flag)
            if key and isolated and key != isolated.get(flag, frozenset()):
                raise ContradictionError(
                    ("cpus", "isolated", flag), "contradicts isolcpus= of the command line"
                )

    def _counts(self) -> Iterator[tuple[Location, str, dict[int, int]]]:
        """Everything that is counted by CPU: where it stands, what it is, and the counts."""
        for at, irq in enumerate(self.irqs):
            yield ("irqs", at, "counts"), f"IRQ {irq.irq}", irq.counts
        for location, channel in self.vmbus.located_channels:
            yield ("vmbus", *location, "counts"), f"relid {channel.relid}", channel.counts
        for label, counts in self.arch.items():
            yield ("arch", label), f"row {label}", counts
