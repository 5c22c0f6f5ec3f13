"""netdata's proc plugin: the dimensions of its charts are the guest's interrupts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from programs import program

from .test_interrupt_tools import fetched, free_port
from .views import state, vmbus_irqs

CONFIGURATION = """\
[global]
    run as user = {user}
[directories]
    cache = {place}/cache
    lib = {place}/lib
    log = {place}/log
    lock = {place}/lock
    registry = {place}/registry
    cloud.d = {place}/cloud.d
[db]
    mode = ram
    update every = 1
[web]
    bind to = 127.0.0.1:{port}
[health]
    enabled = no
[ml]
    enabled = no
[statsd]
    enabled = no
[plugins]
    enable running new plugins = no
    apps = no
    cgroups = no
    checks = no
    diskspace = no
    idlejitter = no
    tc = no
    timex = no
[plugin:proc:/proc/interrupts]
    interrupts per core = yes
"""


EVERY_CPU = {f"cpu.cpu{cpu}{suffix}" for cpu in range(8) for suffix in ("", "_interrupts")}


def charts(port: int, seconds: float = 60) -> dict:
    """The charts, as soon as those of the proc plugin are all there: they come one by one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        page = json.loads(fetched(f"http://127.0.0.1:{port}/api/v1/charts"))
        if {"system.interrupts", *EVERY_CPU} <= page["charts"].keys():
            return page["charts"]
        time.sleep(0.1)
    pytest.fail(f"netdata shows only: {', '.join(sorted(page['charts']))}")


def test_against_netdata(mount_guest, cli, tmp_path: Path) -> None:
    netdata = program("netdata")
    guest = mount_guest()
    (guest.host / "clock").write_text("advance 3")  # its quiet time
    (guest.host / "traffic").write_text("all 100")
    configuration = tmp_path / "netdata.conf"
    user, port = Path.home().owner(), free_port()
    configuration.write_text(CONFIGURATION.format(place=tmp_path, port=port, user=user))
    for name in ("cache", "lib", "log", "lock", "registry", "cloud.d"):
        (tmp_path / name).mkdir()
    command = [
        sys.executable, "-m", "fakeproc", "run", "--net=host", "--mount", guest.root, "--",
        netdata, "-D", "-c", configuration,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env=cli.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        shown = charts(port)
    finally:
        process.terminate()
        process.wait(timeout=20)
    irqs = vmbus_irqs(state(guest))
    names = {f"{desc['actions'][0]}_{irq}" for irq, desc in irqs.items()}
    system = {each["name"] for each in shown["system.interrupts"]["dimensions"].values()}
    assert names <= system
