"""What user space may ask of devices and drivers: bind, unbind, new_id and the rest (spec 9.4)."""

from __future__ import annotations

import pytest

from fakeproc.machine import Machine
from fakeproc.protocol.classes import CLASS_GUIDS
from fakeproc.timeline import SECOND

from .guests import default_guest, interrupt_rows, node_at, read, text, write

BUS = "/sys/bus/vmbus"
HEARTBEAT = "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0"
NETVSC = "0022486b-1fa4-0022-486b-1fa40022486b"
SCSI = "f8b3781b-1e82-4818-a1c3-63d806ec15bb"  # relid 14, IRQ 28, pri@storvsc1
NEW = "11111111-2222-3333-4444-555555555555"
NETVSC_CLASS = str(CLASS_GUIDS["netvsc"])
ND_CLASS = str(CLASS_GUIDS["netdirect"])  # no driver has it


@pytest.fixture
def machine() -> Machine:
    """The default guest, without traffic, and with a netdirect device that no driver wants."""
    machine = default_guest()
    machine.advance(3 * SECOND)
    assert write(machine, "/host/traffic", b"all 0\ntimer 0") > 0
    assert write(machine, "/host/offer", f"netdirect guid={NEW} relid=77".encode()) > 0
    machine.advance(SECOND)
    machine.kernel.uevents.events.clear()
    return machine


def ask(machine: Machine, path: str, data: str | bytes) -> int | str:
    data = data.encode() if isinstance(data, str) else data
    answer = write(machine, f"{BUS}/{path}", data)
    machine.advance(SECOND)
    return answer


def driver(machine: Machine, name: str) -> str | None:
    link = node_at(machine, f"{BUS}/devices/{name}/driver", follow=False)
    return link.target.rpartition("/")[2] if link else None


def state(machine: Machine, name: str) -> str:
    return text(machine, f"{BUS}/devices/{name}/state")


def actions(machine: Machine) -> list[str]:
    return [
        f"{event.action} {event.devpath.rpartition('/')[2]}"
        for event in machine.kernel.uevents.events
    ]


def rows(machine: Machine) -> dict[str, str]:
    return {
        label: row.name for label, row in interrupt_rows(text(machine, "/proc/interrupts")).items()
    }


DRIVERS = {
    "hv_utils", "hv_storvsc", "hv_netvsc", "hv_balloon", "hid_hyperv", "hyperv_keyboard", "hv_pci",
    "hv_sock", "uio_hv_generic",
}  # fmt: skip


def test_the_drivers_and_their_files(machine):
    names = {name for name, _ in node_at(machine, f"{BUS}/drivers").children()}
    assert names >= DRIVERS
    assert names - DRIVERS in ({"hyperv_drm"}, {"hyperv_fb"})
    for name in names:
        files = {"bind", "unbind", "new_id", "remove_id", "uevent"}
        for file in files:
            assert node_at(machine, f"{BUS}/drivers/{name}/{file}").mode == 0o200
    assert {d for d, _ in node_at(machine, f"{BUS}/drivers/hv_netvsc").children()} == files | {
        NETVSC
    }


# unbind and bind ---------------------------------------------------------------------------------

UNBIND = [
    (HEARTBEAT, 36),
    (f"{HEARTBEAT}\n", 37),
    (f"{HEARTBEAT}\n\n", "ENODEV"),
    (f" {HEARTBEAT}", "ENODEV"),
    (HEARTBEAT.upper(), "ENODEV"),
    (HEARTBEAT[:-1], "ENODEV"),
    (NETVSC, "ENODEV"),  # another driver's
    (NEW, "ENODEV"),  # nobody's
    ("nonexistent", "ENODEV"),
    ("\n", "ENODEV"),
    ("", 0),
]


@pytest.mark.parametrize(("data", "answer"), UNBIND)
def test_unbind_takes_the_name_of_a_device_that_the_driver_has(machine, data, answer):
    assert ask(machine, "drivers/hv_utils/unbind", data) == answer
    unbound = answer in {36, 37}
    assert driver(machine, HEARTBEAT) == (None if unbound else "hv_utils")
    assert actions(machine) == ([f"unbind {HEARTBEAT}"] if unbound else [])
    assert driver(machine, NETVSC) == "hv_netvsc"


BIND = [
    (HEARTBEAT, 36),
    (f"{HEARTBEAT}\n", 37),
    ("nonexistent", "ENODEV"),
    (NEW, "ENODEV"),  # which it does not match
    (SCSI, "ENODEV"),
    ("2dd1ce17-079e-403c-b352-a1921ee207ee", "EBUSY"),  # which it has
    ("\n", "ENODEV"),
    ("", 0),
]


@pytest.mark.parametrize(("data", "answer"), BIND)
def test_bind_takes_the_name_of_an_unbound_device_that_the_driver_matches(machine, data, answer):
    assert ask(machine, "drivers/hv_utils/unbind", HEARTBEAT) == 36
    machine.kernel.uevents.events.clear()
    assert ask(machine, "drivers/hv_utils/bind", data) == answer
    bound = answer in {36, 37}
    assert driver(machine, HEARTBEAT) == ("hv_utils" if bound else None)
    assert actions(machine) == ([f"bind {HEARTBEAT}"] if bound else [])


def test_an_unbound_device_is_closed_and_its_irq_is_freed(machine):
    device, irq = f"{BUS}/devices/{HEARTBEAT}", "/proc/irq/24"
    assert ask(machine, "drivers/hv_utils/unbind", HEARTBEAT) == 36
    assert state(machine, HEARTBEAT) == "2\n"
    assert "24" not in rows(machine)
    assert text(machine, "/sys/kernel/irq/24/actions") == ""
    assert read(machine, f"{irq}/heartbeat") == "ENOENT"
    assert text(machine, f"{irq}/affinity_hint") == "00\n"
    assert text(machine, f"{irq}/smp_affinity") == "01\n"
    assert text(machine, f"{device}/channels/7/cpu") == "0\n"
    for name in ("in_mask", "out_mask", "read_avail", "write_avail"):
        assert read(machine, f"{device}/channels/7/{name}") == "EINVAL"
    for name in ("in_read_index", "out_write_index", "in_intr_mask", "out_write_bytes_avail"):
        assert read(machine, f"{device}/{name}") == "EINVAL"
    assert text(machine, f"{device}/uevent").startswith("MODALIAS=")
    # EIO for another CPU, and nothing to refuse for the one that it is on
    assert write(machine, f"{irq}/smp_affinity_list", b"4\n") == "EIO"
    assert write(machine, f"{irq}/smp_affinity_list", b"0\n") == 2
    assert write(machine, f"{device}/channels/7/cpu", b"4") == "EIO"
    assert write(machine, f"{device}/channels/7/cpu", b"0") == 1


def test_an_adapter_that_is_unbound_has_its_primary_channel_left(machine):
    assert ask(machine, "drivers/hv_netvsc/unbind", NETVSC) == 36
    interface = [f"remove {way}-{n}" for way in ("rx", "tx") for n in range(7, -1, -1)]
    assert actions(machine) == [
        *(*interface, "remove eth0"),
        *(f"unbind {NETVSC}", *(f"remove {relid}" for relid in range(16, 23))),
    ]
    assert [
        name for name, _ in node_at(machine, f"{BUS}/devices/{NETVSC}/channels").children()
    ] == ["13"]
    assert not set(map(str, (34, *range(36, 43)))) & rows(machine).keys()
    irqs = {int(name) for name, _ in node_at(machine, "/sys/kernel/irq").children()}
    assert 34 in irqs
    assert not irqs & set(range(36, 43))


def test_an_adapter_that_is_bound_again_has_all_its_channels(machine):
    for _ in range(3):
        assert ask(machine, "drivers/hv_netvsc/unbind", NETVSC) == 36
        assert ask(machine, "drivers/hv_netvsc/bind", NETVSC) == 36
    found = [name for name, _ in node_at(machine, f"{BUS}/devices/{NETVSC}/channels").children()]
    assert sorted(map(int, found)) == [13, *range(16, 23)]
    assert sum(name == "netvsc" for name in rows(machine).values()) == 8
    assert state(machine, NETVSC) == "3\n"


@pytest.mark.parametrize("pause", [0, 1_000, 60_000, 200_000, 3_000_000])
def test_who_binds_again_at_once_gets_as_many_channels(pause):
    """However far the sub-channels of the time before have got with going."""
    machine = default_guest()
    assert write(machine, f"{BUS}/drivers/hv_netvsc/unbind", NETVSC.encode()) == 36
    machine.advance(pause)
    assert write(machine, f"{BUS}/drivers/hv_netvsc/bind", NETVSC.encode()) == 36
    machine.advance(SECOND)
    found = [name for name, _ in node_at(machine, f"{BUS}/devices/{NETVSC}/channels").children()]
    assert sorted(map(int, found)) == [13, *range(16, 23)]
    assert sum(name == "netvsc" for name in rows(machine).values()) == 8


def test_counters_outlive_a_close(machine):
    assert write(machine, "/host/interrupt", b"7 9") == 3
    counts = interrupt_rows(text(machine, "/proc/interrupts"))["24"].counts
    interrupts = text(machine, f"{BUS}/devices/{HEARTBEAT}/channels/7/interrupts")
    assert ask(machine, "drivers/hv_utils/unbind", HEARTBEAT) == 36
    assert text(machine, "/sys/kernel/irq/24/per_cpu_count").startswith(f"{counts[0]},")
    assert ask(machine, "drivers/hv_utils/bind", HEARTBEAT) == 36
    assert interrupt_rows(text(machine, "/proc/interrupts"))["24"].counts == counts
    assert text(machine, f"{BUS}/devices/{HEARTBEAT}/channels/7/interrupts") == interrupts


def test_a_scsi_host_gets_the_lowest_number_that_is_free(machine):
    """Unbind both, bind the second: it is host0 now."""
    other = "f8b3781a-1e82-4818-a1c3-63d806ec15bb"
    for name in (SCSI, other):
        assert ask(machine, "drivers/hv_storvsc/unbind", name) == 36
    assert ask(machine, "drivers/hv_storvsc/bind", SCSI) == 36
    assert rows(machine)["28"] == "pri@storvsc0"
    assert node_at(machine, f"{BUS}/devices/{SCSI}/host0") is not None
    assert node_at(machine, f"{BUS}/devices/{SCSI}/host1") is None


# new_id and remove_id ----------------------------------------------------------------------------

NEW_ID = [
    (ND_CLASS, 36),
    (f"{ND_CLASS}\n", 37),
    (f"{ND_CLASS}garbage after it", 36 + len("garbage after it")),
    (ND_CLASS.upper(), 36),
    (f"{{{ND_CLASS}}}", "EINVAL"),
    (ND_CLASS.replace("-", ""), "EINVAL"),
    (ND_CLASS[:-1], "EINVAL"),
    (f" {ND_CLASS}", "EINVAL"),
    ("netdirect", "EINVAL"),
    ("\n", "EINVAL"),
    ("", 0),
]


@pytest.mark.parametrize(("data", "answer"), NEW_ID)
def test_new_id_takes_a_class_and_binds_the_devices_of_it(machine, data, answer):
    assert ask(machine, "drivers/hv_utils/new_id", data) == answer
    taken = isinstance(answer, int) and answer > 0
    assert driver(machine, NEW) == ("hv_utils" if taken else None)
    assert state(machine, NEW) == ("3\n" if taken else "2\n")
    assert actions(machine) == ([f"bind {NEW}"] if taken else [])
    if taken:
        assert ask(machine, "drivers/hv_utils/new_id", ND_CLASS) == "EEXIST"


REMOVE_ID = [
    (ND_CLASS, 36),
    (f"{ND_CLASS}\n", 37),
    (NETVSC_CLASS, "ENODEV"),  # which it was not given
    (str(CLASS_GUIDS["heartbeat"]), "ENODEV"),  # which it has by its table
    (f"{{{ND_CLASS}}}", "EINVAL"),
    ("x", "EINVAL"),
    ("", 0),
]


@pytest.mark.parametrize(("data", "answer"), REMOVE_ID)
def test_remove_id_takes_a_class_that_new_id_gave(machine, data, answer):
    assert ask(machine, "drivers/hv_utils/new_id", ND_CLASS) == 36
    assert ask(machine, "drivers/hv_utils/remove_id", data) == answer
    assert driver(machine, NEW) == "hv_utils", "who is bound stays bound"
    removed = answer in {36, 37}
    assert ask(machine, "drivers/hv_utils/unbind", NEW) == 36
    assert ask(machine, "drivers/hv_utils/bind", NEW) == ("ENODEV" if removed else 36)
    assert ask(machine, "drivers/hv_utils/new_id", ND_CLASS) == (36 if removed else "EEXIST")


def test_a_new_id_holds_for_devices_that_are_offered_later(machine):
    assert ask(machine, "drivers/hv_balloon/new_id", ND_CLASS) == 36
    assert write(machine, "/host/offer", b"netdirect relid=78") == 18
    machine.advance(SECOND)
    assert machine.kernel.vmbus.channels[78].device.driver.name == "hv_balloon"


# uio_hv_generic ----------------------------------------------------------------------------------


def test_uio_takes_an_unbound_adapter_by_its_class(machine):
    """new_id is driver_attach() of the driver it is written to, not of the first that matches."""
    assert ask(machine, "drivers/hv_netvsc/unbind", NETVSC) == 36
    ring = f"{BUS}/devices/{NETVSC}/channels/13/ring"
    assert node_at(machine, ring) is None
    assert ask(machine, "drivers/uio_hv_generic/new_id", NETVSC_CLASS) == 36
    assert driver(machine, NETVSC) == "uio_hv_generic"
    # Nobody has opened /dev/uio0: the channel is closed.
    assert state(machine, NETVSC) == "2\n"
    assert "34" not in rows(machine)
    node = node_at(machine, ring)
    assert node.mode == 0o600
    assert node.size > 0
    assert node.size % 4096 == 0
    assert read(machine, ring) == "EIO"
    assert write(machine, ring, b"x") == "EIO"


def test_what_uio_has_taken_goes_back(machine):
    for command, data in (
        ("hv_netvsc/unbind", NETVSC),
        ("uio_hv_generic/new_id", NETVSC_CLASS),
        ("uio_hv_generic/unbind", NETVSC),
    ):
        assert ask(machine, f"drivers/{command}", data) == 36
    assert node_at(machine, f"{BUS}/devices/{NETVSC}/channels/13/ring") is None
    assert ask(machine, "drivers/hv_netvsc/bind", NETVSC) == 36
    assert sum(name == "netvsc" for name in rows(machine).values()) == 8


def test_a_new_id_does_not_take_a_device_away_from_its_driver(machine):
    """The way of the documentation: new_id first, then unbind, then bind."""
    assert ask(machine, "drivers/uio_hv_generic/new_id", NETVSC_CLASS) == 36
    assert driver(machine, NETVSC) == "hv_netvsc"
    assert ask(machine, "drivers/uio_hv_generic/bind", NETVSC) == "EBUSY"
    assert ask(machine, "drivers/hv_netvsc/unbind", NETVSC) == 36
    assert ask(machine, "drivers/uio_hv_generic/bind", NETVSC) == 36
    assert driver(machine, NETVSC) == "uio_hv_generic"


# driver_override ---------------------------------------------------------------------------------

OVERRIDE = [
    ("uio_hv_generic", "uio_hv_generic\n"),
    ("uio_hv_generic\n", "uio_hv_generic\n"),
    ("no such driver", "no such driver\n"),
    ("\n", "(null)\n"),
    ("a" * 4094, "a" * 4094 + "\n"),
]


@pytest.mark.parametrize(("data", "shown"), OVERRIDE)
def test_driver_override_reads_back(machine, data, shown):
    path = f"devices/{NEW}/driver_override"
    assert text(machine, f"{BUS}/{path}") == "(null)\n"
    assert ask(machine, path, "something") == 9
    assert ask(machine, path, data) == len(data)
    assert text(machine, f"{BUS}/{path}") == shown


@pytest.mark.parametrize("length", [4095, 4096])
def test_a_driver_override_of_a_page_is_refused(machine, length):
    path = f"devices/{NEW}/driver_override"
    assert ask(machine, path, "kept") == 4
    assert ask(machine, path, "a" * length) == "EINVAL"
    assert text(machine, f"{BUS}/{path}") == "kept\n"


def test_an_empty_write_does_not_reach_driver_override(machine):
    assert ask(machine, f"devices/{NEW}/driver_override", "kept") == 4
    assert ask(machine, f"devices/{NEW}/driver_override", "") == 0
    assert text(machine, f"{BUS}/devices/{NEW}/driver_override") == "kept\n"


def test_an_override_lets_one_driver_only_match_even_without_an_id(machine):
    path = f"devices/{NEW}/driver_override"
    assert ask(machine, path, "uio_hv_generic\n") == 15
    assert driver(machine, NEW) is None, "nothing happens by itself"
    assert ask(machine, "drivers/hv_utils/new_id", ND_CLASS) == 36
    assert driver(machine, NEW) is None
    assert ask(machine, "drivers/hv_utils/bind", NEW) == "ENODEV"
    assert ask(machine, "drivers_probe", NEW) == 36
    assert driver(machine, NEW) == "uio_hv_generic"
    assert ask(machine, "drivers/uio_hv_generic/unbind", NEW) == 36
    assert ask(machine, path, "\n") == 1
    assert ask(machine, "drivers_probe", NEW) == 36
    assert driver(machine, NEW) == "hv_utils"


def test_an_override_does_not_take_a_device_away(machine):
    assert ask(machine, f"devices/{HEARTBEAT}/driver_override", "uio_hv_generic") == 14
    assert driver(machine, HEARTBEAT) == "hv_utils"
    assert ask(machine, "drivers/hv_utils/unbind", HEARTBEAT) == 36
    assert ask(machine, "drivers/hv_utils/bind", HEARTBEAT) == "ENODEV"
    assert ask(machine, "drivers/uio_hv_generic/bind", HEARTBEAT) == 36


# drivers_probe and drivers_autoprobe -------------------------------------------------------------

PROBE = [
    (HEARTBEAT, 36, "hv_utils"),
    (f"{HEARTBEAT}\n", 37, "hv_utils"),
    (NETVSC, 36, None),  # which has a driver
    (NEW, 36, None),  # which none wants
    ("nonexistent", "ENODEV", None),
    ("\n", "ENODEV", None),
    ("", 0, None),
]


@pytest.mark.parametrize(("data", "answer", "found"), PROBE)
def test_drivers_probe_gives_a_device_to_the_driver_that_wants_it(machine, data, answer, found):
    assert ask(machine, "drivers/hv_utils/unbind", HEARTBEAT) == 36
    assert ask(machine, "drivers_probe", data) == answer
    assert driver(machine, HEARTBEAT) == found
    assert driver(machine, NETVSC) == "hv_netvsc"
    assert driver(machine, NEW) is None


AUTOPROBE = [
    ("0", "0\n"),
    ("0\n", "0\n"),
    ("00", "0\n"),
    ("1", "1\n"),
    ("x", "1\n"),
    ("no", "1\n"),
    ("\n", "1\n"),
]


@pytest.mark.parametrize(("data", "shown"), AUTOPROBE)
def test_drivers_autoprobe_says_whether_offered_devices_find_a_driver(machine, data, shown):
    """`drivers_autoprobe_store`: only a 0 in the first place says no."""
    assert text(machine, f"{BUS}/drivers_autoprobe") == "1\n"
    assert ask(machine, "drivers_autoprobe", data) == len(data)
    assert text(machine, f"{BUS}/drivers_autoprobe") == shown
    assert write(machine, "/host/offer", b"fc relid=78") == 11
    machine.advance(SECOND)
    device = machine.kernel.vmbus.channels[78].device
    assert driver(machine, device.name) == ("hv_storvsc" if shown == "1\n" else None)
    assert state(machine, device.name) == ("3\n" if shown == "1\n" else "2\n")


# While somebody else is at it --------------------------------------------------------------------


def test_a_bind_waits_for_a_probe_that_is_under_way(machine):
    """device_lock: the offer's own probe comes first, and then it is bound already."""
    guid = NEW.replace("1111", "9999")
    assert write(machine, "/host/offer", f"scsi guid={guid} relid=78".encode()) > 0
    machine.advance(60_000)
    assert driver(machine, guid) in {None, "hv_storvsc"}
    assert write(machine, f"{BUS}/drivers/hv_storvsc/bind", guid.encode()) == "EBUSY"
    assert state(machine, guid) == "3\n"


def test_an_unbind_of_a_device_that_is_going_finds_none(machine):
    assert write(machine, "/host/rescind", b"14") == 2
    machine.advance(60_000)
    answer = write(machine, f"{BUS}/drivers/hv_storvsc/unbind", SCSI.encode())
    assert answer in {36, "ENODEV"}
    machine.advance(SECOND)
    assert node_at(machine, f"{BUS}/devices/{SCSI}") is None
    assert "28" not in rows(machine)
