"""The guest's interfaces are real in a run: `ip`, /proc/net/dev and /sys/class/net agree."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from programs import program

from .runs import FAKEPROC

NETVSC = "0022486b-1fa4-0022-486b-1fa40022486b"
OPTIONS = ("--clock=manual", "--kernel=6.12")
SAYS = "ip -br link show {0}; ip -o link show {0}; cd /sys/class/net/{0}; cat {1}; cd - >/dev/null"


def shown(any_run, script: str, options=OPTIONS) -> list[str]:
    program("ip")
    return any_run.shell(script, options).splitlines()


def test_ip_and_sys_class_net_say_the_same(any_run) -> None:
    lines = shown(any_run, SAYS.format("eth0", "ifindex address mtu flags tx_queue_len operstate"))
    brief = "eth0 UP 00:22:48:6b:1f:a4 <BROADCAST,MULTICAST,UP,LOWER_UP>"
    assert lines[0].split() == brief.split()
    long = r"2: eth0: .* mtu 1500 .* state UP .* qlen 1000\\.* brd ff:ff:ff:ff:ff:ff"
    assert re.match(long, lines[1])
    assert lines[2:] == ["2", "00:22:48:6b:1f:a4", "1500", "0x1003", "1000", "up"]


# What is typed, what of it ip says, and what /sys/class/net does.
CHANGES = {
    "another MTU by ip": ("ip link set eth0 mtu 9000", "mtu 9000", "mtu", "9000"),
    "another MTU by the file": ("echo 4000 > eth0/mtu", "mtu 4000", "mtu", "4000"),
    "an MTU that the driver refuses": ("ip link set eth0 mtu 67", "mtu 4000", "mtu", "4000"),
    "down by ip": ("ip link set eth0 down", "state DOWN", "operstate", "down"),
    "up by the file": ("echo 0x1003 > eth0/flags", "state UP", "operstate", "up"),
    "a queue by ip": ("ip link set eth0 txqueuelen 77", "qlen 77", "tx_queue_len", "77"),
    "a queue by the file": ("echo 99 > eth0/tx_queue_len", "qlen 99", "tx_queue_len", "99"),
    "an alias by ip": ("ip link set eth0 alias uplink", "alias uplink", "ifalias", "uplink"),
    "deleted": ("ip link delete eth0", "state UP", "ifalias", "uplink"),
}


def test_what_one_changes_the_other_shows(any_run) -> None:
    steps = "".join(
        f"echo '# {name}'; {typed}; ip -o link show eth0; cat eth0/{file}\n"
        for name, (typed, _, file, _) in CHANGES.items()
    )
    lines = shown(any_run, f"cd /sys/class/net\n{steps}")
    found = dict(zip(lines[::3], zip(lines[1::3], lines[2::3], strict=True), strict=True))
    assert list(found) == [f"# {name}" for name in CHANGES]
    for name, (_, by_ip, _, by_file) in CHANGES.items():
        one, other = found[f"# {name}"]
        assert by_ip in one, name
        assert other == by_file, name


def test_an_interface_has_one_name(any_run) -> None:
    names = "ip -br link | cut -d' ' -f1; ls /sys/class/net; cut -d' ' -f7 $FAKEPROC/host/ethtool"
    rename = f"echo {NETVSC} name lan0 > $FAKEPROC/host/ethtool"
    script = f"ip link set eth0 name wan0; {names}; {rename}; {names}"
    assert shown(any_run, script) == [
        *("lo", "wan0", "lo", "wan0", "wan0"),
        *("lo", "lan0", "lan0", "lo", "lan0"),
    ]  # fmt: skip


def test_an_interface_comes_and_goes_with_its_adapter(any_run) -> None:
    lines = shown(
        any_run,
        """
        list() {
            cut -s -d: -f1 /proc/net/dev | tr -d ' ' | sort | tr '\\n' ' '; ls -x /sys/class/net
        }
        list
        echo netvsc > $FAKEPROC/host/offer; echo advance 1 > $FAKEPROC/host/clock; list
        echo 13 > $FAKEPROC/host/rescind; echo advance 1 > $FAKEPROC/host/clock; list
        """,
    )
    assert [line.split() for line in lines] == [
        ["eth0", "lo", "eth0", "lo"],
        ["eth0", "eth1", "lo", "eth0", "eth1", "lo"],
        ["eth1", "lo", "eth1", "lo"],
    ]


def test_changes_by_ip_are_in_the_journal(run) -> None:
    lines = shown(run, "ip link set eth0 mtu 9000; cat $FAKEPROC/host/journal")
    (entry,) = [line.split("\t") for line in lines if line.endswith("9000\\n")]
    assert (entry[4], entry[5].rpartition("/net/")[2]) == ("write", "eth0/mtu")


# As DPDK's guide of the netvsc driver and Azure's of MANA have it.
STEPS = """
PRIMARY="eth0"
SECONDARY="`ip -br link show master $PRIMARY | awk '{ print $1 }'`"
MANA_MAC="`ip -br link show master $PRIMARY | awk '{ print $3 }'`"
DEV_UUID=$(basename $(readlink /sys/class/net/$PRIMARY/device))
NET_UUID="f8615163-df3e-46c5-913f-f2d2f965ed0e"
ip link set $PRIMARY down
ip link set $SECONDARY down
modprobe uio_hv_generic
echo $NET_UUID > /sys/bus/vmbus/drivers/uio_hv_generic/new_id
echo $DEV_UUID > /sys/bus/vmbus/drivers/hv_netvsc/unbind
echo $DEV_UUID > /sys/bus/vmbus/drivers/uio_hv_generic/bind
echo $SECONDARY $MANA_MAC $(cat /sys/class/net/$SECONDARY/operstate)
basename $(readlink -f /sys/class/uio/uio0/device)
cat /sys/class/uio/uio0/maps/map0/name
ip -br link | cut -d' ' -f1
"""
STEPS_AGAIN = """
DEV_UUID=$(basename $(readlink /sys/class/net/eth0/device))
driverctl --nosave -b vmbus set-override $DEV_UUID uio_hv_generic
driverctl -b vmbus list-devices | grep $DEV_UUID
ip -br link | cut -d' ' -f1
driverctl --nosave -b vmbus set-override $DEV_UUID hv_netvsc
ip -br link | cut -d' ' -f1
"""


def test_the_documented_steps_leave_an_adapter_to_user_space(any_run) -> None:
    program("modprobe")
    assert shown(any_run, STEPS, ["--clock=manual", "--profile=azure-d64"]) == [
        "enP49243s1 00:22:48:6b:1f:a4 down",
        NETVSC,
        "txrx_rings",
        "lo",
        "enP49243s1",
    ]


def test_driverctl_leaves_an_adapter_to_user_space_and_takes_it_back(any_run) -> None:
    program("driverctl")
    assert shown(any_run, STEPS_AGAIN) == [
        f"{NETVSC} uio_hv_generic [*]",
        "lo",
        "lo",
        "eth0",
    ]


WITHOUT = """
from fakeproc.syscalls import interfaces
interfaces._KINDS = ("no-such",)
from fakeproc.cli.main import main
main()
"""


@pytest.mark.parametrize(("option", "status"), [("--net=guest", 0), ("--strict", 1)])
def test_a_kernel_without_such_devices_is_said_in_a_sentence(run, option, status) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *FAKEPROC[3:], "run", option, "--", "cat", "/proc/net/dev"],
        env=run.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == (
        "fakeproc: the guest's network interfaces are in /sys alone: this kernel has neither "
        "dummy nor ifb devices\n"
    )
    assert done.returncode == status
    assert "eth0" not in done.stdout
