"""The processors of a profile: which there are, what they are, and where each lies."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from fakeproc.cpu_lists import as_list
from fakeproc.defaults import MAX_CPUS
from fakeproc.profiles.caches import Cache
from fakeproc.profiles.cpu_sets import CpuCount, CpuSet, NodeCount, NodeSet, Numbers
from fakeproc.profiles.errors import ContradictionError
from fakeproc.profiles.fields import AddressBits, FileName, Khz, KhzOfEach, Register, Table, Word

__all__ = ["CpuGroup", "Cpus", "Isolation", "SmtControl"]

SmtControl = Literal["on", "off", "forceoff", "notsupported", "notimplemented"]


class Isolation(Table):
    """CPUs kept free by `isolcpus=`, by what they are kept free of."""

    managed_irq: CpuSet = frozenset()  # of interrupts that the kernel places
    domain: CpuSet = frozenset()  # of the scheduler's balancing


class CpuGroup(Table):
    """Some CPUs, and where each of them lies; what is said of a CPU here counts for it alone.

    `package`, `die` and so on are a number for all of them, or one for each in
    the order of the CPUs: "0-7", "0,0,1,1".  Fewer numbers than CPUs start over.
    """

    cpus: CpuSet  # which ones
    package: Numbers = (0,)  # physical_package_id
    die: Numbers | None = None  # x86: die_id, within the package; default: a package is one
    # The number of the cluster; default: what shares a level-2 cache of Intel's, else none.
    cluster: Numbers | None = None
    core: Numbers | None = None  # core_id; CPUs of one core are its threads; default: counted
    # x86: AMD's compute unit (cu_id), by which CPUs with core_ids of their own are siblings.
    compute_unit: Numbers | None = None
    apicid: Numbers | None = None  # x86; default: the number of the CPU
    capacity: Numbers = (1024,)  # cpu_capacity, of 1024
    kind: Literal["core", "atom", "lowpower"] | None = None  # x86: of hybrid processors
    vendor: str | None = None  # this, and all below, where it differs from [cpus]
    family: Register | None = None  # x86
    model: Register | None = None  # x86
    stepping: Register | None = None  # x86
    microcode: Register | None = None  # x86
    name: str | None = None  # x86
    khz: KhzOfEach | None = None  # kHz; one for all of them, or one for each
    flags: str | None = None  # as in [cpus]
    bugs: str | None = None  # x86
    midr: Register | None = None  # arm64
    bogomips: float | None = Field(default=None, ge=0, le=1e9)  # as in [cpus]
    current_khz: KhzOfEach | None = None  # kHz; as khz
    min_khz: KhzOfEach | None = None  # kHz; as khz
    max_khz: KhzOfEach | None = None  # kHz; as khz
    base_khz: KhzOfEach | None = None  # kHz; as khz
    # The number of the cpufreq policy; CPUs with the same one change their frequency together;
    # default: each has its own.
    policy: Numbers | None = None

    @property
    def differences(self) -> list[dict[str, Any]]:
        """What each of these CPUs has for itself, by the keys of [cpus]."""
        own = {key: value for key in _OWN if (value := getattr(self, key)) is not None}
        return [
            own | {key: of_each[at % len(of_each)] for key, of_each in self._khz().items()}
            for at in range(len(self.cpus))
        ]

    def _khz(self) -> dict[str, tuple[int, ...]]:
        return {key: value for key in _KHZ if (value := getattr(self, key)) is not None}

    @model_validator(mode="after")
    def _check(self) -> CpuGroup:
        if not self.cpus:
            raise ContradictionError(("cpus",), "names no CPU")
        for key in (*_PLACES, *_KHZ):
            numbers = getattr(self, key)
            if numbers is not None and len(self.cpus) % len(numbers):
                raise ContradictionError(
                    (key,), f"{len(numbers)} numbers do not come out even for {len(self.cpus)} CPUs"
                )
        if min(self.capacity) < 0:
            raise ContradictionError(("capacity",), "must not be negative")
        return self


_PLACES = ("package", "die", "cluster", "core", "compute_unit", "apicid", "capacity", "policy")
_KHZ = ("khz", "current_khz", "min_khz", "max_khz", "base_khz")
_OWN = (
    "vendor", "family", "model", "stepping", "microcode", "name", "flags", "bugs", "midr",
    "bogomips",
)  # fmt: skip


class Cpus(Table):
    """The virtual processors; neighbours in number are neighbours in the package.

    Where that is not so, `numbering` or [[cpus.groups]] says how it is.
    """

    possible: CpuCount  # how many there may ever be, or which: 8, or "0-3,8-11"
    # The first so many of the possible ones, or which; default: all.
    present: CpuCount | None = None
    offline: CpuSet = frozenset()  # present, but not online at the start
    offlined: CpuSet = frozenset()  # online while the guest boots, and taken offline then
    packages: int = Field(default=1, ge=1, le=MAX_CPUS)  # sockets, among which the CPUs are divided
    threads_per_core: int = Field(default=1, ge=1, le=MAX_CPUS)  # 2 with hyper-threading
    # What neighbours in number differ in: two threads of a core; two cores, the second threads
    # coming after all the first ones; or two packages.
    numbering: Literal["threads", "cores", "packages"] = "threads"
    # NUMA nodes, among which the CPUs are divided: how many, or their numbers, "0,8"; 0: a kernel
    # without NUMA.
    nodes: NodeCount = 1
    possible_nodes: NodeSet | None = None  # nodes that there may be; default: 0 to the highest
    # What smt/control says at the start; default: on where cores have several threads.
    smt: SmtControl | None = None
    isolated: Isolation = Isolation()  # a table of its own
    vendor: str = "GenuineIntel"  # x86: /proc/cpuinfo
    family: Register = 6  # x86
    model: Register = 106  # x86
    stepping: Register = 6  # x86
    microcode: Register = 0xFFFFFFFF  # x86: the revision; a guest is shown this one
    name: str = "Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz"  # x86: the model's name
    khz: Khz = 2_793_438  # kHz
    flags: str = ""  # what /proc/cpuinfo lists as flags, or as Features
    bugs: str = ""  # x86: what /proc/cpuinfo lists as bugs
    # The files of cpu/vulnerabilities and their texts; default: what the kernel says of these bugs.
    # An empty table is a kernel without that directory.
    vulnerabilities: dict[FileName, Word] | None = None
    cpuid_level: Register = 27  # x86: the highest leaf of CPUID
    # In /proc/cpuinfo; default: twice the MHz on x86, 50 on arm64.
    bogomips: float | None = Field(default=None, ge=0, le=1e9)
    clflush_bytes: int = Field(default=64, ge=0, le=65_536)  # x86: bytes
    cache_alignment: int = Field(default=64, ge=0, le=65_536)  # x86: bytes
    # x86: "cache size" in /proc/cpuinfo, KiB; default: that of the largest cache.
    cache_size_kib: int | None = Field(default=None, ge=0, lt=1 << 32)
    tlb_pages: int | None = Field(default=None, ge=0, lt=1 << 32)  # x86: "TLB size"; default: none
    vmx_flags: str | None = None  # x86: "vmx flags"; default: no such line
    power_management: str = ""  # x86: the last line
    midr: Register = 0x413FD0C1  # arm64: the main ID register, a Neoverse N1
    address_bits: tuple[AddressBits, AddressBits] = (46, 48)  # physical, virtual
    current_khz: Khz | None = None  # kHz: scaling_cur_freq; default: khz, within the limits
    min_khz: Khz | None = None  # kHz; default: no cpufreq
    max_khz: Khz | None = None  # kHz; default: no cpufreq
    base_khz: Khz | None = None  # kHz; default: no such file
    boost: bool | None = None  # whether they may run faster for a while; default: no such file
    scaling_driver: str = Field(default="acpi-cpufreq", pattern=r"^[!-~]{1,32}$")  # of cpufreq
    caches: tuple[Cache, ...] = ()  # a list of tables
    # A list of tables, in place of packages, threads_per_core and numbering: where each CPU lies.
    groups: tuple[CpuGroup, ...] = ()

    @property
    def possible_cpus(self) -> frozenset[int]:
        """The CPUs that there may ever be."""
        possible = self.possible
        return frozenset(range(possible)) if isinstance(possible, int) else possible

    @property
    def present_cpus(self) -> frozenset[int]:
        """Those that are there when the guest boots."""
        if self.present is None:
            return self.possible_cpus
        if isinstance(self.present, int):
            return frozenset(sorted(self.possible_cpus)[: self.present])
        return self.present

    @property
    def nr_cpu_ids(self) -> int:
        """The highest possible CPU and 1: how wide a mask is."""
        return max(self.possible_cpus) + 1

    def models(self) -> dict[int, Cpus]:
        """What processor each CPU of a group is: these keys, with what the group has for itself."""
        return {
            cpu: self.model_copy(update=own)
            for group in self.groups
            for cpu, own in zip(sorted(group.cpus), group.differences, strict=True)
        }

    @model_validator(mode="after")
    def _check(self) -> Cpus:
        possible, present = self.possible_cpus, self.present_cpus
        if isinstance(self.present, int) and self.present > len(possible):
            raise ContradictionError(
                ("present",), f"must be between 1 and possible ({len(possible)})"
            )
        if not present <= possible:
            raise ContradictionError(
                ("present",), f"names CPU {min(present - possible)}, which is not possible"
            )
        for location, cpus in (
            (("offline",), self.offline),
            (("offlined",), self.offlined),
            (("isolated", "managed_irq"), self.isolated.managed_irq),
            (("isolated", "domain"), self.isolated.domain),
        ):
            if not cpus <= present:
                raise ContradictionError(
                    location,
                    f"names CPU {max(cpus - present)}, but only {as_list(sorted(present))}"
                    " are present",
                )
        if self.offline | self.offlined == present:
            raise ContradictionError(("offline",), "leaves no CPU online")
        if self.groups:
            self._check_groups()
        else:
            self._check_short_form()
        for at, cache in enumerate(self.caches):
            for key in ("cpus", "shared_by"):
                named = getattr(cache, key) or ()
                for cpu in frozenset().union(*named) if key == "shared_by" else named:
                    if isinstance(cpu, int) and cpu not in possible:
                        raise ContradictionError(
                            ("caches", at, key), f"names CPU {cpu}, which is not possible"
                        )
        return self

    def _check_short_form(self) -> None:
        number = len(self.present_cpus)
        if number % (self.packages * self.threads_per_core):
            raise ContradictionError(
                ("packages" if self.threads_per_core == 1 else "threads_per_core",),
                f"{number} present CPUs do not divide into {self.packages} packages"
                f" of cores with {self.threads_per_core} threads",
            )
        nodes = self.nodes if isinstance(self.nodes, int) else len(self.nodes)
        if nodes and number % nodes:
            raise ContradictionError(
                ("nodes",), f"{number} present CPUs do not divide into {nodes} nodes"
            )

    def _check_groups(self) -> None:
        for key in ("packages", "threads_per_core", "numbering"):
            if key in self.model_fields_set and getattr(self, key) != _defaults(key):
                raise ContradictionError((key,), "is said by [[cpus.groups]]")
        seen: set[int] = set()
        apicids: dict[int, int] = {}
        for at, group in enumerate(self.groups):
            wrong = group.cpus - self.possible_cpus
            if wrong:
                raise ContradictionError(
                    ("groups", at, "cpus"), f"names CPU {min(wrong)}, which is not possible"
                )
            twice = group.cpus & seen
            if twice:
                raise ContradictionError(
                    ("groups", at, "cpus"), f"CPU {min(twice)} is in two groups"
                )
            seen |= group.cpus
            if group.apicid is None:
                continue
            for place, cpu in enumerate(sorted(group.cpus)):
                apicid = group.apicid[place % len(group.apicid)]
                if apicids.setdefault(apicid, cpu) != cpu:
                    raise ContradictionError(
                        ("groups", at, "apicid"),
                        f"{apicid} is given to the CPUs {apicids[apicid]} and {cpu}",
                    )
        missing = self.present_cpus - seen
        if missing:
            raise ContradictionError(("groups",), f"CPU {min(missing)} is in no group")


def _defaults(key: str) -> object:
    return Cpus.model_fields[key].default
