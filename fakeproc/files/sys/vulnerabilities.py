"""/sys/devices/system/cpu/vulnerabilities: `arch/x86/kernel/cpu/bugs.c`, in a guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.files.kernels.versions import shown
from fakeproc.files.tree import Directory, constant

if TYPE_CHECKING:
    from fakeproc.guest.kernel import Kernel

__all__ = ["vulnerabilities"]

# What a guest that is shown no mitigations of the hardware says of a bug it is said to have,
# the bug being the word of /proc/cpuinfo.
_MITIGATED = {
    "gather_data_sampling": ("gds", "Unknown: Dependent on hypervisor status"),
    "itlb_multihit": ("itlb_multihit", "KVM: Mitigation: VMX disabled"),
    "l1tf": ("l1tf", "Mitigation: PTE Inversion"),
    "mds": ("mds", "Mitigation: Clear CPU buffers; SMT Host state unknown"),
    "meltdown": ("cpu_meltdown", "Mitigation: PTI"),
    "mmio_stale_data": (
        "mmio_stale_data",
        "Vulnerable: Clear CPU buffers attempted, no microcode; SMT Host state unknown",
    ),
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
    "mds": "Vulnerable; SMT Host state unknown",
    "meltdown": "Vulnerable",
    "mmio_stale_data": "Vulnerable",
    "reg_file_data_sampling": "Vulnerable",
    "spec_rstack_overflow": "Vulnerable",
    "spectre_v1": (
        "Vulnerable: __user pointer sanitization and usercopy barriers only; no swapgs barriers"
    ),
    "spectre_v2": ("Vulnerable; STIBP: disabled; PBRSB-eIBRS: Not affected; BHI: Vulnerable"),
    "tsx_async_abort": "Vulnerable",
}


def vulnerabilities(kernel: Kernel) -> Directory:
    """A text for each vulnerability that the kernel knows."""
    bugs = kernel.profile.cpus.bugs.split()
    off = _OFF if kernel.profile.boot_parameters.mitigations_off else {}
    texts = {
        name: off.get(name, text) if bug in bugs else "Not affected"
        for name, (bug, text) in _MITIGATED.items()
    }
    texts |= dict.fromkeys(sorted(shown(kernel).vulnerabilities), "Not affected")
    return Directory(entries={name: constant(f"{text}\n") for name, text in texts.items()})
