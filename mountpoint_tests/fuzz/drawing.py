"""A random request, by what the guest has at the moment."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from fakeproc.files.tree import Directory, Symlink

from .console import FILES, console_line, spoiled, times_of_passing
from .requests import Request

if TYPE_CHECKING:
    from fakeproc.machine import Machine
    from fakeproc.vfs.namespace import Namespace

__all__ = ["DETERMINISTIC", "Drawing"]

CPUS = "/sys/devices/system/cpu"
BUS = "/sys/bus/vmbus"
TEXTS = ("/proc/interrupts", "/proc/stat", "/proc/softirqs", "/host/state.json", "/host/uevents")
BAD = (b"", b"\n", b"x", b"-1", b"999999", b",", b"0", b"8-1\n", b"\0", b"1" * 5000, b"0-3:1/2")

# Console files that may be written where two machines must stay alike: not those that speak
# of processes, nor a clock that runs.
DETERMINISTIC = tuple(name for name in FILES if name not in {"journal", "accesses"})


class Drawing:
    """Draws requests for one machine; `files` are the console's that may be written."""

    def __init__(
        self, random: Random, machine: Machine, files: Namespace, console: tuple[str, ...] = FILES
    ) -> None:
        self._random = random
        self._machine = machine
        self._kernel = machine.kernel
        self._files = files
        self._console = console
        self._held: list[str] = []

    def draw(self) -> Request:
        """The next request."""
        random = self._random
        kinds = (self._move, self._cpu, self._bind, self._say, self._pass, self._look, self._hold)
        (kind,) = random.choices(kinds, (6, 3, 4, 6, 5, 4, 2))
        return kind()

    def _write(self, path: str, *data: str) -> Request:
        if self._random.random() < 0.08:
            return Request("write", path, self._random.choice(BAD))
        return Request("write", path, self._random.choice(data).encode())

    def _a_cpu(self) -> int:
        return self._random.randrange(self._kernel.cpus.nr_cpu_ids + 1)

    def _a_device(self) -> str:
        return self._random.choice([*self._kernel.vmbus.devices, "0"])

    def _move(self) -> Request:
        random, cpu = self._random, self._a_cpu()
        channels = list(self._kernel.vmbus.channels.values())
        if random.random() < 0.4 and channels:
            channel = random.choice(channels)
            path = f"{BUS}/devices/{channel.device.name}/channels/{channel.relid}/cpu"
            return self._write(path, f"{cpu}", f"{cpu}\n")
        irq = random.choice([*self._kernel.irqs.descs, 999])
        words = f"{1 << cpu:x}", f"{random.getrandbits(8):x}"
        if random.random() < 0.1:
            return self._write("/proc/irq/default_smp_affinity", *words)
        if random.random() < 0.5:
            return self._write(f"/proc/irq/{irq}/smp_affinity", *words)
        return self._write(f"/proc/irq/{irq}/smp_affinity_list", f"{cpu}", f"{cpu},{cpu // 2}\n")

    def _cpu(self) -> Request:
        cpu, random = self._a_cpu(), self._random
        if random.random() < 0.1:
            return self._write(f"{CPUS}/smt/control", "off", "on", "forceoff", "1", "2")
        if random.random() < 0.2:
            return self._write(f"{CPUS}/cpu{cpu}/hotplug/target", "0", "236", "100")
        return self._write(f"{CPUS}/cpu{cpu}/online", "0", "1", "0\n", "y", "n")

    def _bind(self) -> Request:
        random, device = self._random, self._a_device()
        drivers = self._kernel.vmbus.bus.drivers
        driver = random.choice(list(drivers))
        found = self._kernel.vmbus.devices.get(device)
        if found is not None and found.driver is not None and random.random() < 0.6:
            driver = found.driver.name
        where = f"{BUS}/drivers/{driver}"
        match random.randrange(8):
            case 0 | 1 | 2:
                return self._write(f"{where}/unbind", device)
            case 3 | 4 | 5:
                return self._write(f"{where}/bind", device)
            case 6:
                class_id = str(found.offer.class_id) if found is not None else device
                return self._write(f"{where}/{random.choice(('new_id', 'remove_id'))}", class_id)
            case _:
                return self._write(f"{BUS}/devices/{device}/driver_override", driver, "\n")

    def _say(self) -> Request:
        random = self._random
        file = random.choice(self._console)
        inner = random.choice((self._move, self._cpu, self._bind))()
        planned = f"{inner.path} {inner.data.decode(errors='replace') or '0'}"
        line = console_line(random, self._machine, file, planned)
        if self._console is DETERMINISTIC and line in {"real", "rate 2.5"}:
            line = "manual"
        data = spoiled(random, line) if random.random() < 0.2 else line.encode()
        return Request("write", f"/host/{file}", data)

    def _pass(self) -> Request:
        return Request("write", "/host/clock", times_of_passing(self._random).encode())

    def _look(self) -> Request:
        random = self._random
        if random.random() < 0.3:
            return Request("read", random.choice(TEXTS))
        path = self._somewhere()
        call = random.choice(("read", "read", "stat", "list", "readlink", "truncate"))
        return Request(call, path)

    def _hold(self) -> Request:
        random = self._random
        if not self._held or random.random() < 0.3:
            path = self._somewhere()
            self._held = [*self._held[-4:], path]
            return Request("hold", path)
        path = random.choice(self._held)
        match random.randrange(4):
            case 0:
                return Request("tell", path, b"1")
            case 1:
                self._held.remove(path)
                return Request("drop", path)
            case _:
                return Request("again", path)

    def _somewhere(self) -> str:
        """A path down the tree, of a name that is there or, rarely, not."""
        random = self._random
        node, path = self._files.node("/"), ""
        while isinstance(node, Directory):
            names = [name for name, _ in node.children()]
            if path and (not names or random.random() < 0.1):
                break
            name = random.choice(names)
            node, path = node.lookup(name), f"{path}/{name}"
            if isinstance(node, Symlink):
                break
        return path if random.random() < 0.95 else f"{path}/x"
