"""irqbalance, once through: what it makes of the guest, and what it writes."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from run.runs import Runs

from .views import state, targets, vmbus_irqs

ONE_SHOT = "irqbalance --oneshot --debug -t 1"
STATE = "; echo STATE; cat $FAKEPROC/host/state.json"
ALL = list(range(8))


def one_shot(
    runs: Runs, command: str = ONE_SHOT, *options: object
) -> tuple[str, dict[int, dict[str, Any]]]:
    """What irqbalance says, and then the channels' IRQs."""
    before = time.monotonic()
    out = runs.shell(f"PATH=$PATH:/usr/sbin; {command}{STATE}", options)
    assert time.monotonic() - before < 20
    said, _, told = out.partition("STATE\n")
    return said, vmbus_irqs(json.loads(told))


@pytest.fixture
def before(looked_at) -> dict[int, dict[str, Any]]:
    """The same, where no irqbalance was."""
    return vmbus_irqs(state(looked_at))


def test_against_irqbalance(any_run, before) -> None:
    said, irqs = one_shot(any_run)
    # Its tree: the package, four caches, eight CPUs, all in node 0.
    assert re.search(r"(?m)^Package 0:  numa_node (is )?0 cpu mask is 000000ff", said)
    masks = re.findall(r"Cache domain \d+:  numa_node is 0 cpu mask is (\w+)", said)
    assert set(masks) == {"00000003", "0000000c", "00000030", "000000c0"}
    assert set(re.findall(r"CPU number (\d+)  numa_node is 0", said)) == set("01234567")
    assert set(re.findall(r"Adding IRQ (\d+) to database", said)) >= {str(irq) for irq in irqs}
    assert not re.search("(?i)warning", said)
    # To every IRQ it wrote the whole package: each mask has become wider …
    assert len(irqs) == 21
    assert all(desc["affinity"] == ALL for desc in irqs.values())
    # … and none has moved, as the kernel stays where it may.
    assert {irq: desc["effective_affinity"] for irq, desc in irqs.items()} == {
        irq: desc["effective_affinity"] for irq, desc in before.items()
    }


def test_irqs_that_are_banned_are_left_alone(run, before) -> None:
    _, irqs = one_shot(run, f"{ONE_SHOT} --banirq=39 --banirq=24")
    unwritten = {irq for irq, desc in irqs.items() if desc["affinity"] == before[irq]["affinity"]}
    assert unwritten == {24, 39}


def test_irqs_of_banned_drivers_are_left_alone(run, before) -> None:
    _, irqs = one_shot(run, f"{ONE_SHOT} --banmod=netvsc --banmod=pri@storvsc")
    unwritten = {irq for irq, desc in irqs.items() if desc["affinity"] == before[irq]["affinity"]}
    # A part of the name is enough; the sub-channels of storvsc are called sub@….
    banned = {"netvsc", "pri@storvsc0", "pri@storvsc1"}
    assert unwritten == {irq for irq, desc in irqs.items() if set(desc["actions"]) <= banned}


def test_banned_cpus_lose_their_irqs(run) -> None:
    _, irqs = one_shot(run, f"IRQBALANCE_BANNED_CPULIST=0-1 {ONE_SHOT}")
    assert all(desc["affinity"] == [2, 3, 4, 5, 6, 7] for desc in irqs.values())
    assert not {cpu for desc in irqs.values() for cpu in desc["effective_affinity"]} & {0, 1}


def test_the_deepest_cache_is_what_it_says(run) -> None:
    said, _ = one_shot(run, f"{ONE_SHOT} --deepestcache=3")
    assert set(re.findall(r"Cache domain \d+:  numa_node is 0 cpu mask is (\w+)", said)) == {
        "000000ff"
    }


def test_with_two_packages_irqs_move(mount_guest, two_packages, inside) -> None:
    guest = mount_guest("--profile", two_packages, "--clock", "manual")
    before = targets(guest)
    said = inside(guest, *ONE_SHOT.split())
    (guest.host / "clock").write_text("advance 1")
    after = targets(guest)
    assert len(re.findall(r"(?m)^Package \d:", said)) >= 2
    assert {target.affinity for target in after.values()} == {(0, 1, 2, 3), (4, 5, 6, 7)}
    assert all(target.effective in target.affinity for target in after.values())
    assert all(target.agrees for target in after.values())
    moved = {irq for irq in after if after[irq].effective != before[irq].effective}
    assert moved == {irq for irq in after if before[irq].effective not in after[irq].affinity}
    assert moved


def test_a_policy_script_may_ban_and_choose_the_level(run, before, tmp_path) -> None:
    script = tmp_path / "policy"
    script.write_text(
        "#!/bin/sh\ncase $2 in 39) echo ban=true ;; *) echo balance_level=core ;; esac\n"
    )
    script.chmod(0o755)
    _, irqs = one_shot(run, f"{ONE_SHOT} --policyscript={script}")
    assert irqs[39]["affinity"] == before[39]["affinity"]
    others = [desc for irq, desc in irqs.items() if irq != 39]
    assert all(len(desc["affinity"]) == 1 for desc in others)
    assert all(desc["affinity"] == desc["effective_affinity"] for desc in others)


def test_a_nic_behind_vpci_is_pinned(mount_guest, inside) -> None:
    guest = mount_guest("--clock", "manual")
    (guest.host / "offer").write_text("vpci pci=nic")
    (guest.host / "clock").write_text("advance 1")
    said = inside(guest, *ONE_SHOT.split())
    told = json.loads((guest.host / "state.json").read_text())
    queues = {
        irq: desc
        for irq, desc in told["irqs"].items()
        if desc["actions"][0].startswith("mlx5_comp")
    }
    assert len(queues) == 8
    assert all(len(desc["affinity"]) == 1 for desc in queues.values())
    assert all(f"Interrupt {irq} node_num is 0 (ethernet/" in said for irq in queues)
