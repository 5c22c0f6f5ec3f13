"""/proc/cpuinfo: what each architecture says of one CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakeproc.guest.cpus import cpus_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakeproc.guest.kernel import Kernel

__all__ = ["arm64_cpuinfo", "x86_cpuinfo"]


def arm64_cpuinfo(kernel: Kernel, cpu: int) -> Iterator[str]:
    """`arch/arm64/kernel/cpuinfo.c: c_show`: the lines of one CPU."""
    midr = kernel.profile.cpus.midr
    yield f"processor\t: {cpu}"
    yield "BogoMIPS\t: 50.00"
    yield f"Features\t: {kernel.profile.cpus.flags}"
    yield f"CPU implementer\t: 0x{midr >> 24:02x}"
    yield "CPU architecture: 8"
    yield f"CPU variant\t: 0x{midr >> 20 & 0xF:x}"
    yield f"CPU part\t: 0x{midr >> 4 & 0xFFF:03x}"
    yield f"CPU revision\t: {midr & 0xF}"


def x86_cpuinfo(kernel: Kernel, cpu: int) -> Iterator[str]:
    """`arch/x86/kernel/cpu/proc.c: show_cpuinfo`: the lines of one CPU."""
    cpus, model = kernel.cpus, kernel.profile.cpus
    package = cpus.package_mask(cpu) & cpus.online
    cores = {cpus.core_of(other) for other in cpus_in(package)}
    largest = max((cache.size_kib for cache in model.caches), default=0)
    physical, virtual = model.address_bits
    yield f"processor\t: {cpu}"
    yield f"vendor_id\t: {model.vendor}"
    yield f"cpu family\t: {model.family}"
    yield f"model\t\t: {model.model}"
    yield f"model name\t: {model.name}"
    yield f"stepping\t: {model.stepping}"
    yield f"microcode\t: {model.microcode:#x}"
    yield f"cpu MHz\t\t: {model.khz // 1000}.{model.khz % 1000:03d}"
    yield f"cache size\t: {largest} KB"
    yield f"physical id\t: {cpus.package_of(cpu)}"
    yield f"siblings\t: {package.bit_count()}"
    yield f"core id\t\t: {cpus.core_of(cpu)}"
    yield f"cpu cores\t: {len(cores)}"
    yield f"apicid\t\t: {cpu}"
    yield f"initial apicid\t: {cpu}"
    yield "fpu\t\t: yes"
    yield "fpu_exception\t: yes"
    yield "cpuid level\t: 27"
    yield "wp\t\t: yes"
    yield f"flags\t\t: {model.flags}"
    yield f"bugs\t\t: {model.bugs}"
    yield f"bogomips\t: {model.khz * 2 // 1000}.{model.khz * 2 // 10 % 100:02d}"
    yield "clflush size\t: 64"
    yield "cache_alignment\t: 64"
    yield f"address sizes\t: {physical} bits physical, {virtual} bits virtual"
    yield "power management:"
