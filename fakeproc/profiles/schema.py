"""What a profile may say: the machine, as data, checked before anything is built.

Every key is listed here once, with its unit and its meaning; pydantic refuses
what is not listed, what has the wrong type, and what contradicts itself.  The
comment on a key's line, or right above it, is its line in the manual.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from fakeproc.defaults import MAX_CPUS, MAX_SEED
from fakeproc.personality import SERIES_VERSION, VERSIONS, NetvscNames, Personality, personality
from fakeproc.profiles.boot_parameters import BootParameters, boot_parameters
from fakeproc.profiles.errors import ContradictionError, Location
from fakeproc.protocol.classes import CLASS_GUIDS
from fakeproc.series import ALL_PATCHES, Patch, missing_patch

__all__ = [
    "MAX_CPUS",
    "MAX_RELID",
    "Cache",
    "Cpus",
    "Device",
    "Dmi",
    "Gic",
    "Isolation",
    "Kernel",
    "Memory",
    "MonitorSlot",
    "OtherIrq",
    "Profile",
    "Subchannel",
    "VMBus",
]

MAX_RELID = 2047  # MAX_CHANNEL_RELIDS - 1 (drivers/hv/hyperv_vmbus.h); 0 is the protocol's

# The largest number of a Linux interrupt: /proc/stat has a number for each up to the last.
MAX_IRQ = 65_535
MAX_UPTIME_S = 1_000_000_000  # some thirty years
MAX_CONNECTIONS = 4  # to keep what is shown readable; no host is known to have more than 2
MAX_DELAY_US = 3_600_000_000  # an hour

# Labels of the rows of /proc/interrupts that are no Linux interrupts.
ARCH_ROWS = {
    "x86_64": frozenset({
        "NMI", "LOC", "SPU", "PMI", "IWI", "RTR", "RES", "CAL", "TLB", "TRM", "THR", "DFR",
        "MCE", "MCP", "HYP", "HRE", "HVS", "ERR", "MIS", "PIN", "NPI", "PIW", "VPMI",
    }),
    "arm64": frozenset(
        {f"IPI{number}" for number in range(8)} | {"Err", "arch_timer", "Hyper-V VMbus"}
    ),
}  # fmt: skip


def _by_cpu(value: Any) -> Any:
    """Counts as a list, one a CPU from CPU 0 on, or as a table of CPU = count."""
    return dict(enumerate(value)) if isinstance(value, list) else value


def _class_guid(value: Any) -> Any:
    """A class by its name here, or by its GUID."""
    if not isinstance(value, str):
        return value  # pydantic says what it should be
    if value in CLASS_GUIDS:
        return CLASS_GUIDS[value]
    try:
        return UUID(value)
    except ValueError:
        raise ValueError(
            f"{value!r} is neither a GUID nor one of: {', '.join(CLASS_GUIDS)}"
        ) from None


def _linux_version(value: str) -> str:
    """A version that has a row in the table of kernels."""
    if value not in VERSIONS:
        raise ValueError(f"{value!r} is none of: {', '.join(VERSIONS)}")
    return value


LinuxVersion = Annotated[str, AfterValidator(_linux_version)]
PatchNumber = Annotated[int, Field(ge=1, le=len(ALL_PATCHES))]
Cpu = Annotated[int, Field(ge=0, lt=MAX_CPUS)]
Count = Annotated[int, Field(ge=0, lt=1 << 32)]
Counts = Annotated[dict[Cpu, Count], BeforeValidator(_by_cpu)]
Relid = Annotated[int, Field(ge=1, le=MAX_RELID)]
Rate = Annotated[float, Field(ge=0, le=1e9)]
Register = Annotated[int, Field(ge=0, lt=1 << 32)]  # a number of 32 bits
AddressBits = Annotated[int, Field(ge=1, le=64)]
Delay = Annotated[int, Field(ge=0, le=MAX_DELAY_US)]
TrafficKind = Literal["steady", "poisson"]
ClassGuid = Annotated[UUID, BeforeValidator(_class_guid)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Kernel(_Table):
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


class Cache(_Table):
    """One cache, of every core or of every package."""

    level: int = Field(ge=1, le=4)  # 1 is the nearest
    type: Literal["Data", "Instruction", "Unified"]  # what it holds
    size_kib: int = Field(gt=0, lt=1 << 32)  # KiB
    ways: int = Field(gt=0, lt=1 << 32)  # of associativity
    line_bytes: int = Field(default=64, gt=0, le=65_536)  # bytes
    shared_by: Literal["core", "package"] = "core"  # the threads of which use one


class Isolation(_Table):
    """CPUs kept free by `isolcpus=`, by what they are kept free of."""

    managed_irq: frozenset[Cpu] = frozenset()  # of interrupts that the kernel places
    domain: frozenset[Cpu] = frozenset()  # of the scheduler's balancing


class Gic(_Table):
    """arm64: interrupts of which each CPU has its own, as the firmware's tables number them."""

    timer: int = Field(default=20, ge=16, lt=32)  # of the virtual timer
    vmbus: int = Field(default=18, ge=16, lt=32)  # of the VMBus


class Cpus(_Table):
    """The virtual processors; neighbours in number are neighbours in the package."""

    possible: int = Field(ge=1, le=MAX_CPUS)  # how many there may ever be
    present: int | None = None  # the first so many of the possible ones; default: all
    offline: frozenset[Cpu] = frozenset()  # present, but not online at the start
    packages: int = Field(default=1, ge=1, le=MAX_CPUS)  # sockets, among which the CPUs are divided
    threads_per_core: int = Field(default=1, ge=1, le=MAX_CPUS)  # 2 with hyper-threading
    nodes: int = Field(default=1, ge=1, le=MAX_CPUS)  # NUMA nodes, among which the CPUs are divided
    isolated: Isolation = Isolation()  # a table of its own
    vendor: str = "GenuineIntel"  # x86: /proc/cpuinfo
    family: Register = 6  # x86
    model: Register = 106  # x86
    stepping: Register = 6  # x86
    microcode: Register = 0xFFFFFFFF  # x86: the revision; a guest is shown this one
    name: str = "Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz"  # x86: the model's name
    khz: int = Field(default=2_793_438, gt=0, lt=1 << 32)  # kHz
    flags: str = ""  # what /proc/cpuinfo lists as flags, or as Features
    bugs: str = ""  # x86: what /proc/cpuinfo lists as bugs
    midr: Register = 0x413FD0C1  # arm64: the main ID register, a Neoverse N1
    address_bits: tuple[AddressBits, AddressBits] = (46, 48)  # physical, virtual
    caches: tuple[Cache, ...] = ()  # a list of tables

    @model_validator(mode="after")
    def _check(self) -> Cpus:
        if self.present is not None and not 1 <= self.present <= self.possible:
            raise ContradictionError(
                ("present",), f"must be between 1 and possible ({self.possible})"
            )
        present = self.present or self.possible
        if self.possible % (self.packages * self.threads_per_core):
            raise ContradictionError(
                ("packages" if self.threads_per_core == 1 else "threads_per_core",),
                f"{self.possible} possible CPUs do not divide into {self.packages} packages"
                f" of cores with {self.threads_per_core} threads",
            )
        if self.possible % self.nodes:
            raise ContradictionError(
                ("nodes",),
                f"{self.possible} possible CPUs do not divide into {self.nodes} nodes",
            )
        for location, cpus in (
            (("offline",), self.offline),
            (("isolated", "managed_irq"), self.isolated.managed_irq),
            (("isolated", "domain"), self.isolated.domain),
        ):
            if cpus and max(cpus) >= present:
                raise ContradictionError(
                    location, f"names CPU {max(cpus)}, but only {present} are present"
                )
        if 0 in self.offline:
            raise ContradictionError(("offline",), "names CPU 0, which boots the guest")
        return self


class Memory(_Table):
    """The guest's memory, the same in every node."""

    mib_per_node: int = Field(default=16384, gt=0, le=1 << 26)  # MiB


class Dmi(_Table):
    """What the firmware calls the machine; its serial numbers come of the seed."""

    # The firmware: "bios" of Generation 1 or "uefi"; default: a BIOS where there is a PIC.
    firmware: Literal["bios", "uefi"] | None = None
    # The chassis' asset tag; default: the serial number.  By Azure's tag agents know Azure.
    asset_tag: str = Field(default="", max_length=64, pattern=r"^[ -~]*$")


class MonitorSlot(_Table):
    """A channel's slot in the monitor pages; `latency` in units of 100 ns."""

    id: int = Field(ge=0, lt=128)  # which slot
    connection_id: Register  # what the host is signalled by
    latency: Register = 0  # how often the host looks, in units of 100 ns


class _Channel(_Table):
    """What primary and sub-channels have in common."""

    relid: Relid  # the channel's number
    monitor: MonitorSlot | None = None  # a table; only storage and network have one
    counts: Counts = {}  # interrupts so far: a list from CPU 0 on, or a table CPU = count
    rate: Rate = 0.0  # interrupts a second, once the quiet time is over
    traffic: TrafficKind = "steady"  # how they are spread over time


class Subchannel(_Channel):
    """A sub-channel that the host offers when the driver asks for some."""


class Device(_Channel):
    """A VMBus device, in the order in which the host offers them."""

    class_id: ClassGuid = Field(alias="class")  # a name, or a class GUID
    instance: UUID  # the instance GUID, by which sysfs names the device
    subchannels: tuple[Subchannel, ...] = ()  # a list of tables, in the order of the offers
    # Sub-channels beyond those listed, with relids as the host likes.
    more_subchannels: int = Field(default=0, ge=0, lt=MAX_RELID)
    pci: Literal["nic", "nvme"] = "nic"  # what lies behind a vpci device
    encrypted: bool = False  # whether the paravisor offers it, on a confidential VMBus
    connection: int = Field(default=1, ge=1, le=MAX_CONNECTIONS)  # on which it is offered
    # Drivers probe devices side by side, so that which SCSI controller becomes
    # host0 is a race on a real machine.  Who is late here says who loses it.
    probe_delay_us: Delay = 0
    subchannel_delay_us: Delay = 0  # the same, until it asks for sub-channels

    @property
    def channels(self) -> tuple[Device | Subchannel, ...]:
        """The primary channel and the sub-channels."""
        return (self, *self.subchannels)


class VMBus(_Table):
    """The bus that the host offers, and where Linux hangs it."""

    # The highest version that the host speaks; 4.1 can move channels, 5.3 says when it has.
    protocol: Literal["2.4", "3.0", "4.0", "4.1", "5.0", "5.1", "5.2", "5.3", "6.0"] = "5.3"
    hibernation: bool = False  # whether the ACPI tables let the guest hibernate (S4)
    parent: str = "LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00"  # below /sys/devices
    devices: tuple[Device, ...] = ()  # a list of tables, in the order of the offers
    # Whether the guest is confidential: it takes few classes of devices, and on protocol 6.0,
    # which Linux speaks since 6.19, it knows the paravisor that offers some of them.
    confidential: bool = False
    connections: int = Field(default=1, ge=1, le=MAX_CONNECTIONS)  # several: protocol 5.0
    # Whether a relid means one channel of the guest, or one of each connection.
    relids: Literal["global", "per connection"] = "global"
    # Whether the guest has one IRQ domain for all channels, or one for each connection.
    domains: Literal["global", "per connection"] = "per connection"

    @property
    def version(self) -> tuple[int, int]:
        """The protocol as (major, minor), to compare."""
        major, minor = self.protocol.split(".")
        return int(major), int(minor)

    @property
    def located_channels(self) -> Iterator[tuple[Location, Device | Subchannel]]:
        """Every channel, and where it stands in this table."""
        for number, device in enumerate(self.devices):
            yield ("devices", number), device
            for sub, channel in enumerate(device.subchannels):
                yield ("devices", number, "subchannels", sub), channel

    @model_validator(mode="after")
    def _check(self) -> VMBus:
        encrypted = [at for at, device in enumerate(self.devices) if device.encrypted]
        if encrypted and not (self.confidential and self.version >= (6, 0)):
            raise ContradictionError(
                ("devices", encrypted[0], "encrypted"),
                "only a confidential VMBus has it, on protocol 6.0",
            )
        if self.connections > 1 and self.version < (5, 0):
            raise ContradictionError(
                ("connections",), f"protocol {self.protocol} has one connection, 5.0 has several"
            )
        relids: set[tuple[int, int]] = set()
        instances: set[UUID] = set()
        for location, channel in self.located_channels:
            on = self.devices[int(location[1])].connection if self.relids != "global" else 1
            if (on, channel.relid) in relids:
                raise ContradictionError(
                    (*location, "relid"), f"relid {channel.relid} is given to two channels"
                )
            relids.add((on, channel.relid))
        for number, device in enumerate(self.devices):
            if device.connection > self.connections:
                raise ContradictionError(
                    ("devices", number, "connection"), f"the host has {self.connections}"
                )
            if device.instance in instances:
                raise ContradictionError(
                    ("devices", number, "instance"),
                    f"instance {device.instance} is given to two devices",
                )
            instances.add(device.instance)
        return self


class OtherIrq(_Table):
    """An interrupt that is not a VMBus channel's; `irq` is its Linux number."""

    irq: int = Field(ge=0, le=MAX_IRQ)  # its number in Linux
    chip: str = "IO-APIC"  # who delivers it
    hwirq: int = Field(ge=0, lt=1 << 64)  # its number there
    trigger: Literal["edge", "level"] = "edge"  # what raises it
    flow: str | None = None  # the flow name after the hwirq: edge, fasteoi
    actions: tuple[str, ...] = ()  # the names in its row; without one it has no row
    affinity: frozenset[Cpu] | None = None  # default: all CPUs
    effective: Cpu = 0  # the CPU that it comes to
    settable: bool = True  # whether user space may move it
    managed: bool = False  # affinity owned by the kernel
    node: int = Field(default=-1, ge=-1, lt=MAX_CPUS)  # the NUMA node of its device; -1 for none
    counts: Counts = {}  # interrupts so far: a list from CPU 0 on, or a table CPU = count
    rate: Rate = 0.0  # interrupts a second, once the quiet time is over
    traffic: TrafficKind = "steady"  # how they are spread over time


class Profile(_Table):
    """A whole machine."""

    name: str = ""  # the file's name without .toml; not to be given
    description: str  # one line, which `fakeproc profiles` lists
    architecture: Literal["x86_64", "arm64"] = "x86_64"  # of the processors
    stimer_direct: bool = True  # x86: timers on a vector of their own, not as messages
    pic: bool = False  # x86: whether there is a PIC, with 16 interrupts (Generation 1)
    seed: int = Field(default=1, ge=0, le=MAX_SEED)  # of all that is left to chance
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
    vmbus: VMBus = VMBus()  # the bus and its devices
    irqs: tuple[OtherIrq, ...] = ()  # a list of tables: interrupts of no channel
    arch: dict[str, Counts] = {}  # counts of the architecture's own rows, by label

    @model_validator(mode="after")
    def _check(self) -> Profile:
        present = self.cpus.present or self.cpus.possible
        self._check_boot_parameters()
        numbers: set[int] = set()
        for at, irq in enumerate(self.irqs):
            if irq.irq in numbers:
                raise ContradictionError(("irqs", at, "irq"), f"IRQ {irq.irq} is described twice")
            numbers.add(irq.irq)
        for location, what, counts in self._counts():
            if counts and max(counts) >= present:
                raise ContradictionError(
                    location,
                    f"{what} counts on CPU {max(counts)}, but only {present} are present",
                )
        for at, irq in enumerate(self.irqs):
            for key, cpus in (("effective", {irq.effective}), ("affinity", irq.affinity or ())):
                impossible = [cpu for cpu in cpus if cpu >= self.cpus.possible]
                if impossible:
                    raise ContradictionError(
                        ("irqs", at, key),
                        f"IRQ {irq.irq} names CPU {impossible[0]}, which is not possible",
                    )
        if self.vmbus.hibernation and self.architecture == "arm64":
            raise ContradictionError(("vmbus", "hibernation"), "there is no S4 on arm64")
        unknown = set(self.arch) - ARCH_ROWS[self.architecture]
        if unknown:
            raise ContradictionError(("arch", min(unknown)), "no row has this label")
        return self

    @property
    def boot_parameters(self) -> BootParameters:
        """What the command line says of CPUs and interrupts."""
        return boot_parameters(self.kernel.cmdline, self.cpus.possible)

    def _check_boot_parameters(self) -> None:
        try:
            isolated = self.boot_parameters.isolated
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
