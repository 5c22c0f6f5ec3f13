"""hv_sock: connections by socket, each a device with one channel for as long as it lasts."""

from __future__ import annotations

import json
from random import Random

import pytest

from fakeproc import profiles
from fakeproc.host.devices import MAX_RELID
from fakeproc.machine import Machine
from fakeproc.protocol.classes import port_of_service, service_of_port
from fakeproc.timeline import SECOND

from .guests import default_guest, interrupt_rows, read, text, write
from .test_devices_come_and_go import BUS, assert_no_orphans, names

SERVICE = "00000400-facb-11e6-bd58-64006a7986d3"  # port 1024
OTHER = "11111111-2222-3333-4444-555555555555"


def say(machine: Machine, name: str, line: str) -> None:
    assert write(machine, f"/host/{name}", line.encode()) == len(line), text(machine, "/host/log")
    machine.advance(SECOND)


@pytest.fixture
def quiet() -> Machine:
    machine = default_guest()
    machine.advance(3 * SECOND)
    say(machine, "traffic", "all 0\ntimer 0")
    return machine


def connections(machine: Machine) -> dict[str, str]:
    """The service of each connection, by its instance."""
    listed = names(machine, f"{BUS}/devices")
    drivers = {name: machine.kernel.vmbus.devices[name].driver for name in listed}
    return {
        name: text(machine, f"{BUS}/devices/{name}/class_id").strip("{}\n")
        for name in listed
        if drivers[name] is not None and drivers[name].name == "hv_sock"
    }


def rows(machine: Machine) -> list:
    found = interrupt_rows(text(machine, "/proc/interrupts"))
    return [row for row in found.values() if row.name == "hv_sock"]


@pytest.mark.parametrize("port", [0, 1024, 0x7FFF_FFFF, 0xFFFF_FFFE])
def test_a_port_is_the_front_of_a_service(port):
    service = service_of_port(port)
    assert str(service)[9:] == SERVICE[9:]
    assert port_of_service(service) == port


@pytest.mark.parametrize(
    ("line", "number", "services"),
    [
        ("hv_sock", 1, {SERVICE}),
        ("hv_sock count=3 port=1024", 3, {SERVICE}),
        (f"hv_sock count=2 service={SERVICE}", 2, {SERVICE}),
        ("hv_sock count=2", 2, {SERVICE, SERVICE.replace("400", "401", 1)}),
        ("hv_sock initiator=host port=1024", 1, {SERVICE}),
        ("hv_sock initiator=guest port=1024 count=4", 4, {SERVICE}),
    ],
)
def test_connections_are_devices_with_a_row_and_go_again(quiet, line, number, services):
    say(quiet, "offer", line)
    assert len(connections(quiet)) == len(rows(quiet)) == number
    assert set(connections(quiet).values()) == services
    say(quiet, "traffic", "hv_sock 50")
    assert [sum(row.counts) for row in rows(quiet)] == [50] * number
    assert all(row.counts[0] == 50 for row in rows(quiet)), "none is spread: CPU 0"
    say(quiet, "rescind", "hv_sock")
    assert connections(quiet) == {}
    assert_no_orphans(quiet)


def test_a_connection_of_the_guest_is_named_by_its_local_port(quiet):
    """`hvs_connect`: the service is the host's port, the endpoint is the guest's."""
    say(quiet, "offer", "hv_sock initiator=guest port=1024 count=2")
    ports = [int(name[:8], 16) for name in connections(quiet)]
    assert all(name.endswith(SERVICE[8:]) for name in connections(quiet))
    assert ports[1] == ports[0] + 1, "the first is random, the next one follows"


def test_a_service_that_no_port_stands_for_is_bound_and_never_opened(quiet):
    """`hvs_open_connection`: is_valid_srv_id() says no, and the probe succeeds all the same."""
    say(quiet, "offer", f"hv_sock service={OTHER}")
    (name,) = connections(quiet)
    assert text(quiet, f"{BUS}/devices/{name}/state") == "2\n"
    assert rows(quiet) == []


def test_a_connection_that_no_socket_waits_for_is_not_opened(quiet):
    say(quiet, "offer", "hv_sock initiator=guest")
    (name,) = connections(quiet)
    assert write(quiet, f"{BUS}/drivers/hv_sock/unbind", name.encode()) == 36
    assert write(quiet, f"{BUS}/drivers/hv_sock/bind", name.encode()) == 36
    assert text(quiet, f"{BUS}/devices/{name}/state") == "2\n", "nobody is in connect(2) any more"


def counted(machine: Machine) -> tuple[int, int]:
    """What the host has sent for channels, and what the guest has counted of it."""
    sent = json.loads(text(machine, "/host/state.json"))["vmbus"]["interrupts_sent"]
    (intr,) = (x for x in text(machine, "/proc/stat").splitlines() if x.startswith("intr "))
    return sent, int(intr.split()[1]) - machine.kernel.accounting.arch_count("HYP", 0)


def test_every_interrupt_of_connections_that_come_move_and_go_is_accounted_for(quiet):
    """Ten minutes of forty connections, a quarter of which is replaced every half minute."""
    random = Random(18)
    say(quiet, "offer", "hv_sock count=40 port=1024")
    before = counted(quiet)
    for _ in range(20):
        say(quiet, "traffic", f"hv_sock {random.randrange(1, 500)}")
        for desc in random.sample(list(quiet.kernel.irqs.descs.values()), 10):
            if desc.actions == ["hv_sock"]:
                mask = f"{random.randrange(1, 256):x}".encode()
                assert write(quiet, f"/proc/irq/{desc.irq}/smp_affinity", mask) == len(mask)
        say(quiet, "rescind", "hv_sock 10")
        say(quiet, "offer", f"hv_sock count=10 initiator={random.choice(['host', 'guest'])}")
        quiet.advance(27 * SECOND)
    after = counted(quiet)
    assert after[0] - before[0] == after[1] - before[1] > 1_000_000
    assert len(rows(quiet)) == 40
    assert_no_orphans(quiet)


def test_the_oldest_connections_end_first(quiet):
    say(quiet, "offer", "hv_sock count=3")
    first, *others = connections(quiet)
    say(quiet, "rescind", "hv_sock 1")
    assert list(connections(quiet)) == others
    assert first not in others


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("hv_sock port=-1", "a port is a whole number from 0 to 4294967294"),
        ("hv_sock port=4294967295", "a port is a whole number from 0 to 4294967294"),
        (f"hv_sock port=1 service={SERVICE}", "a port stands for a service: give one of the two"),
        ("hv_sock service=x", "'x' is no GUID"),
        ("hv_sock initiator=me", "'me' is none of: host, guest"),
        ("hv_sock initiator=guest relid=77", "relid= is not yours to choose"),
        ("hv_sock subchannels=1", "'subchannels=1' is none of guid=, relid=, count="),
        ("hv_sock count=0", "a count is a whole number from 1 to 2047"),
        ("hv_sock count=2 relid=77", "2 devices cannot have the same relid"),
        (f"kvp count=2 guid={OTHER}", "2 devices cannot have the same guid"),
        ("hv_sock count=2047", "the host has no relid left for 1 more channels"),
        ("bogus", "the classes are hv_sock, ide, scsi"),
    ],
)
def test_what_is_refused_changes_nothing_and_says_why(quiet, line, sentence):
    before = read(quiet, "/host/state.json")
    assert write(quiet, "/host/offer", line.encode()) == "EINVAL"
    quiet.advance(0)
    assert read(quiet, "/host/state.json") == before
    assert sentence in text(quiet, "/host/log").splitlines()[-1]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [("hv_sock", "no socket is connected"), ("hv_sock 0", "a number of connections")],
)
def test_connections_that_are_not_cannot_end(quiet, line, sentence):
    assert write(quiet, "/host/rescind", line.encode()) == "EINVAL"
    assert sentence in text(quiet, "/host/log").splitlines()[-1]


def test_a_relid_that_is_missing_when_the_request_comes_refuses_the_connection(quiet):
    """The host answers with TlConnectResult, which counts on HYP and tells the guest nothing."""
    taken = quiet.host.relids.taken
    for relid in range(1, MAX_RELID + 1):
        taken.setdefault(relid, taken[7])
    before = quiet.kernel.accounting.arch_count("HYP", 0)
    endpoint = service_of_port(5)
    quiet.kernel.vmbus.sockets.connect(service_of_port(6), endpoint)
    quiet.advance(SECOND)
    assert quiet.kernel.accounting.arch_count("HYP", 0) == before + 1
    assert str(endpoint) not in connections(quiet)


def test_a_protocol_below_4_0_has_no_sockets():
    """`hvs_init`: ENODEV below VERSION_WIN10, so no driver; and the host has no such offer."""
    profile = profiles.load("hyperv-gen2")
    bus = profile.vmbus.model_copy(update={"protocol": "3.0"})
    machine = Machine(profile.model_copy(update={"vmbus": bus}), "manual")
    assert "hv_sock" not in names(machine, f"{BUS}/drivers")
    assert write(machine, "/host/offer", b"hv_sock") == "EINVAL"
    assert "protocol 3.0 has no sockets" in text(machine, "/host/log")


def test_a_moved_connection_keeps_its_cpu_from_going_offline(quiet):
    """All begin on CPU 0, so none is in the way; each that is moved holds the CPU it is on."""
    say(quiet, "offer", "hv_sock")
    (name,) = connections(quiet)
    channel = quiet.kernel.vmbus.devices[name].primary
    for relid in [c.relid for c in quiet.kernel.vmbus.channels.values() if c.target_cpu == 7]:
        irq = quiet.kernel.vmbus.channels[relid].desc.irq
        assert write(quiet, f"/proc/irq/{irq}/smp_affinity_list", b"1") == 1
    assert write(quiet, f"/proc/irq/{channel.desc.irq}/smp_affinity_list", b"7") == 1
    assert write(quiet, "/sys/devices/system/cpu/cpu7/online", b"0") == "EBUSY"
    assert f"relid {channel.relid} (hv_sock, IRQ" in text(quiet, "/host/log").splitlines()[-1]
    say(quiet, "rescind", "hv_sock")
    assert write(quiet, "/sys/devices/system/cpu/cpu7/online", b"0") == 1
