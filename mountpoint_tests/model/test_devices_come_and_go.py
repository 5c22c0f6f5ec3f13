"""Devices that come and go while the guest runs: no view keeps anything of them."""

from __future__ import annotations

import re
from random import Random

import pytest

from fakeproc import profiles
from fakeproc.files.tree import Attribute, Directory, Symlink
from fakeproc.machine import Machine
from fakeproc.timeline import MICROSECOND, MILLISECOND, SECOND

from .guests import default_guest, interrupt_rows, node_at, read, text, write

pytestmark = pytest.mark.every_kernel

BUS = "/sys/bus/vmbus"
VMBUS = "/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00"
NETVSC = "0022486b-1fa4-0022-486b-1fa40022486b"
HEARTBEAT = "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0"
NEW = "11111111-2222-3333-4444-555555555555"
FLOOR = 24  # the IO-APIC's inputs lie below


def say(machine: Machine, name: str, line: str) -> None:
    assert write(machine, f"/host/{name}", line.encode()) == len(line), line


def events(machine: Machine) -> list[str]:
    """Uevents as `action devpath`, devices by their names."""
    return [
        f"{event.action} {event.devpath.removeprefix(VMBUS)}"
        for event in machine.kernel.uevents.events
    ]


def names(machine: Machine, directory: str) -> list[str]:
    return [name for name, _ in node_at(machine, directory).children()]


@pytest.fixture
def quiet() -> Machine:
    """The default guest, without traffic."""
    machine = default_guest()
    machine.advance(3 * SECOND)
    say(machine, "traffic", "all 0\ntimer 0")
    machine.kernel.uevents.events.clear()
    return machine


# Every view at once ------------------------------------------------------------------------------


def assert_no_orphans(machine: Machine) -> None:
    """Whatever is in one view of devices, channels and IRQs is in all of them, and nothing else."""
    vmbus = machine.kernel.vmbus
    devices = names(machine, f"{BUS}/devices")
    assert sorted(devices) == sorted(set(devices))
    assert sorted(
        name for name in names(machine, f"/sys{VMBUS}") if name.count("-") == 4
    ) == sorted(devices)
    relids: dict[int, str] = {}
    for name in devices:
        path = f"{BUS}/devices/{name}"
        listed = [int(relid) for relid in names(machine, f"{path}/channels")]
        mapping = dict(
            map(int, line.split(":"))
            for line in text(machine, f"{path}/channel_vp_mapping").split()
        )
        assert set(listed) == set(mapping)
        assert int(text(machine, f"{path}/id")) in listed
        for relid in listed:
            assert relid not in relids, f"relid {relid} has two devices"
            relids[relid] = name
            assert text(machine, f"{path}/channels/{relid}/cpu") == f"{mapping[relid]}\n"
        assert_driver_links(machine, name)
    assert relids.keys() == vmbus.channels.keys()
    irqs = {
        int(irq): int(text(machine, f"/sys/kernel/irq/{irq}/hwirq"))
        for irq in names(machine, "/sys/kernel/irq")
        if text(machine, f"/sys/kernel/irq/{irq}/chip_name") == "VMBus\n"
    }
    assert sorted(irqs.values()) == sorted(relids), "each channel has an IRQ, each IRQ a channel"
    opened = {irq for irq, relid in irqs.items() if vmbus.channels[relid].state == 3}
    rows = interrupt_rows(text(machine, "/proc/interrupts"))
    assert {int(label) for label, row in rows.items() if row.chip == "VMBus"} == opened
    in_proc = {
        int(name) for name in names(machine, "/proc/irq") if name.isdigit() and int(name) in irqs
    }
    assert opened <= in_proc <= set(irqs)
    assert not [
        n
        for n in names(machine, "/proc/irq")
        if n.isdigit() and not node_at(machine, f"/sys/kernel/irq/{n}")
    ]
    positions = text(machine, "/proc/stat").split("intr ")[1].split("\n")[0].split()[1:]
    others = set(map(int, names(machine, "/sys/kernel/irq")))
    assert not [irq for irq, count in enumerate(positions) if count != "0" and irq not in others]
    hosts = names(machine, "/sys/class/scsi_host")
    assert all(node_at(machine, f"/sys/class/scsi_host/{host}") for host in hosts)
    # The host's side: what it has offered and the guest has not dropped is what the guest has.
    dropped = {channel.relid for d in machine.host.devices for channel in d.channels
               if channel.relid and channel.relid not in vmbus.channels}  # fmt: skip
    assert machine.host.relids.taken.keys() - dropped == vmbus.channels.keys()


def assert_driver_links(machine: Machine, name: str) -> None:
    node = node_at(machine, f"{BUS}/devices/{name}/driver", follow=False)
    holders = [
        d for d in names(machine, f"{BUS}/drivers") if name in names(machine, f"{BUS}/drivers/{d}")
    ]
    if node is None:
        assert holders == []
    else:
        assert isinstance(node, Symlink)
        assert holders == [node.target.rpartition("/")[2]]


def assert_irqs_are_the_lowest(machine: Machine, number: int) -> None:
    """After any history, the next numbers are the lowest free ones from the floor on."""
    taken = set(machine.kernel.irqs.descs)
    free = [irq for irq in range(FLOOR, FLOOR + 3000) if irq not in taken][:number]
    for irq in free:
        say(machine, "offer", "netdirect")  # which no driver opens
        machine.advance(SECOND)
        assert irq in machine.kernel.irqs.descs
        assert text(machine, f"/sys/kernel/irq/{irq}/actions") == ""


# Uevents -----------------------------------------------------------------------------------------


def test_an_offer_is_told_of_in_the_kernels_order(quiet):
    say(quiet, "offer", f"scsi guid={NEW} relid=77 subchannels=2")
    quiet.advance(SECOND)
    subchannels = [
        int(relid) for relid in names(quiet, f"{BUS}/devices/{NEW}/channels") if relid != "77"
    ]
    assert events(quiet) == [
        f"add /{NEW}",
        f"add /{NEW}/host2",
        f"add /{NEW}/host2/scsi_host/host2",
        f"bind /{NEW}",
        f"add /{NEW}/channels/77",
        *(f"add /{NEW}/channels/{relid}" for relid in subchannels),
    ]
    assert len(subchannels) == 2
    assert quiet.kernel.vmbus.channels[77].irq_name == "pri@storvsc2"
    assert {quiet.kernel.vmbus.channels[n].irq_name for n in subchannels} == {"sub@storvsc2"}


def test_a_device_that_no_driver_wants_is_told_of_without_a_bind(quiet):
    say(quiet, "offer", f"netdirect guid={NEW} relid=77")
    quiet.advance(SECOND)
    assert events(quiet) == [f"add /{NEW}", f"add /{NEW}/channels/77"]
    assert text(quiet, f"{BUS}/devices/{NEW}/state") == "2\n"


def test_a_device_without_autoprobe_waits_for_a_bind(quiet):
    assert write(quiet, f"{BUS}/drivers_autoprobe", b"0") == 1
    say(quiet, "offer", f"fc guid={NEW} relid=77")
    quiet.advance(SECOND)
    assert events(quiet) == [f"add /{NEW}", f"add /{NEW}/channels/77"]
    assert write(quiet, f"{BUS}/drivers/hv_storvsc/bind", NEW.encode()) == 36
    host = f"/{NEW}/host2"
    assert events(quiet)[2:] == [f"add {host}", f"add {host}/scsi_host/host2", f"bind /{NEW}"]


def test_a_rescind_is_told_of_in_the_recorded_order(quiet):
    """As in resc-8cpu: channels/ has gone by the time that its channels do.

    The recorded driver made no interface, which goes before all of that.
    """
    say(quiet, "rescind", NETVSC)
    quiet.advance(SECOND)
    told = events(quiet)
    assert [event for event in told if "/net/" in event] == told[:17]
    assert told[17:] == [
        f"unbind /{NETVSC}",
        f"remove /{NETVSC}",
        *(f"remove /channels/{relid}" for relid in (13, *range(16, 23))),
    ]


def test_the_environment_of_the_events_is_the_recorded_one(quiet):
    say(quiet, "rescind", "7")
    quiet.advance(SECOND)
    say(quiet, "offer", "heartbeat relid=7")
    quiet.advance(SECOND)
    modalias = ("MODALIAS", "vmbus:394f16571591784eab55382f3bd5422d")
    more = [event.environment[3:-1] for event in quiet.kernel.uevents.events]
    assert more == [(), (modalias,), (), (modalias,), (("DRIVER", "hv_utils"), modalias), ()]
    numbers = [int(event.environment[-1][1]) for event in quiet.kernel.uevents.events]
    assert numbers == list(range(numbers[0], numbers[0] + 6))


def test_offers_that_linux_drops_are_told_of_nowhere(quiet):
    """Patch 1; and a later rescind of one is ignored."""
    before = (names(quiet, f"{BUS}/devices"), names(quiet, "/sys/kernel/irq"))
    for kind in ("avma1", "avma2", "rdv", "imc"):
        say(quiet, "offer", f"{kind} relid=77")
        quiet.advance(SECOND)
        assert events(quiet) == []
        assert (names(quiet, f"{BUS}/devices"), names(quiet, "/sys/kernel/irq")) == before
        hyp = interrupt_rows(text(quiet, "/proc/interrupts"))["HYP"].counts[0]
        say(quiet, "rescind", "77")
        quiet.advance(SECOND)
        assert interrupt_rows(text(quiet, "/proc/interrupts"))["HYP"].counts[0] == hyp + 1
        quiet.host.relids.release(77)  # the guest, which knows of nothing, does not say so
    assert_no_orphans(quiet)


# Time --------------------------------------------------------------------------------------------


def test_a_device_is_seen_before_its_channels_directory_is_filled(quiet):
    """User space hears `add` while the driver is still at its probe (spec 4.4)."""
    say(quiet, "offer", f"scsi guid={NEW} relid=77")
    seen = set()
    for _ in range(300):
        quiet.advance(25 * MICROSECOND)
        device = node_at(quiet, f"{BUS}/devices/{NEW}")
        channel = node_at(quiet, f"{BUS}/devices/{NEW}/channels/77")
        row = any(
            row.hwirq == "77" for row in interrupt_rows(text(quiet, "/proc/interrupts")).values()
        )
        seen.add((device is not None, row, channel is not None))
    assert seen == {
        (False, False, False),
        (True, False, False),
        (True, True, False),  # opened, and not yet in channels/
        (True, True, True),
    }


def test_at_every_moment_of_coming_and_going_every_file_can_be_read(quiet, kernel_version):
    """Nothing raises anything but an errno, and nothing is half there."""
    for command, line in (
        ("offer", f"netvsc guid={NEW} relid=77 subchannels=3"),
        ("rescind", NEW),
        ("rescind", "13"),
        ("rescind", "14"),
        ("offer", "hv_sock"),
        ("offer", "vpci"),
    ):
        say(quiet, command, line)
        for step in range(12):  # 10 µs and more each: 41 ms in all
            quiet.advance(10 * MICROSECOND << step)
            if kernel_version is not None and step % 3 != 1:
                continue  # four moments on the other kernels, which have other files
            for root in ("/proc/irq", "/sys/kernel/irq", f"/sys{VMBUS}", f"{BUS}/devices"):
                walk(quiet, root)
            for path in ("/proc/interrupts", "/proc/stat", "/host/state.json", "/host/traffic"):
                assert isinstance(read(quiet, path), bytes)
    quiet.advance(SECOND)
    assert_no_orphans(quiet)


@pytest.mark.parametrize(
    "offer",
    ["kvp", "fcopy", "netdirect", "netvsc subchannels=3", "scsi subchannels=1", "vpci", "hv_sock"],
)
def test_a_device_may_be_taken_away_at_any_moment_of_its_coming(offer, kernel_version):
    """Every 10 µs up to where its sub-channels are open; on the other kernels every 70 µs."""
    for moment in range(1, 1300, 1 if kernel_version is None else 7):
        if moment > 100 and moment % 12:  # waiting for what a driver and its device agree on
            continue
        machine = coming(offer, moment * 10 * MICROSECOND)
        answer = write(machine, "/host/rescind", NEW.encode())
        assert answer == 36
        machine.advance(SECOND)
        assert node_at(machine, f"{BUS}/devices/{NEW}") is None
        assert 77 not in machine.kernel.vmbus.channels
        if moment % 10 == 0:
            assert_no_orphans(machine)


def coming(offer: str, moment: int) -> Machine:
    machine = small_guest()
    say(machine, "rescind", "8")  # the kvp device that is there
    machine.advance(SECOND)
    say(machine, "offer", f"{offer} guid={NEW} relid=77")
    machine.advance(moment)
    return machine


def small_guest() -> Machine:
    """Quick to boot: one device."""
    profile = profiles.load("hyperv-gen2")
    kvp = tuple(device for device in profile.vmbus.devices if device.relid == 8)
    return Machine(
        profile.model_copy(
            update={"vmbus": profile.vmbus.model_copy(update={"devices": kvp}), "quiet_s": 1e6}
        ),
        "manual",
    )


def walk(machine: Machine, path: str) -> None:
    node = node_at(machine, path)
    if isinstance(node, Directory):
        for name, kind in node.children():
            if kind is not Symlink:
                walk(machine, f"{path}/{name}")
    elif isinstance(node, Attribute) and node.show is not None:
        answer = read(machine, path)
        # EINVAL: no ring buffer; EIO: no autosuspend, and what is there to be mapped alone
        unread = re.search(r"/power/|/ring$|/resource\d(_wc)?$", path)
        allowed = {"EIO"} if unread else {"EINVAL"}
        if "/net/" in path:  # no port, no switch; no traffic class
            allowed |= {"ENOTSUP", "ENOENT"}
        assert isinstance(answer, bytes) or answer in allowed, (path, answer)


def test_interrupts_on_their_way_to_a_device_that_goes_count_nowhere(quiet):
    say(quiet, "traffic", "7 100000")
    quiet.advance(SECOND)
    say(quiet, "rescind", "7")
    quiet.advance(SECOND)
    total = text(quiet, "/proc/stat").split("intr ")[1].split()[0]
    quiet.advance(SECOND)
    assert text(quiet, "/proc/stat").split("intr ")[1].split()[0] == total
    assert "7 " not in text(quiet, "/host/traffic")
    assert_no_orphans(quiet)


def test_what_it_has_counted_stays_in_the_total_and_leaves_its_position(quiet):
    say(quiet, "interrupt", "7 1000")
    total, *positions = text(quiet, "/proc/stat").split("intr ")[1].split("\n")[0].split()
    assert positions[24] != "0"
    say(quiet, "rescind", "7")
    quiet.advance(SECOND)
    after, *positions = text(quiet, "/proc/stat").split("intr ")[1].split("\n")[0].split()
    assert positions[24] == "0"
    assert int(after) == int(total) + 1  # the rescind itself, on HYP


# A sub-channel alone -----------------------------------------------------------------------------


def test_a_rescinded_subchannel_stays_until_its_primary_is_closed_and_counts_nothing(quiet):
    """Recorded in resc-8cpu: row, files and writes stay, events are ignored."""
    say(quiet, "rescind", "19")
    quiet.advance(SECOND)
    assert events(quiet) == []
    before = interrupt_rows(text(quiet, "/proc/interrupts"))["39"]
    say(quiet, "interrupt", "19 5")
    assert interrupt_rows(text(quiet, "/proc/interrupts"))["39"] == before
    assert write(quiet, "/proc/irq/39/smp_affinity_list", b"2\n") == 2
    assert text(quiet, f"{BUS}/devices/{NETVSC}/channels/19/cpu") == "2\n"
    assert write(quiet, f"{BUS}/drivers/hv_netvsc/unbind", NETVSC.encode()) == 36
    quiet.advance(SECOND)
    assert names(quiet, f"{BUS}/devices/{NETVSC}/channels") == ["13"]
    assert_no_orphans(quiet)


def test_a_subchannel_that_is_not_open_goes_at_once(quiet):
    """netvsc with fewer channels than were offered: one more is offered, and stays closed."""
    say(quiet, "ethtool", f"{NETVSC} combined 4")
    quiet.advance(SECOND)
    relids = [int(relid) for relid in names(quiet, f"{BUS}/devices/{NETVSC}/channels")]
    assert len(relids) == 4
    assert_no_orphans(quiet)


# Numbers -----------------------------------------------------------------------------------------


def test_irq_numbers_and_relids_are_given_out_again_as_recorded(quiet):
    """resc-8cpu: 9 and 11 go (IRQs 25, 27), then 11 and a 30 come: 25, then 27."""
    for relid in (9, 11):
        say(quiet, "rescind", str(relid))
    quiet.advance(SECOND)
    say(quiet, "offer", "vss relid=11")
    quiet.advance(SECOND)
    say(quiet, "offer", "shutdown relid=30")
    quiet.advance(SECOND)
    assert quiet.kernel.vmbus.channels[11].desc.irq == 25
    assert quiet.kernel.vmbus.channels[30].desc.irq == 27


def test_a_relid_that_was_not_asked_for_is_the_lowest_that_is_free(quiet):
    say(quiet, "rescind", "9\n15")
    quiet.advance(SECOND)
    found = []
    for _ in range(4):
        before = set(quiet.kernel.vmbus.channels)
        say(quiet, "offer", "netdirect")
        quiet.advance(SECOND)
        (relid,) = set(quiet.kernel.vmbus.channels) - before
        found.append(relid)
    assert found == [9, 15, 24, 25]  # 24 was the sub-channel of 15


def test_a_relid_is_not_given_out_before_the_guest_has_released_it(quiet):
    say(quiet, "rescind", "7")
    assert write(quiet, "/host/offer", b"netdirect relid=7") == "EINVAL"
    quiet.advance(SECOND)
    assert write(quiet, "/host/offer", b"netdirect relid=7") == 17


def test_a_guid_that_is_going_can_come_again_without_a_mix_up(quiet):
    """KVP, when its driver closes it (spec 9.4): taken away, and offered again at once."""
    say(quiet, "rescind", HEARTBEAT)
    answer = write(quiet, "/host/offer", f"heartbeat guid={HEARTBEAT} relid=99".encode())
    quiet.advance(SECOND)
    assert_no_orphans(quiet)
    present = HEARTBEAT in names(quiet, f"{BUS}/devices")
    assert present == (answer != "EINVAL")
    if present:
        assert text(quiet, f"{BUS}/devices/{HEARTBEAT}/id") == "99\n"
        assert text(quiet, f"{BUS}/devices/{HEARTBEAT}/state") == "3\n"


def test_the_host_runs_out_of_relids_and_says_so(quiet):
    free = 2047 - len(quiet.host.relids.taken)
    say(quiet, "offer", "netdirect\n" * free)
    assert write(quiet, "/host/offer", b"netdirect") == "EINVAL"
    quiet.advance(SECOND)
    assert len(names(quiet, f"{BUS}/devices")) == 12 + free
    say(quiet, "rescind", "1000")
    quiet.advance(SECOND)
    say(quiet, "offer", "fc")
    quiet.advance(SECOND)
    assert quiet.kernel.vmbus.channels[1000].device.type.name == "fc"


# At random ---------------------------------------------------------------------------------------

KINDS = (
    "netvsc",
    "scsi",
    "fc",
    "ide",
    "hv_sock",
    "vpci",
    "fcopy",
    "kvp",
    "netdirect",
    "mouse",
    "rdv",
)


def test_a_hundred_random_offers_and_rescinds_leave_no_orphan():
    a_hundred_at_random(seed=0)


@pytest.mark.one_kernel("the same on each of them; these are other histories")
@pytest.mark.parametrize("seed", [1, 2])
def test_two_hundred_more_leave_none_either(seed):
    a_hundred_at_random(seed)


def a_hundred_at_random(seed: int) -> None:
    random = Random(seed)
    machine = default_guest()
    machine.advance(3 * SECOND)
    done = {"offer": 0, "rescind": 0, "refused": 0}
    while done["offer"] + done["rescind"] < 100:
        if random.random() < 0.5:
            line = random.choice(KINDS)
            if random.random() < 0.3:
                line += f" relid={random.randint(1, 60)}"
            if random.random() < 0.5:
                line += f" subchannels={random.randint(0, 9)}"
            name = "offer"
        else:
            relid = random.choice(sorted(machine.host.relids.taken))
            line, name = f"{relid}", "rescind"
        answer = write(machine, f"/host/{name}", line.encode())
        assert answer in {len(line), "EINVAL"}
        done[name if answer != "EINVAL" else "refused"] += 1
        machine.advance(random.choice([0, 20 * MICROSECOND, MILLISECOND, 12 * MILLISECOND, SECOND]))
        assert isinstance(read(machine, "/host/state.json"), bytes)
        if sum(done.values()) % 10 == 0:
            walk(machine, "/proc/irq")
            walk(machine, f"/sys{VMBUS}")
    assert min(done["offer"], done["rescind"]) > 30
    machine.advance(10 * SECOND)
    release_dropped(machine)
    assert_no_orphans(machine)
    assert_irqs_are_the_lowest(machine, 5)
    assert_no_orphans(machine)
    for name in names(machine, f"{BUS}/devices"):
        say(machine, "rescind", name)
    machine.advance(10 * SECOND)
    assert names(machine, f"{BUS}/devices") == []
    assert [irq for irq in names(machine, "/sys/kernel/irq") if int(irq) >= FLOOR] == []
    assert machine.kernel.vmbus.placement.allocated == {0: 0}
    assert names(machine, "/sys/class/scsi_host") == []


def release_dropped(machine: Machine) -> None:
    """Relids of rescinded offers that the guest had dropped are never released: forget them."""
    for relid, channel in list(machine.host.relids.taken.items()):
        if (
            relid not in machine.kernel.vmbus.channels
            and channel.device not in machine.host.devices
        ):
            machine.host.relids.release(relid)


# hv_sock -----------------------------------------------------------------------------------------


def test_a_connection_of_a_socket_is_a_device_for_as_long_as_it_lasts(quiet):
    before = set(names(quiet, f"{BUS}/devices"))
    say(quiet, "offer", "hv_sock relid=77\nhv_sock relid=78")
    quiet.advance(SECOND)
    new = set(names(quiet, f"{BUS}/devices")) - before
    assert len(new) == 2, "the instance is random"
    by_relid = {text(quiet, f"{BUS}/devices/{name}/id").strip(): name for name in new}
    rows = interrupt_rows(text(quiet, "/proc/interrupts"))
    for relid, name in by_relid.items():
        path = f"{BUS}/devices/{name}"
        assert text(quiet, f"{path}/class_id")[9:] == "-facb-11e6-bd58-64006a7986d3}\n"
        assert text(quiet, f"{path}/device") == "0x10\n"
        assert text(quiet, f"{path}/state") == "3\n"
        assert text(quiet, f"{path}/channel_vp_mapping") == f"{relid}:0\n"
        assert node_at(quiet, f"{path}/driver", follow=False).target.endswith("/drivers/hv_sock")
        (row,) = (row for row in rows.values() if row.hwirq == relid)
        assert row.name == "hv_sock"
    first = by_relid["77"]
    assert write(quiet, f"{BUS}/devices/{first}/driver_override", b"uio_hv_generic") == 14
    assert write(quiet, f"{BUS}/drivers/hv_sock/unbind", first.encode()) == 36
    assert write(quiet, f"{BUS}/drivers/uio_hv_generic/bind", first.encode()) == "ENODEV"
    assert write(quiet, f"{BUS}/drivers/hv_sock/bind", first.encode()) == 36
    say(quiet, "rescind", "77\n78")
    quiet.advance(SECOND)
    assert set(names(quiet, f"{BUS}/devices")) == before
    assert_no_orphans(quiet)


# ethtool -L --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 4, 8])
def test_an_adapter_with_other_channels_has_so_many_irqs(quiet, number):
    assert text(quiet, "/host/ethtool") == f"{NETVSC} combined 8 of 8 name eth0\n"
    say(quiet, "ethtool", f"{NETVSC} combined {number}")
    quiet.advance(SECOND)
    assert text(quiet, "/host/ethtool") == f"{NETVSC} combined {number} of 8 name eth0\n"
    rows = interrupt_rows(text(quiet, "/proc/interrupts"))
    assert sum(row.name == "netvsc" for row in rows.values()) == number
    assert len(names(quiet, f"{BUS}/devices/{NETVSC}/channels")) == number
    assert_no_orphans(quiet)
    say(quiet, "ethtool", f"{NETVSC} combined 8")
    quiet.advance(SECOND)
    assert len(names(quiet, f"{BUS}/devices/{NETVSC}/channels")) == 8
    assert_no_orphans(quiet)


def test_changing_the_channels_takes_subchannels_away_and_offers_them_again(quiet):
    say(quiet, "ethtool", "13 combined 2")
    quiet.advance(SECOND)
    queues = [event for event in events(quiet) if "/net/eth0/queues/" in event]
    told = [event for event in events(quiet) if event not in queues]
    assert [event for event in told if event.startswith("remove")] == [
        f"remove /{NETVSC}/channels/{relid}" for relid in range(16, 23)
    ]
    assert sum(event.startswith("add ") for event in told) == 1
    assert [event.rpartition("/")[2] for event in queues] == [
        f"{way}-{number}" for way in ("rx", "tx") for number in range(7, 1, -1)
    ]
    assert f"unbind /{NETVSC}" not in told


# A PCI function behind hv_pci --------------------------------------------------------------------

FUNCTIONS = {
    "nic": (
        "47505500-0001-0000-3130-444531454238",
        "0001:00:02.0",
        "0x020000\n",
        "mlx5_comp0@pci:0001:00:02.0",
    ),
    "nvme": ("47505500-c05b-0000-3130-444531454238", "c05b:00:00.0", "0x010802\n", "nvme0q1"),
}


@pytest.mark.parametrize("model", FUNCTIONS)
def test_a_passed_through_function_is_a_bus_below_its_device_and_irqs_of_its_own(quiet, model):
    guid, address, class_code, queue = FUNCTIONS[model]
    domain = address.split(":")[0]
    say(quiet, "offer", f"vpci guid={guid} relid=77 pci={model}")
    quiet.advance(SECOND)
    rows = interrupt_rows(text(quiet, "/proc/interrupts"))
    (bus,) = (row for row in rows.values() if row.hwirq == "77")
    assert (bus.chip, bus.name) == ("VMBus", f"vpci:{domain}")
    function = f"{BUS}/devices/{guid}/pci{domain}:00/{address}"
    assert text(quiet, f"{function}/class") == class_code
    vectors = names(quiet, f"{function}/msi_irqs")
    assert len(vectors) == 9  # its own, and one for each CPU
    assert set(vectors) <= set(rows)
    assert any(queue in text(quiet, f"/sys/kernel/irq/{irq}/actions") for irq in vectors)
    table = text(quiet, "/proc/interrupts")
    assert all(f" {irq}: " in table for irq in vectors)
    assert names(quiet, "/sys/bus/pci/devices") == [address]
    say(quiet, "traffic", f"irq{vectors[1]} 100")
    quiet.advance(SECOND)
    assert sum(interrupt_rows(text(quiet, "/proc/interrupts"))[vectors[1]].counts) == 100
    say(quiet, "rescind", guid)
    quiet.advance(SECOND)
    assert names(quiet, "/sys/bus/pci/devices") == []
    assert not set(vectors) & set(interrupt_rows(text(quiet, "/proc/interrupts")))
    assert text(quiet, "/host/traffic") == ""
    assert_no_orphans(quiet)
