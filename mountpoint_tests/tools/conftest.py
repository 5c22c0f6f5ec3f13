"""Real tools inside a guest: a mount namespace in which /proc and /sys are the guest's."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable

import pytest

# What of /proc is the guest's; the rest, /proc/self among it, stays the computer's.
PROC_FILES = ("cpuinfo", "interrupts", "meminfo", "softirqs", "stat", "uptime")


@pytest.fixture
def inside() -> Callable[..., str]:
    """Run a tool inside a guest, and return what it prints."""
    if os.geteuid() != 0:
        pytest.fail("a mount namespace of one's own takes root: run the tests as root")

    def run(guest, *command: str, timeout: float = 60) -> str:
        if shutil.which(command[0]) is None:
            pytest.fail(f"there is no {command[0]}: scripts/setup --for test installs it")
        binds = [f"mount --bind {guest.proc}/{name} /proc/{name}" for name in PROC_FILES]
        binds += [f"mount --bind {guest.proc}/irq /proc/irq", f"mount --bind {guest.sys} /sys"]
        script = " && ".join((*binds, f"exec {shlex.join(command)}"))
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
            env=os.environ | {"LC_ALL": "C", "S_TIME_FORMAT": "ISO"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
