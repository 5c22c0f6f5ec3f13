"""sched_getaffinity, sched_setaffinity and getcpu over the guest's CPUs.

Mirrors `kernel/sched/syscalls.c`.  A thread's mask is what was set, offline CPUs
included; a program sees those of them that are online.
"""

from __future__ import annotations

import os
import struct
from errno import EINVAL, ENOMEM, EPERM, ESRCH
from pathlib import Path
from typing import TYPE_CHECKING

from fakeproc.guest.cpus import first_cpu
from fakeproc.syscalls import memory
from fakeproc.syscalls.tasks import Task, contents, task

if TYPE_CHECKING:
    from fakeproc.syscalls.listener import Call
    from fakeproc.syscalls.verdict import Handler, Model

__all__ = ["Affinities"]

_WORD = 8
_USUAL_SLACK = 50_000  # ns: init/init_task.c
_MOST_MASKS = 100_000  # another 100 us of slack


class Affinities:
    """The mask of every thread of the runs on a guest.

    The kernel hands a mask down at clone(2), and nothing reports that.  Another number
    of a thread is handed down alike, can be written from outside, and matters to nobody
    in the last digits: its timer slack (50,000 ns if nobody has changed it).  So a
    thread with a mask of its own has a timer slack of 50,001 ns or more, and that says
    which mask.  Threads of a real-time policy have no slack from Linux 6.12 on, and get
    the mask that they had when they set it.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        with model() as machine:
            self._cpus = machine.kernel.cpus
        self._masks: list[int] = []  # by what the slack has above the usual
        self._real_time: dict[int, tuple[int, int]] = {}  # tid: when it started, its mask

    def handlers(self) -> dict[str, Handler]:
        """The calls, by name."""
        return {
            "sched_getaffinity": self.getaffinity,
            "sched_setaffinity": self.setaffinity,
            "getcpu": self.getcpu,
        }

    # -- The calls ----------------------------------------------------------------

    def getaffinity(self, call: Call) -> int:
        """`sched_getaffinity(pid, len, mask)`: the bytes written."""
        pid, length, address = call.arguments[:3]
        length &= 0xFFFF_FFFF
        if length * 8 < self._cpus.nr_cpu_ids or length % _WORD:
            raise OSError(EINVAL, os.strerror(EINVAL))
        usable = self._usable(_number(call.tid, pid))
        length = min(length, self._mask_bytes)
        memory.write(call.tid, address, usable.to_bytes(length, "little"))
        return length

    def setaffinity(self, call: Call) -> int:
        """`sched_setaffinity(pid, len, mask)`."""
        pid, length, address = call.arguments[:3]
        length = min(length & 0xFFFF_FFFF, self._mask_bytes)
        wanted = int.from_bytes(memory.read(call.tid, address, length), "little")
        target = _target(call.tid, pid)
        if not _may_change(call.tid, target):
            raise OSError(EPERM, os.strerror(EPERM))
        # cpuset_cpus_allowed: tasks in the top cpuset may have offline CPUs in their mask.
        mask = wanted & self._cpus.possible
        if not mask & self._online():
            raise OSError(EINVAL, os.strerror(EINVAL))
        self._give(target, mask)
        return 0

    def getcpu(self, call: Call) -> int:
        """`getcpu(cpu, node)`: the first CPU that the thread may use."""
        cpu = first_cpu(self._usable(call.tid)) or 0
        for address, number in zip(call.arguments, (cpu, self._cpus.node_of(cpu)), strict=False):
            if address:
                memory.write(call.tid, address, struct.pack("I", number))
        return 0

    # -- Masks --------------------------------------------------------------------

    @property
    def _mask_bytes(self) -> int:
        """`cpumask_size()` with CONFIG_CPUMASK_OFFSTACK: whole words of nr_cpu_ids bits."""
        return -(-self._cpus.nr_cpu_ids // (8 * _WORD)) * _WORD

    def _online(self) -> int:
        with self._model():
            return self._cpus.online

    def _usable(self, tid: int) -> int:
        """The CPUs of a thread that are online.

        Threads whose last CPU has gone may use all there are, from then on
        (`select_fallback_rq`).
        """
        online = self._online()
        index = _slack(tid) - _USUAL_SLACK - 1
        if index == -_USUAL_SLACK - 1:
            return (self._before_real_time(tid) & online) or online
        if not 0 <= index < len(self._masks):
            return self._default & online
        if not self._masks[index] & online:
            self._masks[index] = self._cpus.possible
        return self._masks[index] & online

    def _before_real_time(self, tid: int) -> int:
        started, mask = self._real_time.get(tid, (None, 0))
        target = task(tid)
        return mask if target is not None and target.started == started else self._default

    def _give(self, target: Task, mask: int) -> None:
        """Let a thread, and what it will start, have a mask.  Raises OSError."""
        if mask not in self._masks:
            if len(self._masks) >= _MOST_MASKS:
                raise OSError(ENOMEM, os.strerror(ENOMEM))
            self._masks.append(mask)
        self._real_time[target.tid] = target.started, mask
        slack = _USUAL_SLACK + 1 + self._masks.index(mask)
        Path(f"/proc/{target.tid}/timerslack_ns").write_text(str(slack))

    @property
    def _default(self) -> int:
        """What init has: `sched_init_smp` keeps it off isolated CPUs."""
        return self._cpus.housekeeping_domain


def _slack(tid: int) -> int:
    """The timer slack of a thread, in ns.  Raises OSError ESRCH."""
    try:
        return int(contents(f"/proc/{tid}/timerslack_ns"))
    except FileNotFoundError:
        raise OSError(ESRCH, os.strerror(ESRCH)) from None


def _number(caller: int, pid: int) -> int:
    """The thread that an argument means; 0 is the caller."""
    number = pid & 0xFFFF_FFFF
    if number >= 1 << 31:
        raise OSError(ESRCH, os.strerror(ESRCH))
    return number or caller


def _target(caller: int, pid: int) -> Task:
    """`find_process_by_pid`."""
    found = task(_number(caller, pid))
    if found is None:
        raise OSError(ESRCH, os.strerror(ESRCH))
    return found


def _may_change(caller: int, target: Task) -> bool:
    """`check_same_owner`, or root."""
    if caller == target.tid:
        return True
    try:
        owner = Path(f"/proc/{caller}").stat().st_uid
        return owner in (0, Path(f"/proc/{target.tid}").stat().st_uid)
    except OSError:  # one of them has ended
        return False
