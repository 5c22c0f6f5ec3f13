"""irqbalance as a daemon: it follows the load, and what happens under its feet."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from programs import SEARCH, program
from run.runs import eventually

from .views import channel_vp_mapping, state, targets, vmbus_irqs

CORE = "#!/bin/sh\necho balance_level=core\n"
EVERY = "0,1,2,3,4,5,6,7"


class Balancer:
    """irqbalance with a cycle a second, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def cycles(self) -> int:
        return self.said.count("-----------------------------------------------------------")

    def says(self, text: str, times: int = 1) -> bool:
        assert eventually(lambda: self.said.count(text) >= times, 20), self.said[-2000:]
        return True


@pytest.fixture
def balancer(cli, tmp_path) -> Callable[..., object]:
    """Start one on a guest; in the end it is told to end, and does."""

    @contextmanager
    def started(guest, *options: str, before: tuple[str, ...] = ()) -> Iterator[Balancer]:
        irqbalance = program("irqbalance")
        log = tmp_path / "irqbalance.log"
        command = [
            sys.executable, "-m", "fakeproc", "run", "--mount", guest.root, "--",
            *before, "stdbuf", "-oL", irqbalance, "--debug", "-t", "1", *options,
        ]  # fmt: skip
        with log.open("w") as output:
            process = subprocess.Popen(
                command, env=cli.environment, stdout=output, stderr=output, text=True
            )
        try:
            yield Balancer(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(timeout=20)
        assert status == 0, log.read_text()[-2000:]

    return started


@pytest.fixture
def busy(mount_guest):
    """A guest that has been booted a while, and has traffic on all channels."""
    guest = mount_guest()
    (guest.host / "clock").write_text("advance 3")  # its quiet time
    (guest.host / "traffic").write_text("all 400\n")
    return guest


def test_with_a_policy_of_cores_the_irqs_spread_over_all_cpus(busy, balancer, tmp_path) -> None:
    script = tmp_path / "policy"
    script.write_text(CORE)
    script.chmod(0o755)
    counted = {irq: desc["counts"] for irq, desc in vmbus_irqs(state(busy)).items()}
    with balancer(busy, f"--policyscript={script}") as running:
        assert eventually(lambda: running.cycles >= 11, 30), running.said[-2000:]
    # What it wrote last the host has acted on in a moment.
    assert eventually(lambda: all(target.agrees for target in targets(busy).values()))
    after = targets(busy)
    assert {target.effective for target in after.values()} == set(range(8))
    assert all(target.affinity == (target.effective,) for target in after.values())
    relids = {desc["hwirq"]: irq for irq, desc in vmbus_irqs(state(busy)).items()}
    assert {relids[relid]: cpu for relid, cpu in channel_vp_mapping(busy.sys).items()} == {
        irq: target.effective for irq, target in after.items()
    }
    # And the interrupts were counted where they went.
    for irq, desc in vmbus_irqs(state(busy)).items():
        now = desc["counts"].get(str(after[irq].effective), 0)
        assert now > counted[irq].get(str(after[irq].effective), 0)


def test_it_follows_cpus_that_go_and_come(busy, balancer) -> None:
    online = busy.sys / "devices/system/cpu/cpu7/online"
    with balancer(busy) as running:
        assert eventually(lambda: masks(busy) == {EVERY})
        for irq, target in targets(busy).items():
            if target.effective == 7:
                (busy.proc / f"irq/{irq}/smp_affinity_list").write_text("0-6")
        online.write_text("0")
        assert running.says("Rescanning cpu topology")
        assert eventually(lambda: masks(busy) == {"0,1,2,3,4,5,6"}, 20)
        online.write_text("1")
        assert running.says("Rescanning cpu topology", times=2)
        assert eventually(lambda: masks(busy) == {EVERY}, 20)
    assert eventually(lambda: all(target.agrees for target in targets(busy).values()))


def masks(guest) -> set[str]:
    return {",".join(map(str, target.affinity)) for target in targets(guest).values()}


@pytest.mark.parametrize("scenario", ["irq-comes-back", "hot-added-nic"])
def test_it_lives_through_a_scenario_and_no_interrupt_is_lost(
    mount_guest, balancer, cli, scenario
) -> None:
    """The clock is held: the scenario and this test move it, and irqbalance wakes when due."""
    guest = mount_guest("--clock", "manual")
    clock = guest.host / "clock"
    before = unhandled(guest)
    clock.write_text("advance 3")
    (guest.host / "traffic").write_text("all 400\n")
    clock.write_text("hold\n")

    def goes_on(running: Balancer, cycles: int) -> bool:
        clock.write_text("advance 1\n")
        return running.cycles >= cycles

    with balancer(guest) as running:
        assert eventually(lambda: goes_on(running, 2), 30), running.said[-2000:]
        done = cli("play", "--mount", guest.root, scenario)
        assert done.returncode == 0, done.stderr
        cycles = running.cycles
        assert eventually(lambda: goes_on(running, cycles + 3), 30), running.said[-2000:]
        assert running.process.poll() is None
    assert "are lost" not in (guest.host / "log").read_text()
    for channel, number in unhandled(guest).items():
        assert number == before.get(channel, 0), channel


def unhandled(guest) -> dict[tuple[str, int], int]:
    """Interrupts that the host has sent and the guest not handled, by device and channel.

    Below zero by what the guest had counted when it was switched on.
    """
    return {
        (name, channel["relid"]): channel["sent"] - channel["interrupts"]
        for name, device in state(guest)["vmbus"]["devices"].items()
        for channel in device["channels"]
    }


def test_it_follows_devices_that_come_and_go(busy, balancer) -> None:
    with balancer(busy) as running:
        assert eventually(lambda: masks(busy) == {EVERY})
        before = set(targets(busy))
        (busy.host / "offer").write_text("netvsc subchannels=1")
        assert eventually(lambda: len(targets(busy)) == len(before) + 2)
        new = set(targets(busy)) - before
        relid = next(desc["hwirq"] for irq, desc in vmbus_irqs(state(busy)).items() if irq in new)
        assert all(running.says(f"Adding IRQ {irq} to database") for irq in new)
        assert eventually(lambda: masks(busy) == {EVERY}, 20)
        (busy.host / "rescind").write_text(str(relid))
        assert eventually(lambda: set(targets(busy)) == before)
        assert all(running.says(f"IRQ {irq} is removed from interrupts_db") for irq in new)


def test_by_default_masks_widen_and_nothing_moves_whatever_the_load(busy, balancer) -> None:
    (busy.host / "traffic").write_text("all 0\n19 2000\n14 1000\n")
    before = targets(busy)
    with balancer(busy) as running:
        assert eventually(lambda: running.cycles >= 4, 20)
    assert masks(busy) == {EVERY}
    assert {irq: target.effective for irq, target in targets(busy).items()} == {
        irq: target.effective for irq, target in before.items()
    }
    # `Interrupt 39 node_num is -1 (other/LOAD:COUNT)`, of its last cycle.
    last = running.said.rpartition("Package 0:")[2]
    counts = {
        int(line.split()[1]): int(line.split(":")[-1].rstrip(") "))
        for line in last.splitlines()
        if line.strip().startswith("Interrupt")
    }
    assert counts[39] == pytest.approx(2000, rel=0.3)
    assert counts[28] == pytest.approx(1000, rel=0.3)
    assert counts[40] == 0


@pytest.mark.usefixtures("_as_root")  # it is told by uid 0, and as that one asks from outside
def test_its_socket_tells_and_is_told(busy, balancer, tmp_path) -> None:
    # Where it makes its socket nobody else can look, unless it is made to be elsewhere as well.
    directory = tmp_path / "sockets"
    directory.mkdir()
    script = f'mount --bind {directory} /run/irqbalance; exec "$@"'
    with balancer(busy, before=("sh", "-euc", script, "sh")) as running:
        assert eventually(lambda: running.cycles >= 2, 20), running.said
        (path,) = directory.glob("irqbalance*.sock")
        assert "SLEEP 1 " in asked(path, "setup")
        stats = asked(path, "stats")
        assert all(f"IRQ {irq} LOAD" in stats for irq in targets(busy))
        # What `setup` lists are the IRQs that are not balanced.
        assert "IRQ 39 " not in asked(path, "setup")
        asked(path, "settings ban irqs 39")
        assert eventually(lambda: "IRQ 39 " in asked(path, "setup"))


def test_two_at_a_time_balance_two_guests(run) -> None:
    command = ("irqbalance", "--debug", "--oneshot", "-t", "2")
    environment = run.environment | {"PATH": SEARCH}
    running = [run.start(*command, env=environment) for _ in range(2)]
    for process in running:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "couldn't be bound" not in out + err


def asked(path: Path, what: str) -> str:
    """Ask irqbalance by its socket, which wants to know who asks."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ours:
        ours.settimeout(10)
        ours.connect(str(path))
        credentials = struct.pack("3i", *map(int, (Path("/proc/self").resolve().name, 0, 0)))
        ours.sendmsg([what.encode()], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)])
        parts = []
        while part := ours.recv(65536):
            parts.append(part.decode())
            if what != "stats":
                break
        return "".join(parts)
