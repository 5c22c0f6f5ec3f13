"""Whether the second threads of the cores may run: `kernel/cpu.c`, CONFIG_HOTPLUG_SMT."""

from __future__ import annotations

from errno import EINVAL, ENODEV, EPERM
from typing import TYPE_CHECKING, Literal, TypeAlias

from fakeproc.guest.cpus import cpus_in

if TYPE_CHECKING:
    from fakeproc.guest.base.cpu_hotplug import Hotplug
    from fakeproc.guest.cpus import Cpus
    from fakeproc.timeline import Sleeper

__all__ = ["SmtControl", "SmtState"]

SmtState: TypeAlias = Literal["on", "off", "forceoff", "notsupported", "notimplemented"]


class SmtControl:
    """`cpu_smt_control` and `cpu_smt_num_threads`.

    `takes_number` is the kernel's: since commit 7f48405c3c34 (in v6.6) the
    number of threads decides whether a change is one, and no longer the state.
    """

    def __init__(
        self, hotplug: Hotplug, cpus: Cpus, *, implemented: bool, takes_number: bool
    ) -> None:
        self._hotplug = hotplug
        self._cpus = cpus
        self._takes_number = takes_number
        self.max_threads = cpus.topology.threads_per_core
        self.threads = self.max_threads
        self.state: SmtState = "on" if self.max_threads > 1 else "notsupported"
        if not implemented:
            self.state = "notimplemented"
        if cpus.smt is not None:
            self.state = cpus.smt
            self.threads = self.max_threads if cpus.smt == "on" else 1
        hotplug.may_boot = self.may_boot

    def may_boot(self, cpu: int) -> bool:
        """`cpu_bootable`: each of these CPUs has booted once."""
        return self.state not in {"off", "forceoff"} or self._cpus.is_primary(cpu)

    def set(self, wanted: SmtState | int | None) -> Sleeper[None]:
        """`__store_smt_control`: a state, a number of threads, or None for neither.

        Raises OSError EINVAL, EPERM once it is forced off, ENODEV without
        second threads; else what keeps a CPU online.  The threads that have
        gone by then stay away, as with the kernel.
        """
        if not self._takes_number:
            self._check_state_or_number(wanted)
        if self.state == "forceoff":
            raise OSError(EPERM, "the second threads are forced off until the next boot")
        if self.state in {"notsupported", "notimplemented"}:
            raise OSError(ENODEV, "the cores have one thread")
        if self._takes_number:
            self._check_state_or_number(wanted)
        with (yield from self._hotplug.lock()):
            yield from self._store(wanted)

    def _store(self, wanted: SmtState | int | None) -> Sleeper[None]:
        state = wanted if isinstance(wanted, str) else "off" if wanted == 1 else "on"
        threads = self.max_threads if state == "on" else 1
        if self._takes_number:
            before, self.threads = self.threads, threads
            if threads > before:
                yield from self._enable()
            elif threads < before or state == "forceoff":
                yield from self._disable(state)
        elif state != self.state:
            if state == "on":
                yield from self._enable()
            else:
                yield from self._disable(state)

    def _check_state_or_number(self, wanted: SmtState | int | None) -> None:
        if self.state == "notimplemented":
            raise OSError(ENODEV, "this kernel does not switch threads off")
        if isinstance(wanted, int):
            if not self._takes_number:
                raise OSError(EINVAL, "neither on, off nor forceoff")
            if wanted not in {1, self.max_threads}:
                raise OSError(
                    EINVAL, f"{wanted} threads a core: only 1 and {self.max_threads} can be had"
                )
        elif wanted not in {"on", "off", "forceoff"}:
            raise OSError(EINVAL, "neither on, off, forceoff nor a number of threads")

    def _disable(self, state: SmtState) -> Sleeper[None]:
        """`cpuhp_smt_disable`."""
        for cpu in cpus_in(self._cpus.online):
            if not self._cpus.is_primary(cpu):
                yield from self._hotplug.move_device(cpu, online=False)
        self.state = state

    def _enable(self) -> Sleeper[None]:
        """`cpuhp_smt_enable`: every CPU that is present, also first threads that were off."""
        self.state = "on"
        for cpu in cpus_in(self._cpus.present & ~self._cpus.online):
            yield from self._hotplug.move_device(cpu, online=True)
