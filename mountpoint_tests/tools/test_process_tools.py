"""Tools that show processes (the real ones) on the guest's CPUs and memory."""

from __future__ import annotations

import re

from run.runs import Runs

from .views import state


def up(guest) -> str:
    """What procps calls the guest's uptime; earlier tools in it may have slept, which moves it."""
    minutes = int(float((guest.proc / "uptime").read_text().split()[0])) // 60
    return f" up {minutes // 60:2}:{minutes % 60:02}, "


def test_against_top(looked_at, inside) -> None:
    shown = inside(looked_at, "top", "-b", "-n", "1", "-1", "-w", "200")
    assert re.search(rf"^top - .*{up(looked_at)}", shown)
    assert re.findall(r"%Cpu(\d+) +:", shown) == [
        str(n) for n in state(looked_at)["cpus"]["online"]
    ]
    assert re.search(r"MiB Mem : +32768\.0 total", shown)
    assert re.search(r"\btop\n", shown)  # itself, which is real


def test_against_free_and_uptime(looked_at, inside) -> None:
    assert re.search(r"Mem: +33554432 ", inside(looked_at, "free"))
    assert up(looked_at) in inside(looked_at, "uptime")


def test_against_htop(run: Runs, tmp_path) -> None:
    settings = tmp_path / "htoprc"
    settings.write_text(
        "htop_version=3.2.2\nconfig_reader_min_version=3\nheader_layout=one_100\n"
        "column_meters_0=AllCPUs Memory Uptime\ncolumn_meter_modes_0=2 2 2\n"
    )
    command = "stty rows 50 cols 120; $RUN -- sh -c 'sleep 1234 & exec htop -C -p $!'"
    with run.terminal("sh", "-c", command, TERM="xterm", HTOPRC=str(settings)) as at:
        for cpu in range(8):
            at.expect(rf"{cpu}: *\d+\.\d%")
        assert at.expect(r"Mem: *32\.0G")
        assert at.expect(r"Uptime: *09:22")
        assert at.expect("sleep 1234")  # processes are the real ones
        at.type("q")
