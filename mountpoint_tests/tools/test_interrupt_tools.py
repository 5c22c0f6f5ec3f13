"""Tools that count and move interrupts: on a clock that stands, to the last one."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from programs import program

from .views import state, targets, total, vmbus_irqs

NETVSC = 39  # relid 19


@pytest.fixture
def busy(mount_guest):
    """A guest on a real clock, with steady traffic."""
    guest = mount_guest()
    (guest.host / "clock").write_text("advance 3")  # its quiet time
    (guest.host / "traffic").write_text("all 0\ntimer 100\n19 900\n14 500\n")
    return guest


def test_against_lsirq(looked_at, inside) -> None:
    shown = json.loads(inside(looked_at, "lsirq", "--json"))["interrupts"]
    rows = {row["irq"]: row for row in shown}
    for irq, desc in vmbus_irqs(state(looked_at)).items():
        assert int(rows[str(irq)]["total"]) == total(desc)
        assert rows[str(irq)]["name"].split() == ["VMBus", str(desc["hwirq"]), *desc["actions"]]
    for row, counts in state(looked_at)["arch"].items():
        if row in rows:
            assert int(rows[row]["total"]) == sum(counts.values())


def test_against_lsirq_softirqs(looked_at, inside) -> None:
    shown = json.loads(inside(looked_at, "lsirq", "--softirq", "--json"))["interrupts"]
    lines = (looked_at.proc / "softirqs").read_text().splitlines()[1:]
    counted = {line.split(":")[0].strip(): sum(map(int, line.split()[1:])) for line in lines}
    assert {row["irq"]: int(row["total"]) for row in shown} == counted


def test_against_sar(busy, inside) -> None:
    before = vmbus_irqs(state(busy))[NETVSC]
    shown = inside(busy, "sar", "-I", "ALL", "--int=28,39", "1", "1")
    after = vmbus_irqs(state(busy))[NETVSC]
    rates = {
        words[1]: float(words[-1])
        for words in map(str.split, shown.splitlines())
        if words and words[0] == "Average:" and words[1] != "INTR"
    }
    assert total(after) - total(before) >= 800
    assert rates["39"] == pytest.approx(900, rel=0.1)
    assert rates["28"] == pytest.approx(500, rel=0.1)


def test_against_dstat(busy, inside) -> None:
    if b"pmpython" in Path(program("dstat")).read_bytes()[:100]:
        pytest.skip("this distribution's dstat is PCP's, which asks a daemon and not /proc")
    shown = inside(busy, "dstat", "--int", "-I", "39,28", "--nocolor", "--noupdate", "1", "2")
    lines = [line.split() for line in shown.splitlines() if line.strip()]
    names = next(words for words in lines if set(words) == {"28", "39"})
    rates = dict(zip(names, map(float, lines[-1]), strict=True))
    assert rates["39"] == pytest.approx(900, rel=0.15)
    assert rates["28"] == pytest.approx(500, rel=0.15)


def test_against_tuna(mount_guest, inside) -> None:
    guest = mount_guest("--clock", "manual")
    # 0.16 has sub-commands in place of options that act in their order.
    new = float(inside(guest, "tuna", "--version").split()[-1]) >= 0.16
    show = ("show_irqs",) if new else ("-Q",)
    move = ("move", "-q", NETVSC, "-c", "5") if new else ("-q", NETVSC, "-c", "5", "-m")
    spread = ("spread", "-q", "netvsc", "-c", "2,3")
    shown = {
        int(words[0]): words[1:]
        for words in map(str.split, inside(guest, "tuna", *show).splitlines())
        if words and words[0].isdigit()
    }
    for irq, desc in vmbus_irqs(state(guest)).items():
        assert shown[irq][:2] == [*desc["actions"], ",".join(map(str, desc["affinity"]))]
    inside(guest, "tuna", *move)
    (guest.host / "clock").write_text("advance 1")
    assert targets(guest)[NETVSC].effective == 5
    assert targets(guest)[NETVSC].agrees
    inside(guest, "tuna", *(spread if new else (*spread[1:], "-x", "-m")))
    (guest.host / "clock").write_text("advance 1")
    irqs = vmbus_irqs(state(guest))
    moved = [t for irq, t in targets(guest).items() if irqs[irq]["actions"] == ["netvsc"]]
    assert {target.effective for target in moved} == {2, 3}
    assert all(target.agrees for target in moved)


def test_against_psutil(looked_at, inside) -> None:
    script = (
        "import json, psutil; print(json.dumps([psutil.cpu_count(), psutil.cpu_count(False), "
        "psutil.cpu_stats().interrupts, psutil.virtual_memory().total, "
        "len(psutil.cpu_times(percpu=True)), psutil.boot_time()]))"
    )
    cpus, cores, interrupts, memory, times, booted = json.loads(
        inside(looked_at, sys.executable, "-c", script)
    )
    model = state(looked_at)
    counted = sum(total(desc) for desc in model["irqs"].values()) + sum(
        sum(counts.values()) for counts in model["arch"].values()
    )
    assert (cpus, times) == (len(model["cpus"]["online"]),) * 2
    assert cores == 4
    assert interrupts == pytest.approx(counted, rel=1e-3)
    assert memory == 32768 << 20
    assert booted == 1_717_390_800  # when the series was posted


def test_against_node_exporter(looked_at, cli) -> None:
    exporter = program("prometheus-node-exporter")
    port = free_port()
    command = [
        # A daemon that sleeps would let the guest's time pass, and interrupts come.
        sys.executable, "-m", "fakeproc", "run", "--net=host", "--time=host",
        "--mount", looked_at.root, "--", exporter,
        "--collector.disable-defaults", "--collector.interrupts", "--collector.softnet",
        f"--web.listen-address=127.0.0.1:{port}", "--collector.cpu", "--collector.dmi",
    ]  # fmt: skip
    process = subprocess.Popen(command, env=cli.environment, stderr=subprocess.DEVNULL)
    try:
        page = fetched(f"http://127.0.0.1:{port}/metrics")
    finally:
        process.terminate()
        process.wait(timeout=20)
    for irq, desc in vmbus_irqs(state(looked_at)).items():
        for cpu in range(8):
            labels = f'cpu="{cpu}",devices="{desc["hwirq"]} {desc["actions"][0]}"'
            count = re.search(
                rf'node_interrupts_total\{{{re.escape(labels)},info="VMBus",type="{irq}"\}} (\S+)',
                page,
            )
            assert float(count[1]) == desc["counts"].get(str(cpu), 0)
    assert 'product_name="Virtual Machine"' in page
    assert 'system_vendor="Microsoft Corporation"' in page


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]


def fetched(address: str, seconds: float = 20) -> str:
    """A page, as soon as there is one."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
