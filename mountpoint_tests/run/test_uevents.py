"""Programs in a run hear what the guest's kernel sends, and nothing of this computer."""

from __future__ import annotations

import os
import re
import shlex

import pytest

# Starts a monitor, waits until it listens, does something, waits until it has heard of it
# (the last event is one that the script causes itself), and prints what it heard.
HEARD = """\
udevadm monitor --kernel --property > heard & monitor=$!
until grep -q ' 15  *[0-9]*  *00000001 ' /proc/net/netlink; do :; done
before=$(wc -l < $FAKEPROC/host/uevents)
{script}
echo change > /sys/devices/system/cpu/cpu1/uevent
until grep -q 'change .*/cpu1 ' heard; do :; done
kill $monitor
echo ---heard; sed '1,/^$/ d' heard; echo ---sent; tail -n +$((before + 1)) $FAKEPROC/host/uevents
"""

CASES = {
    "offer": "echo scsi > $FAKEPROC/host/offer; echo advance 1 > $FAKEPROC/host/clock",
    "rescind": "echo 13 > $FAKEPROC/host/rescind; echo advance 1 > $FAKEPROC/host/clock",
    "offer of an adapter": """\
echo netvsc > $FAKEPROC/host/offer; echo advance 1 > $FAKEPROC/host/clock""",
    "offline": "chcpu -d 7 >/dev/null; chcpu -e 7 >/dev/null",
    "rebind": """\
cd /sys/bus/vmbus/drivers/hid_hyperv; for guid in *-*; do break; done
echo $guid > unbind; echo $guid > bind; cd -""",
    "rebind of an adapter": """\
cd /sys/bus/vmbus/drivers/hv_netvsc; for guid in *-*; do break; done
echo $guid > unbind; echo $guid > bind; cd -; ip link set eth0 down""",
}


def heard(runs, script: str) -> tuple[list[str], list[str]]:
    """Event by event, what a monitor prints and what host/uevents has, without the times."""
    directory = "directory=$(mktemp -d); trap 'rm -r $directory' EXIT; cd $directory"
    options = ["--clock=manual", "--kernel=6.18"]
    out = runs.shell(f"{directory}; {HEARD.replace('{script}', script)}", options)
    out = re.sub(r"KERNEL\[[\d.]+\]", "KERNEL", out)
    one, other = out.partition("---heard\n")[2].split("---sent\n")
    return one.strip().split("\n\n"), other.strip().split("\n\n")


@pytest.mark.parametrize("name", CASES)
def test_a_monitor_prints_what_the_guest_sent(any_run, name) -> None:
    by_monitor, by_guest = heard(any_run, CASES[name])
    if any_run.prefix or os.geteuid():
        # An ordinary user's programs also hear of the real interface below the guest's.
        by_monitor = [event for event in by_monitor if "/devices/virtual/net/" not in event]
    assert len(by_guest) > 1
    assert [event.splitlines() for event in by_monitor] == [
        event.splitlines() for event in by_guest
    ]
    numbers = [int(re.search(r"SEQNUM=(\d+)", event)[1]) for event in by_monitor]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_the_network_is_the_guests_unless_it_is_the_hosts(any_run) -> None:
    interfaces = "cut -s -d : -f 1 /proc/net/dev | tr -d ' '"
    assert set(any_run.shell(interfaces).split()) >= {"lo", "eth0"}
    theirs = any_run.shell(interfaces, ["--net=host"])
    with open("/proc/net/dev") as file:
        assert theirs.split() == [line.split(":")[0].strip() for line in file if ":" in line]


def test_programs_find_each_other_by_the_loop_back(any_run) -> None:
    assert any_run.shell(f"/usr/bin/python3 -c {shlex.quote(TALK)}") == "b'hello'\n"


TALK = """
import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
client.send(b"hello")
print(server.accept()[0].recv(5))
"""


def test_a_network_ends_with_its_run(run, mount_guest) -> None:
    """The daemon of a guest that stays holds nothing of the run."""
    guest = mount_guest()
    for _ in range(3):
        run.shell("true", ["--mount", guest.root])
    run.shell("true", ["--mount", guest.root])
    sockets = [
        name for name in os.listdir(f"/proc/{guest.pid}/fd")
        if os.readlink(f"/proc/{guest.pid}/fd/{name}").startswith("socket:")
    ]  # fmt: skip
    assert len(sockets) <= 1
