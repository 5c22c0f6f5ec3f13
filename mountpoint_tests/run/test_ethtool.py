"""ethtool in a run asks the guest's interfaces, not this computer's."""

from __future__ import annotations

import re

SCRIPT = """
ethtool -i eth0 | head -n 2
ethtool eth0 | grep -E 'Speed|Duplex|Link detected'
ethtool -l eth0 | grep Combined
ethtool -L eth0 combined 99 2>&1 || echo refused
ethtool -L eth0 combined 4 && ethtool -l eth0 | grep Combined
ls /sys/class/net/eth0/queues
cut -d' ' -f2-5 $FAKEPROC/host/ethtool
ethtool -l lo 2>&1 || true
ethtool -L eth0 rx 2 combined 2 2>&1 || true
"""


def test_ethtool_shows_and_changes_the_channels_of_the_guest(any_run) -> None:
    lines = [re.sub(r"\s+", " ", line).strip() for line in any_run.shell(
        f"{SCRIPT}true", ["--clock=manual", "--kernel=6.12"]
    ).splitlines() if line]  # fmt: skip
    assert lines == [
        "driver: hv_netvsc",
        lines[1],
        "Speed: 10000Mb/s",
        "Duplex: Full",
        "Link detected: yes",
        "Combined: 8",
        "Combined: 8",
        "Cannot set device channel parameters: Invalid argument",
        "refused",
        "Combined: 8",
        "Combined: 4",
        *(f"{way}-{number}" for way in ("rx", "tx") for number in range(4)),
        "combined 4 of 8",
        *lines[20:],
    ]
    assert lines[1].startswith("version: 6.12")
    assert any("not supported" in line for line in lines[20:])
    assert lines[-1] == "Cannot set device channel parameters: Invalid argument"
