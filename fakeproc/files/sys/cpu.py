"""/sys/devices/system/cpu: `drivers/base/cpu.c`, `kernel/cpu.c`."""

from __future__ import annotations

from contextlib import suppress
from errno import EINVAL
from typing import TYPE_CHECKING, cast

from fakeproc.files.kernels.architectures import architecture_files
from fakeproc.files.kernels.versions import shown
from fakeproc.files.subjects import Cpu, list_line
from fakeproc.files.sys.cpu_busy import holders_explained
from fakeproc.files.sys.cpu_topology import topology_directory
from fakeproc.files.sys.cpufreq import cpufreq_directory
from fakeproc.files.sys.device import link, shows
from fakeproc.files.sys.vulnerabilities import vulnerabilities
from fakeproc.files.text.kstrtox import parse_bool, parse_int, word
from fakeproc.files.tree import Attributes, Directory, Symlink
from fakeproc.guest.base.cpu import CpuDevice, CpuRoot
from fakeproc.guest.base.cpu_hotplug import CPUHP_OFFLINE, CPUHP_ONLINE
from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.guest.base.smt import SmtState
    from fakeproc.timeline import Sleeper

__all__: list[str] = []

ROOT = Attributes[Kernel]()
STATES = Attributes[Kernel]()
SMT = Attributes[Kernel]()
CPUIDLE = Attributes[Kernel]()
CPU = Attributes[Cpu]()
HOTPLUG = Attributes[Cpu]()
REGS = Attributes[Cpu]()


# /sys/devices/system/cpu


@ROOT.show
def online_show(kernel: Kernel) -> str:
    """The CPUs that run."""
    return list_line(kernel.cpus.online)


@ROOT.show
def possible_show(kernel: Kernel) -> str:
    """The CPUs that may ever be there."""
    return list_line(kernel.cpus.possible)


@ROOT.show
def present_show(kernel: Kernel) -> str:
    """The CPUs that are there."""
    return list_line(kernel.cpus.present)


@ROOT.show
def offline_show(kernel: Kernel) -> str:
    """The possible CPUs that do not run."""
    return list_line(kernel.cpus.possible & ~kernel.cpus.online)


@ROOT.show
def isolated_show(kernel: Kernel) -> str:
    """The CPUs that the scheduler does not balance (`isolcpus=domain`)."""
    return list_line(kernel.cpus.possible & ~kernel.cpus.housekeeping_domain)


@ROOT.show
def nohz_full_show(kernel: Kernel) -> str:
    """The CPUs of `nohz_full=`.

    Without it some kernels print a null pointer, as wide as the mask has bits.
    """
    if kernel.cpus.nohz_full is not None:
        return list_line(kernel.cpus.nohz_full)
    if kernel.profile.architecture in shown(kernel).nohz_full_null:
        return f"{'(null)':>{kernel.cpus.nr_cpu_ids}}\n"
    return "\n"


@ROOT.show
def kernel_max_show(kernel: Kernel) -> str:
    """The highest CPU that this kernel was built for."""
    return f"{kernel.profile.kernel.max_cpus - 1}\n"


def _has(name: str) -> Callable[[Kernel], bool]:
    """Whether the kernel has a file that came after 6.1."""
    return lambda kernel: name in _later_files(kernel)


def _later_files(kernel: Kernel) -> frozenset[str]:
    return architecture_files(kernel).cpu_files(shown(kernel))


@ROOT.show(visible=_has("enabled"))
def enabled_show(kernel: Kernel) -> str:
    """The CPUs that may be brought online."""
    return list_line(kernel.cpus.present)


@ROOT.show(visible=_has("housekeeping"))
def housekeeping_show(kernel: Kernel) -> str:
    """The CPUs that do the kernel's own work, where `nohz_full=` says so."""
    adaptive = kernel.cpus.nohz_full
    return "\n" if adaptive is None else list_line(kernel.cpus.possible & ~adaptive)


@ROOT.show(visible=_has("crash_hotplug"))
def crash_hotplug_show(_kernel: Kernel) -> str:
    """Whether a loaded crash kernel follows hotplug itself: none is loaded."""
    return "0\n"


@ROOT.show
def modalias_show(kernel: Kernel) -> str:
    """What udev loads modules for."""
    return f"{kernel.cpus.modalias}\n"


@STATES.show
def states_show(kernel: Kernel) -> str:
    """The steps between offline and online."""
    words = iter(shown(kernel).hotplug_states[kernel.profile.architecture].split())
    return "".join(f"{number:>3}: {name}\n" for number, name in zip(words, words, strict=True))


@SMT.show
def active_show(kernel: Kernel) -> str:
    """Whether two threads of a core run."""
    cpus = kernel.cpus
    cores = (cpus.core_mask(cpu) & cpus.online for cpu in cpus_in(cpus.online))
    return f"{any(core.bit_count() > 1 for core in cores):d}\n"


@SMT.show
def control_show(kernel: Kernel) -> str:
    """Whether the second threads may run."""
    smt = kernel.smt
    if smt.state == "on" and smt.threads != smt.max_threads:
        return f"{smt.threads}\n"
    return f"{smt.state}\n"


@SMT.store
def control_store(kernel: Kernel, data: bytes) -> Sleeper[None]:
    """`__store_smt_control`; raises OSError as `SmtControl.set`."""
    said = word(data)
    wanted: SmtState | int | None = None
    if said in {"on", "off", "forceoff"}:
        wanted = cast("SmtState", said)
    else:
        with suppress(OSError):  # what is no number is neither, and refused in its turn
            wanted = parse_int(data)
    with holders_explained():
        yield from kernel.smt.set(wanted)


@CPUIDLE.show
def available_governors_show(_kernel: Kernel) -> str:
    """The one that is built in."""
    return "menu \n"


@CPUIDLE.show
def current_driver_show(_kernel: Kernel) -> str:
    """None: Hyper-V shows no idle states."""
    return "none\n"


@CPUIDLE.show
def current_governor_show(_kernel: Kernel) -> str:
    """The one that is built in."""
    return "menu\n"


@CPUIDLE.store
def current_governor_store(_kernel: Kernel, data: bytes) -> None:
    """Another governor; OSError EINVAL where there is none of that name."""
    if word(data) != "menu":
        raise OSError(EINVAL, "the only governor is menu")


@CPUIDLE.show
def current_governor_ro_show(_kernel: Kernel) -> str:
    """The same, under the name it had when it could not be written."""
    return "menu\n"


@shows(CpuRoot)
def cpu_root_files(kernel: Kernel, device: CpuRoot) -> Directory:
    """/sys/devices/system/cpu."""
    return Directory(
        (ROOT.on(kernel, device),),
        {
            "cpufreq": cpufreq_directory(kernel),
            "cpuidle": Directory((CPUIDLE.on(kernel),)),
            "hotplug": Directory((STATES.on(kernel),)),
            "smt": Directory((SMT.on(kernel),)),
            "vulnerabilities": lambda: vulnerabilities(kernel),
        },
    )


# cpuN


def _is_hotpluggable(it: Cpu) -> bool:
    """`arch_cpu_is_hotpluggable`: on x86 every CPU but the one that boots."""
    return it.cpu > 0 or it.kernel.architecture.boot_cpu_unplugs


@CPU.show(name="online", visible=_is_hotpluggable)
def cpu_online_show(it: Cpu) -> str:
    """Whether it runs, as far as was asked here."""
    return f"{it.kernel.hotplug.device_online(it.cpu):d}\n"


@CPU.store(name="online")
def cpu_online_store(it: Cpu, data: bytes) -> Sleeper[None]:
    """Let it run or not; OSError EINVAL for neither, EBUSY where it must stay."""
    words = it.kernel.personality.version.bool_takes_enable
    online = parse_bool(data, enable_words=words)
    with holders_explained():
        yield from it.kernel.hotplug.set_online(it.cpu, online)


def _has_capacity(it: Cpu) -> bool:
    """While it runs: on arm64 always, on x86 on newer kernels."""
    return "cpu_capacity" in _later_files(it.kernel) and it.kernel.cpus.is_online(it.cpu)


@CPU.show(visible=_has_capacity)
def cpu_capacity_show(it: Cpu) -> str:
    """How much it can do, where the fastest can do 1024."""
    return f"{it.kernel.cpus.place_of(it.cpu).capacity}\n"


@CPU.show(mode=0o400)
def crash_notes_show(it: Cpu) -> str:
    """Where a crash would leave its registers: a physical address."""
    return f"{0x103DC00 + it.cpu * 0x80000:x}\n"


@CPU.show(mode=0o400)
def crash_notes_size_show(it: Cpu) -> str:
    """The room there, in bytes."""
    return f"{architecture_files(it.kernel).crash_notes_size}\n"


@HOTPLUG.show
def state_show(it: Cpu) -> str:
    """The state that it is in."""
    return f"{it.kernel.hotplug.state(it.cpu)}\n"


@HOTPLUG.show
def target_show(it: Cpu) -> str:
    """The state that it was last sent to."""
    return f"{it.kernel.hotplug.target(it.cpu)}\n"


@HOTPLUG.store
def target_store(it: Cpu, data: bytes) -> Sleeper[None]:
    """`write_cpuhp_target`.

    Raises OSError EINVAL for what is no number and, without
    CONFIG_CPU_HOTPLUG_STATE_CONTROL, for all states but the first and the
    last; ERANGE for a number beyond 32 bits; EBUSY where the CPU must stay.
    """
    target = parse_int(data)
    if target not in {CPUHP_OFFLINE, CPUHP_ONLINE}:
        raise OSError(EINVAL, f"neither state {CPUHP_OFFLINE} nor {CPUHP_ONLINE}")
    with holders_explained():
        yield from it.kernel.hotplug.set_target(it.cpu, target)


@HOTPLUG.show
def fail_show(_it: Cpu) -> str:
    """The state that is to fail next: none."""
    return "-1\n"


@HOTPLUG.store
def fail_store(_it: Cpu, data: bytes) -> None:
    """Let a state fail; OSError EINVAL for all but -1, which lets none."""
    if parse_int(data) != -1:
        raise OSError(EINVAL, "failing states are not emulated")


@REGS.show
def midr_el1_show(it: Cpu) -> str:
    """The main ID register: implementer, variant, architecture, part and revision."""
    return f"0x{it.kernel.cpus.model_of(it.cpu).midr:016x}\n"


@REGS.show
def revidr_el1_show(_it: Cpu) -> str:
    """The revision ID register: nothing beyond `midr_el1`."""
    return f"0x{0:016x}\n"


def _regs(it: Cpu, device: CpuDevice) -> Directory | None:
    """`arch/arm64/kernel/cpuinfo.c: cpuregs_id_attrs`, while the CPU runs."""
    if not architecture_files(it.kernel).has_identification or not it.kernel.cpus.is_online(it.cpu):
        return None
    return Directory(entries={"identification": Directory((REGS.on(it, device),))})


def _cpufreq(it: Cpu) -> Symlink | None:
    """`add_cpu_dev_symlink`."""
    policy = it.kernel.cpufreq.policy(it.cpu)
    return None if policy is None else Symlink(f"../cpufreq/policy{policy.number}")


@shows(CpuDevice)
def cpu_files(kernel: Kernel, device: CpuDevice) -> Directory:
    """/sys/devices/system/cpu/cpuN."""
    cpu = device.number
    it = Cpu(kernel, cpu)
    own = kernel.nodes.devices.get(f"node{kernel.cpus.place_of(cpu).node}")
    nodes = {} if own is None else {own.name: link(device, own)}

    def topology() -> Directory | None:
        return topology_directory(kernel, cpu) if kernel.cpus.is_online(cpu) else None

    return Directory(
        (CPU.on(it, device),),
        {
            "hotplug": lambda: Directory((HOTPLUG.on(it, device),)),
            "regs": lambda: _regs(it, device),
            **nodes,
            "cpufreq": lambda: _cpufreq(it),
            "topology": topology,
        },
    )
