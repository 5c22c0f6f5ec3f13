"""Spread the interrupts of Hyper-V's network cards evenly over the CPUs."""

import re
from pathlib import Path


def cpus_online(read):
    cpus = []
    for part in read("/sys/devices/system/cpu/online").strip().split(","):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus


def netvsc_irqs(read):
    return re.findall(r"(?m)^ *(\d+):.* netvsc$", read("/proc/interrupts"))


def mask_of(cpu):
    return f"{1 << cpu % 32:08x}" + ",00000000" * (cpu // 32)  # the kernel's groups of 32 CPUs


def spread(read, write):
    cpus, irqs = cpus_online(read), netvsc_irqs(read)
    for number, irq in enumerate(irqs):
        cpu = cpus[number * len(cpus) // len(irqs)]
        write(f"/proc/irq/{irq}/smp_affinity", mask_of(cpu))


if __name__ == "__main__":
    spread(lambda path: Path(path).read_text(), lambda path, text: Path(path).write_text(text))
