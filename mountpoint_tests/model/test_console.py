"""The host's console: what may be written to it, what is refused, and what it says."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from fakeproc import profiles
from fakeproc.files.tree import Attribute
from fakeproc.machine import Machine
from fakeproc.timeline import SECOND

from .guests import default_guest, interrupt_rows, node_at, read, text, write

pytestmark = pytest.mark.every_kernel
# What a refused write leaves alone on each kernel: personality/test_invariants.py.
host_parses = pytest.mark.one_kernel("the console's lines are read by the host")

NETVSC = "0022486b-1fa4-0022-486b-1fa40022486b"
HEARTBEAT = "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0"
NEW = "11111111-2222-3333-4444-555555555555"

MODES = {
    "interrupt": 0o200,
    "traffic": 0o644,
    "offer": 0o200,
    "rescind": 0o200,
    "ethtool": 0o644,
    "clock": 0o644,
    "power": 0o644,
    "latency": 0o644,
    "fault": 0o644,
    "log": 0o444,
    "uevents": 0o444,
    "accesses": 0o644,
    "cpu": 0o644,
    "at": 0o644,
    "journal": 0o644,
    "programs": 0o200,
    "state.json": 0o444,
    "profile.toml": 0o444,
    "now.toml": 0o444,
}


def test_the_console_is_these_files_with_these_modes():
    machine = default_guest()
    console = node_at(machine, "/host")
    found = {name: console.lookup(name) for name, _ in console.children()}
    assert {name: node.mode for name, node in found.items()} == MODES
    for name, node in found.items():
        assert isinstance(node, Attribute)
        assert (node.show is not None) == bool(MODES[name] & 0o444), name
        assert (node.store is not None) == bool(MODES[name] & 0o222), name


# What is accepted --------------------------------------------------------------------------------

GOOD = [
    ("interrupt", "19"),
    ("interrupt", "19 1000"),
    ("interrupt", "19 4294967296"),
    ("interrupt", "message"),
    ("interrupt", "message 10"),
    ("interrupt", "2"),  # offered, and dropped by the guest: counts nowhere
    ("interrupt", "  19\t7  "),
    ("interrupt", "19 1\n\n20 1\n"),
    ("traffic", "19 0"),
    ("traffic", "19 1e3 poisson"),
    ("traffic", "all 5"),
    ("traffic", "netvsc 5 steady"),
    ("traffic", "kvp .5"),
    ("traffic", "irq8 1"),
    ("traffic", "timer 250"),
    ("traffic", "imc 5"),  # a class of which there is none
    ("offer", "fcopy"),
    ("offer", f"netvsc guid={NEW} relid=77 subchannels=3"),
    ("offer", f"scsi subchannels=0 guid={NEW.upper()}"),
    ("offer", "hv_sock"),
    ("offer", "hv_sock\nhv_sock relid=2047\nide"),
    ("offer", "vpci"),
    ("offer", "vpci pci=nvme"),
    ("offer", "rdv"),
    ("rescind", HEARTBEAT),
    ("rescind", "7"),
    ("rescind", "19"),
    ("rescind", f"{NETVSC}\n7\n"),
    ("rescind", f"7\n7\n{HEARTBEAT}"),  # one removal
    ("rescind", "19\n13"),
    ("ethtool", f"{NETVSC} combined 4"),
    ("ethtool", "13 combined 1"),
    ("clock", "manual"),
    ("clock", "real"),
    ("clock", "rate 2.5"),
    ("clock", "advance 0"),
    ("clock", "manual\nadvance 1\n"),
    ("latency", "ack 0"),
    ("latency", "ack 0.5\n"),
    ("fault", "modifychannel nak"),
    ("fault", "modifychannel drop 3"),
    ("fault", "post eagain"),
    ("fault", "post enobufs 2"),
    ("fault", "post einval"),
    ("fault", "open fail 2"),
    ("fault", "pending 19"),
    ("fault", "clear"),
    ("fault", "open fail\nclear\npost einval\n"),
]


@pytest.mark.parametrize(("name", "line"), GOOD)
def test_a_good_line_is_taken_whole(name, line):
    machine = default_guest()
    assert write(machine, f"/host/{name}", line.encode()) == len(line)
    if name != "clock":
        machine.advance(SECOND)  # what it sets going comes to an end
    machine.catch_up()


# What is refused ---------------------------------------------------------------------------------

BAD = [
    *(("interrupt", line) for line in (
        "x", "0", "2048", "500", "-1", "19 0", "19 -1", "19 1.5", "19 x", "19 1 1", "message 0",
        "messages", "19 4294967297", "1٩", "19 " + "9" * 5000,
    )),
    *(("traffic", line) for line in (
        "19", "19 x", "19 -1", "19 nan", "19 inf", "19 1 often", "19 1 steady 1", "x 1", "500 1",
        "irq 1", "irq77 1", "irq39 1", "timer 1 poisson", "timer", "NETVSC 1", "19 1e10",
        "19 1e300 poisson", "timer 1e300",
    )),
    *(("offer", line) for line in (
        "x", "NETVSC", "fcopy relid=0", "fcopy relid=2048", "fcopy relid=x", "fcopy relid=19",
        "fcopy guid=x", f"fcopy guid={HEARTBEAT}", "fcopy subchannels=-1", "fcopy cpu=1",
        "fcopy relid", "fcopy relid=50 relid=51", "vpci pci=gpu", "fcopy 50",
        f"fcopy guid={NEW}\nkvp guid={NEW}", "fcopy relid=50\nscsi relid=50", "fcopy\nx",
    )),
    *(("rescind", line) for line in (
        "x", "500", "0", NEW, "7 9", "-7", "2048",
    )),
    *(("ethtool", line) for line in (
        "13", "13 combined", "13 combined 0", "13 combined 9", "13 combined x", "13 rx 4",
        "7 combined 1", "19 combined 100", f"{NEW} combined 1",
    )),
    *(("clock", line) for line in (
        "x", "Manual", "rate", "rate 0", "rate -1", "rate x", "rate nan", "rate inf", "rate 1e308",
        "advance", "advance -1", "advance x", "advance 1 1", "advance inf", "advance 1e300",
        "real 12", "backwards",
    )),
    *(("latency", line) for line in (
        "x", "ack", "ack -1", "ack x", "ack 1 1", "0.5", "ack inf", "ack 1e300",
    )),
    *(("fault", line) for line in (
        "x", "post", "post x", "post einval 0", "post einval -1", "post einval x",
        "post einval 1 1", "modifychannel", "modifychannel nak nak", "open", "open fail x",
        "pending", "pending 500", "pending x", "clear all",
    )),
]  # fmt: skip
READABLE = [name for name, mode in MODES.items() if mode & 0o444 and name != "journal"]
EMPTY = ["", "\n", " \n\t\n"]


def state(machine: Machine) -> tuple[object, ...]:
    """All that a write to the console could have changed, but for the line that says why not."""
    return (
        *(_without_refusals(read(machine, f"/host/{name}")) for name in READABLE),
        text(machine, "/proc/interrupts"),
        text(machine, "/proc/stat"),
    )


def _without_refusals(log: bytes) -> list[bytes]:
    return [line for line in log.splitlines() if b"fakeproc: write of" not in line]


@host_parses
@pytest.mark.parametrize(("name", "line"), BAD)
def test_a_bad_line_is_refused_and_changes_nothing(name, line):
    machine = default_guest()
    before = state(machine)
    assert write(machine, f"/host/{name}", line.encode()) == "EINVAL"
    assert state(machine) == before
    machine.advance(SECOND)
    untouched = default_guest()
    untouched.advance(SECOND)
    assert state(machine) == state(untouched)


@host_parses
@pytest.mark.parametrize("name", [name for name, mode in MODES.items() if mode & 0o200])
@pytest.mark.parametrize("line", EMPTY)
def test_a_write_without_a_command_is_refused(name, line):
    assert write(default_guest(), f"/host/{name}", line.encode()) == "EINVAL"


# A good line of each file, of which one can see whether it was carried out.
CARRIED_OUT = {
    "interrupt": "19 5",
    "traffic": "19 5",
    "offer": "fcopy",
    "rescind": "7",
    "clock": "advance 5",
    "latency": "ack 5",
    "fault": "open fail",
}


@host_parses
@pytest.mark.parametrize("name", CARRIED_OUT)
@pytest.mark.parametrize("order", ["{good}\n{bad}\n", "{bad}\n{good}\n", "{good}\n\n{bad}"])
def test_of_several_lines_none_is_carried_out_when_one_is_bad(name, order):
    machine = default_guest()
    before = state(machine)
    lines = order.format(good=CARRIED_OUT[name], bad="what?")
    assert write(machine, f"/host/{name}", lines.encode()) == "EINVAL"
    assert state(machine) == before
    assert write(machine, f"/host/{name}", CARRIED_OUT[name].encode()) > 0
    machine.advance(SECOND)
    assert state(machine) != before


@host_parses
@pytest.mark.parametrize(("name", "line"), BAD)
def test_the_sentence_names_the_line_and_what_is_wrong_with_it(name, line):
    """The mount puts it into host/log: see test_living_machine.py."""
    machine = default_guest()
    store = node_at(machine, f"/host/{name}").store
    with pytest.raises(OSError, match=r"^\[Errno 22\] line \d+, '.*': .+") as refusal:
        store(line.encode())
    number = int(re.match(r"line (\d+)", refusal.value.strerror)[1])
    quoted = line.splitlines()[number - 1].strip()
    quoted = f"{quoted[:60]}…" if len(quoted) > 60 else quoted
    assert f"'{quoted}'" in refusal.value.strerror
    machine.note_refusal(f"/host/{name}", line.encode(), refusal.value)
    last = text(machine, "/host/log").splitlines()[-1]
    assert refusal.value.strerror in last
    assert f"/host/{name}" in last
    assert last.endswith("(EINVAL)")


@host_parses
@pytest.mark.parametrize(
    "word", ["9" * 120_000, "x" * 120_000, "9" * 5000, "ü" * 50_000], ids=lambda word: word[:2]
)
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("interrupt", "{}"),
        ("interrupt", "19 {}"),
        ("traffic", "19 {}"),
        ("offer", "{}"),
        ("offer", "fcopy {}"),
        ("offer", "fcopy relid={}"),
        ("rescind", "{}"),
        ("clock", "advance {}"),
        ("fault", "open fail {}"),
    ],
)
def test_a_refusal_is_no_longer_than_a_record_of_the_log(name, line, word):
    machine = default_guest()
    store = node_at(machine, f"/host/{name}").store
    data = line.format(word).encode()
    with pytest.raises(OSError, match=r"line 1") as refusal:
        store(data)
    assert "4300" not in refusal.value.strerror, "a limit of Python's"
    machine.note_refusal(f"/host/{name}", data, refusal.value)
    last = text(machine, "/host/log").splitlines()[-1]
    assert len(last.encode()) < 1024
    assert last.endswith("(EINVAL)"), "the whole sentence is there"


@host_parses
def test_the_bad_line_of_several_is_named_by_its_number():
    machine = default_guest()
    store = node_at(machine, "/host/traffic").store
    with pytest.raises(OSError, match=r"line 4, '20 fast': a rate is a number"):
        store(b"19 1\n\n13 2\n20 fast\n21 1\n")


def test_a_refused_offer_leaves_what_the_next_one_gets_as_it_was():
    """GUIDs and ports that the host invents are drawn in order."""
    one, other = default_guest(), default_guest()
    assert write(one, "/host/offer", b"hv_sock\nscsi\nbogus") == "EINVAL"
    for machine in (one, other):
        assert write(machine, "/host/offer", b"hv_sock\nscsi") == 12
        machine.advance(SECOND)
    assert text(one, "/host/state.json") == text(other, "/host/state.json")


def test_what_is_going_already_cannot_be_taken_away_again():
    machine = default_guest()
    assert write(machine, "/host/rescind", b"7") == 1
    for again in (b"7", HEARTBEAT.encode()):
        assert write(machine, "/host/rescind", again) == "EINVAL"
    machine.advance(SECOND)
    assert write(machine, "/host/rescind", b"7") == "EINVAL"
    assert "24" not in interrupt_rows(text(machine, "/proc/interrupts"))


# What is read back -------------------------------------------------------------------------------

READ_BACK = [
    ("latency", "ack 0.5", "ack 0.5\n"),
    ("latency", "ack 0", "ack 0\n"),
    ("latency", "ack 0.0003", "ack 0.0003\n"),
    ("clock", "rate 2.5", "manual 33760.000000 rate 2.5\n"),
    ("clock", "advance 0.25", "manual 33760.250000\n"),
    ("fault", "open fail 2\nmodifychannel nak", "open fail 2\nmodifychannel nak 1\n"),
    ("fault", "post einval\npost einval 2\npending 19", "post einval 3\npending 19\n"),
    ("fault", "post eagain 7\nclear", ""),
    ("traffic", "20 6 poisson\n19 0.5", "19 0.5 steady\n20 6 poisson\n"),
    ("traffic", "19 5\n19 0\ntimer 3", "timer 3 steady\n"),
]  # fmt: skip


@host_parses
@pytest.mark.parametrize(("name", "lines", "expected"), READ_BACK)
def test_what_was_written_is_read_back(name, lines, expected):
    machine = default_guest()
    assert write(machine, f"/host/{name}", lines.encode()) == len(lines)
    assert text(machine, f"/host/{name}") == expected


@host_parses
@pytest.mark.parametrize("name", ["fault", "latency"])
def test_what_is_read_can_be_written(name):
    one, other = default_guest(), default_guest()
    for line in (
        (b"pending 19\nopen fail 3\npost enobufs 1",) if name == "fault" else (b"ack 1.25",)
    ):
        assert write(one, f"/host/{name}", line) > 0
    shown = text(one, f"/host/{name}")
    assert write(other, f"/host/{name}", shown.encode()) == len(shown)
    assert text(other, f"/host/{name}") == shown


# The whole state ---------------------------------------------------------------------------------


def test_state_json_says_what_the_files_of_the_guest_say():
    machine = default_guest()
    machine.advance(3 * SECOND)
    assert write(machine, "/host/interrupt", b"19 5\nmessage 3") > 0
    assert write(machine, "/proc/irq/39/smp_affinity", b"c0\n") == 3
    assert write(machine, "/sys/devices/system/cpu/cpu5/online", b"0") == "EBUSY"
    machine.catch_up()
    state = json.loads(text(machine, "/host/state.json"))
    assert state["schema"] == 1
    assert state["time_s"] == pytest.approx(
        float(text(machine, "/host/clock").split()[1]), abs=1e-6
    )
    table = interrupt_rows(text(machine, "/proc/interrupts"))
    for irq, found in state["irqs"].items():
        assert found["hwirq"] == int(text(machine, f"/sys/kernel/irq/{irq}/hwirq"))
        assert found["actions"] == text(machine, f"/sys/kernel/irq/{irq}/actions").split()
        row = {str(cpu): n for cpu, n in enumerate(table[irq].counts) if n}
        assert found["counts"] == row, irq
        listed = text(machine, f"/proc/irq/{irq}/effective_affinity_list").strip()
        assert found["effective_affinity"] == [int(listed)]
    assert state["irqs"]["39"]["affinity"] == [6, 7]
    assert state["arch"]["HYP"] == {"0": table["HYP"].counts[0]}
    assert state["cpus"]["online"] == list(range(8))
    devices = state["vmbus"]["devices"]
    assert set(devices) == {
        name for name, _ in node_at(machine, "/sys/bus/vmbus/devices").children()
    }
    for name, device in devices.items():
        path = f"/sys/bus/vmbus/devices/{name}"
        mapping = "".join(f"{c['relid']}:{c['target_cpu']}\n" for c in device["channels"])
        assert text(machine, f"{path}/channel_vp_mapping") == mapping
        assert text(machine, f"{path}/class_id") == f"{{{device['class_id']}}}\n"
        for channel in device["channels"]:
            below = f"{path}/channels/{channel['relid']}"
            assert text(machine, f"{below}/interrupts") == f"{channel['interrupts']}\n"
            assert state["irqs"][str(channel["irq"])]["hwirq"] == channel["relid"]
            assert channel["host_target_vp"] == channel["target_cpu"]
            assert channel["state"] == "OPENED"
    sent = {c["relid"]: c["sent"] for device in devices.values() for c in device["channels"]}
    assert sent[19] >= 5


def test_profile_toml_is_the_profile_and_makes_the_same_guest():
    machine = default_guest()
    shown = text(machine, "/host/profile.toml")
    tomllib.loads(shown)
    again = profiles.parse(shown, "profile.toml", machine.profile.name)
    assert again == machine.profile
    assert profiles.dump(again) == shown
    other = Machine(again, "manual")
    for each in (machine, other):
        each.advance(10 * SECOND)
    assert text(other, "/proc/interrupts") == text(machine, "/proc/interrupts")
    assert text(other, "/host/state.json") == text(machine, "/host/state.json")


def test_uevents_are_what_udevadm_monitor_prints():
    machine = default_guest()
    boot = text(machine, "/host/uevents")
    assert write(machine, "/host/rescind", b"7") == 1
    machine.advance(SECOND)
    shown = text(machine, "/host/uevents")
    assert shown.startswith(boot)
    device = f"/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00/{HEARTBEAT}"
    modalias = "MODALIAS=vmbus:394f16571591784eab55382f3bd5422d\n"
    number = boot.count("SEQNUM=")
    expected = [
        ("unbind  ", device, "vmbus", ""),
        ("remove  ", device, "vmbus", modalias),
        ("remove  ", "/channels/7", "channels", ""),
    ]
    blocks = shown.removeprefix(boot).split("\n\n")[:-1]
    assert len(blocks) == len(expected)
    for block, (action, path, subsystem, more) in zip(blocks, expected, strict=True):
        number += 1
        head, body = block.split("\n", 1)
        assert re.fullmatch(r"KERNEL\[3376\d\.\d{6}\] .*", head)
        assert head.split("] ")[1] == f"{action} {path} ({subsystem})"
        assert body == (
            f"ACTION={action.strip()}\nDEVPATH={path}\nSUBSYSTEM={subsystem}\n{more}SEQNUM={number}"
        )


def test_the_log_reads_as_dmesg_prints_it():
    machine = default_guest()
    machine.advance(5 * SECOND)
    assert write(machine, "/sys/devices/system/cpu/cpu7/online", b"0") == "EBUSY"
    write(machine, "/proc/irq/40/smp_affinity_list", b"0")
    assert write(machine, "/sys/devices/system/cpu/cpu7/online", b"0") == 1
    lines = text(machine, "/host/log").splitlines()
    assert all(re.fullmatch(r"\[ *\d+\.\d{6}\] .+", line) for line in lines)
    assert lines[0].startswith("[    0.000000] Linux version 6.10")
    assert re.fullmatch(r"\[3376\d\.\d{6}\] smpboot: CPU 7 is now offline", lines[-1])
