"""/sys/devices/system/cpu/vulnerabilities, in a guest that is shown no mitigations of the hardware.

x86 knows them by the bugs that /proc/cpuinfo lists (`arch/x86/kernel/cpu/bugs.c`),
arm64 by its processors (`arch/arm64/kernel/proton-pack.c`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.files.kernels.versions import shown
from fakeproc.files.tree import Directory, constant

if TYPE_CHECKING:
    from fakeproc.guest.kernel import Kernel
    from fakeproc.profiles.processors import Cpus

__all__ = ["vulnerabilities"]

NOT_AFFECTED = "Not affected"
_NO_MICROCODE = "Vulnerable: Clear CPU buffers attempted, no microcode; SMT Host state unknown"
# By file: the word among the bugs, and what the kernel does about it.
_MITIGATED = {
    "gather_data_sampling": ("gds", "Unknown: Dependent on hypervisor status"),
    "indirect_target_selection": ("its", "Mitigation: Aligned branch/return thunks"),
    "itlb_multihit": ("itlb_multihit", "KVM: Mitigation: VMX disabled"),
    "l1tf": ("l1tf", "Mitigation: PTE Inversion"),
    "mds": ("mds", "Mitigation: Clear CPU buffers; SMT Host state unknown"),
    "meltdown": ("cpu_meltdown", "Mitigation: PTI"),
    "mmio_stale_data": ("mmio_stale_data", _NO_MICROCODE),
    "reg_file_data_sampling": ("rfds", "Vulnerable: No microcode"),
    "retbleed": ("retbleed", "Vulnerable"),
    "spec_rstack_overflow": ("srso", "Vulnerable: Safe RET, no microcode"),
    "spec_store_bypass": ("spec_store_bypass", "Vulnerable"),
    "spectre_v1": (
        "spectre_v1",
        "Mitigation: usercopy/swapgs barriers and __user pointer sanitization",
    ),
    "spectre_v2": (
        "spectre_v2",
        "Mitigation: Retpolines; STIBP: disabled; RSB filling; PBRSB-eIBRS: Not affected;"
        " BHI: Retpoline",
    ),
    "srbds": ("srbds", "Unknown: Dependent on hypervisor status"),
    "tsx_async_abort": ("taa", "Mitigation: Clear CPU buffers; SMT Host state unknown"),
}
# With mitigations=off; where the hypervisor or the page tables decide, it changes nothing.
_OFF = {
    "indirect_target_selection": "Vulnerable",
    "mds": "Vulnerable; SMT Host state unknown",
    "meltdown": "Vulnerable",
    "mmio_stale_data": "Vulnerable",
    "reg_file_data_sampling": "Vulnerable",
    "spec_rstack_overflow": "Vulnerable",
    "spectre_v1": (
        "Vulnerable: __user pointer sanitization and usercopy barriers only; no swapgs barriers"
    ),
    "spectre_v2": "Vulnerable; STIBP: disabled; PBRSB-eIBRS: Not affected; BHI: Vulnerable",
    "tsx_async_abort": "Vulnerable",
}

_CORTEX_A57 = 0xD070  # the part number of a midr; the ones after A76 say themselves what they are
_ARM64 = {
    "spec_store_bypass": "Mitigation: Speculative Store Bypass disabled via prctl",
    "spectre_v1": "Mitigation: __user pointer sanitization",
    "spectre_v2": "Mitigation: CSV2, BHB",
}
_ARM64_A57 = _ARM64 | {"spec_store_bypass": "Vulnerable", "spectre_v2": "Vulnerable"}


def vulnerabilities(kernel: Kernel) -> Directory | None:
    """A text for each vulnerability that the kernel knows; None where it knows of none."""
    profile = kernel.profile
    if profile.cpus.vulnerabilities is not None:
        return _directory({**profile.cpus.vulnerabilities})
    names = _MITIGATED.keys() | shown(kernel).vulnerabilities
    if profile.architecture == "arm64":
        is_a57 = profile.cpus.midr & 0xFFF0 == _CORTEX_A57
        texts = _ARM64_A57 if is_a57 else _ARM64
    else:
        texts = _of_x86(profile.cpus, off=profile.boot_parameters.mitigations_off)
    return _directory({name: texts.get(name, NOT_AFFECTED) for name in sorted(names)})


def _directory(texts: dict[str, str]) -> Directory | None:
    entries = {name: constant(f"{text}\n") for name, text in texts.items()}
    return Directory(entries=entries) if entries else None


def _of_x86(cpus: Cpus, *, off: bool) -> dict[str, str]:
    """What a processor has, by file."""
    bugs, flags = cpus.bugs.split(), cpus.flags.split()
    texts = {name: text for name, (bug, text) in _MITIGATED.items() if bug in bugs}
    if "mds" in texts and "md_clear" not in flags:
        texts["mds"] = _NO_MICROCODE
    if off:
        texts |= {name: _OFF[name] for name in texts.keys() & _OFF.keys()}
    if "itlb_multihit" in texts and "vmx" not in flags:
        texts["itlb_multihit"] = "KVM: Mitigation: VMX unsupported"
    if "mmio_unknown" in bugs:  # too old for anybody to have looked
        texts["mmio_stale_data"] = "Unknown: No mitigations"
    return texts
