"""/proc/cpuinfo: what each architecture says of one CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakeproc.guest.kernel import Kernel

__all__ = ["arm64_cpuinfo", "x86_cpuinfo"]


def arm64_cpuinfo(kernel: Kernel, cpu: int) -> Iterator[str]:
    """`arch/arm64/kernel/cpuinfo.c: c_show`: the lines of one CPU."""
    model = kernel.cpus.model_of(cpu)
    midr = model.midr
    yield f"processor\t: {cpu}"
    yield f"BogoMIPS\t: {50 if model.bogomips is None else model.bogomips:.2f}"
    yield f"Features\t: {model.flags}"
    yield f"CPU implementer\t: 0x{midr >> 24:02x}"
    yield "CPU architecture: 8"
    yield f"CPU variant\t: 0x{midr >> 20 & 0xF:x}"
    yield f"CPU part\t: 0x{midr >> 4 & 0xFFF:03x}"
    yield f"CPU revision\t: {midr & 0xF}"


def x86_cpuinfo(kernel: Kernel, cpu: int) -> Iterator[str]:
    """`arch/x86/kernel/cpu/proc.c: show_cpuinfo`: the lines of one CPU."""
    cpus, model = kernel.cpus, kernel.cpus.model_of(cpu)
    package = cpus.package_mask(cpu) & cpus.online
    place = cpus.place_of(cpu)
    cores = cpus.topology.cores_in(package)
    caches = [c.profile.size_kib for c in cpus.topology.caches if c.mask(cpu)]
    largest = max(caches, default=0) if model.cache_size_kib is None else model.cache_size_kib
    twice = model.khz * 2 // 10
    hundredths = twice if model.bogomips is None else round(model.bogomips * 100)
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
    yield f"physical id\t: {place.package}"
    yield f"siblings\t: {package.bit_count()}"
    yield f"core id\t\t: {place.core}"
    yield f"cpu cores\t: {cores}"
    yield f"apicid\t\t: {place.apicid}"
    yield f"initial apicid\t: {place.apicid}"
    yield "fpu\t\t: yes"
    yield "fpu_exception\t: yes"
    yield f"cpuid level\t: {model.cpuid_level}"
    yield "wp\t\t: yes"
    yield f"flags\t\t: {model.flags}"
    if model.vmx_flags is not None:
        yield f"vmx flags\t: {model.vmx_flags}"
    yield f"bugs\t\t: {model.bugs}"
    yield f"bogomips\t: {hundredths // 100}.{hundredths % 100:02d}"
    if model.tlb_pages is not None:
        yield f"TLB size\t: {model.tlb_pages} 4K pages"
    yield f"clflush size\t: {model.clflush_bytes}"
    yield f"cache_alignment\t: {model.cache_alignment}"
    yield f"address sizes\t: {physical} bits physical, {virtual} bits virtual"
    yield f"power management:{model.power_management and ' ' + model.power_management}"
