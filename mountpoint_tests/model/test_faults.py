"""Everything that can be made to go wrong: what one sees of it, and that the guest recovers."""

from __future__ import annotations

import pytest

from fakeproc.machine import Machine
from fakeproc.timeline import MILLISECOND, SECOND

from .guests import ROW_STAYS, channel_path, default_guest, interrupt_rows, read, text, write

pytestmark = pytest.mark.every_kernel

HEARTBEAT = "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0"
DEVICES = "/sys/bus/vmbus/devices"
CPU7 = "/sys/devices/system/cpu/cpu7/online"
NAK = "hv_vmbus: Error status 1 in MODIFYCHANNEL response for relid 19"
TIMED_OUT = "hv_vmbus: Timed out waiting for MODIFYCHANNEL. CPU 7 sent {} completed {}"
PENDING = "hv_vmbus: Events pending when trying to offline CPU 7"


@pytest.fixture
def machine() -> Machine:
    """The default guest with nothing on CPU 7, and no traffic."""
    machine = default_guest()
    machine.advance(3 * SECOND)
    say(machine, "traffic", "all 0\ntimer 0")
    assert write(machine, "/proc/irq/40/smp_affinity_list", b"0") == 1
    machine.advance(SECOND)
    return machine


def say(machine: Machine, name: str, line: str) -> None:
    assert write(machine, f"/host/{name}", line.encode()) == len(line)


def said(machine: Machine) -> list[str]:
    """The log without its times."""
    return [
        line.split("] ", 1)[1]
        for line in text(machine, "/host/log").splitlines()
        if "] fakeproc: " not in line  # what fakeproc says of a refused write
    ]


def move(machine: Machine, irq: int, cpu: int) -> int | str:
    answer = write(machine, f"/proc/irq/{irq}/smp_affinity_list", b"%d\n" % cpu)
    machine.advance(10 * MILLISECOND)
    return answer


def landed(machine: Machine, relid: int, irq: int) -> list[int]:
    """The CPUs that an interrupt of the channel counts on."""
    before = interrupt_rows(text(machine, "/proc/interrupts"))[str(irq)].counts
    say(machine, "interrupt", f"{relid} 1")
    after = interrupt_rows(text(machine, "/proc/interrupts"))[str(irq)].counts
    return [cpu for cpu, count in enumerate(after) if count != before[cpu]]


def cpu_of(machine: Machine, relid: int) -> int:
    return int(text(machine, f"{channel_path(machine, relid)}/cpu"))


def acknowledged(machine: Machine) -> tuple[int, int]:
    vmbus = machine.kernel.vmbus
    return vmbus.connection.modify_sent, vmbus.connection.modify_completed


# modifychannel -----------------------------------------------------------------------------------


def test_a_refused_move_is_logged_and_the_guest_believes_in_it_all_the_same(machine):
    say(machine, "fault", "modifychannel nak")
    assert move(machine, 39, 2) == 2
    assert said(machine)[-1] == NAK
    assert cpu_of(machine, 19) == 2
    assert text(machine, "/proc/irq/39/smp_affinity_list") == "2\n"
    assert landed(machine, 19, 39) == [6], "the host has not moved it"
    assert text(machine, "/host/fault") == ""


def test_after_a_refused_move_the_next_one_is_acted_on(machine):
    say(machine, "fault", "modifychannel nak 2")
    for cpu in (2, 3, 4):
        assert move(machine, 39, cpu) == 2
    assert said(machine).count(NAK) == 2
    assert landed(machine, 19, 39) == [4]
    sent, completed = acknowledged(machine)
    assert sent == completed


def test_a_move_that_is_never_acknowledged_is_acted_on_and_holds_up_every_offline(machine):
    """The counters never meet again, as recorded in off-8cpu."""
    sent, completed = acknowledged(machine)
    say(machine, "fault", "modifychannel drop")
    assert move(machine, 39, 2) == 2
    assert landed(machine, 19, 39) == [2]
    assert acknowledged(machine) == (sent + 1, completed)
    for _ in range(2):
        before = machine.timeline.now
        assert write(machine, CPU7, b"0") == 1
        assert machine.timeline.now - before >= 25 * MILLISECOND
        assert TIMED_OUT.format(sent + 1, completed) in said(machine)[-2:]
        assert write(machine, CPU7, b"1") == 1
    assert said(machine).count(TIMED_OUT.format(sent + 1, completed)) == 2
    assert move(machine, 39, 3) == 2
    assert acknowledged(machine) == (sent + 2, completed + 1)


# post --------------------------------------------------------------------------------------------

POSTS = {
    "post eagain": ("EAGAIN", None),
    "post enobufs": ("ENOBUFS", None),
    "post einval": ("EINVAL", "hv_vmbus: hv_post_msg() failed; error code:5"),
}
WAYS = {
    "smp_affinity": ("/proc/irq/39/smp_affinity", b"4\n"),
    "smp_affinity_list": ("/proc/irq/39/smp_affinity_list", b"2\n"),
    "cpu": ("cpu", b"2\n"),
}


@pytest.mark.parametrize("fault", POSTS)
@pytest.mark.parametrize("way", WAYS)
def test_a_message_that_cannot_be_posted_fails_the_write_and_changes_nothing(machine, fault, way):
    errno, line = POSTS[fault]
    path, data = WAYS[way]
    path = f"{channel_path(machine, 19)}/cpu" if path == "cpu" else path
    say(machine, "fault", f"{fault} 2")
    logged = len(said(machine))
    for _ in range(2):
        assert write(machine, path, data) == errno
        assert cpu_of(machine, 19) == 6
        assert text(machine, "/proc/irq/39/smp_affinity") == "40\n"
        assert text(machine, "/proc/irq/39/effective_affinity") == "40\n"
        assert landed(machine, 19, 39) == [6]
    assert said(machine)[logged:] == ([line] * 2 if line else [])
    assert text(machine, "/host/fault") == ""
    assert write(machine, path, data) == 2, "the third is posted"
    machine.advance(MILLISECOND)
    assert landed(machine, 19, 39) == [2]


@pytest.mark.parametrize("fault", POSTS)
def test_a_write_that_needs_no_message_does_not_meet_the_fault(machine, fault):
    say(machine, "fault", fault)
    assert write(machine, "/proc/irq/39/smp_affinity", b"ff\n") == 3
    assert text(machine, "/proc/irq/39/effective_affinity") == "40\n"
    assert text(machine, "/host/fault") == f"{fault} 1\n"


@pytest.mark.differs("6.1", ROW_STAYS)
@pytest.mark.parametrize("fault", POSTS)
def test_unbinding_is_never_refused_for_a_message_that_cannot_be_posted(machine, fault):
    """device_release_driver() returns nothing; vmbus_close() says so in the log and goes on."""
    say(machine, "fault", f"{fault} 3")
    assert write(machine, "/sys/bus/vmbus/drivers/hv_utils/unbind", HEARTBEAT.encode()) == 36
    machine.advance(SECOND)
    assert read(machine, f"{DEVICES}/{HEARTBEAT}/driver") == "ENOENT"
    assert text(machine, f"{DEVICES}/{HEARTBEAT}/state") == "2\n"
    assert "24" not in interrupt_rows(text(machine, "/proc/interrupts"))
    say(machine, "fault", "clear")
    assert write(machine, "/sys/bus/vmbus/drivers/hv_utils/bind", HEARTBEAT.encode()) == 36
    assert landed(machine, 7, 24) == [0]


@pytest.mark.parametrize("fault", POSTS)
@pytest.mark.parametrize("times", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("relid", [7, 13, 14])
def test_a_device_that_goes_goes_whatever_cannot_be_posted_meanwhile(machine, fault, times, relid):
    device = machine.kernel.vmbus.channels[relid].device
    going = [channel.relid for channel in device.channels]
    say(machine, "fault", f"{fault} {times}")
    say(machine, "rescind", str(relid))
    machine.advance(10 * SECOND)
    assert device.name not in machine.kernel.vmbus.devices
    assert read(machine, f"{DEVICES}/{device.name}/id") == "ENOENT"
    hwirqs = {
        desc.hwirq for desc in machine.kernel.irqs.descs.values() if desc.chip.name == "VMBus"
    }
    assert not hwirqs & set(going)
    machine.catch_up()  # and nothing that is left over fails later


# open --------------------------------------------------------------------------------------------


def test_a_channel_that_does_not_open_leaves_its_device_without_a_driver(machine):
    say(machine, "fault", "open fail")
    say(machine, "offer", "fc relid=77")
    machine.advance(SECOND)
    channel = machine.kernel.vmbus.channels[77]
    device = f"{DEVICES}/{channel.device.name}"
    assert said(machine)[-1] == f"hv_vmbus: probe failed for device {channel.device.name} (-11)"
    assert text(machine, f"{device}/state") == "2\n"
    assert read(machine, f"{device}/driver") == "ENOENT"
    assert text(machine, f"{device}/channels/77/cpu") == f"{channel.target_cpu}\n"
    irq = channel.desc.irq
    assert str(irq) not in interrupt_rows(text(machine, "/proc/interrupts"))
    assert text(machine, f"/sys/kernel/irq/{irq}/actions") == ""
    assert text(machine, "/host/fault") == ""


@pytest.mark.differs("6.1", ROW_STAYS)
def test_a_bind_fails_with_the_hosts_no_and_a_later_one_works(machine):
    unbind, bind = (f"/sys/bus/vmbus/drivers/hv_utils/{way}" for way in ("unbind", "bind"))
    say(machine, "fault", "open fail 2")
    assert write(machine, unbind, HEARTBEAT.encode()) == 36
    for _ in range(2):
        assert write(machine, bind, HEARTBEAT.encode()) == "EAGAIN"
        assert text(machine, f"{DEVICES}/{HEARTBEAT}/state") == "2\n"
        assert "24" not in interrupt_rows(text(machine, "/proc/interrupts"))
        assert text(machine, "/proc/irq/24/affinity_hint") == "00\n"
    assert write(machine, bind, HEARTBEAT.encode()) == 36
    assert text(machine, f"{DEVICES}/{HEARTBEAT}/state") == "3\n"
    assert landed(machine, 7, 24) == [0]


def test_a_channel_that_does_not_open_has_no_rings(machine):
    rings = [f"{DEVICES}/{HEARTBEAT}/channels/7/{name}" for name in ("in_mask", "write_avail")]
    rings += [f"{DEVICES}/{HEARTBEAT}/{name}" for name in ("out_read_index", "in_intr_mask")]
    assert [read(machine, ring) for ring in rings] != ["EINVAL"] * 4
    say(machine, "fault", "open fail")
    write(machine, "/sys/bus/vmbus/drivers/hv_utils/unbind", HEARTBEAT.encode())
    assert write(machine, "/sys/bus/vmbus/drivers/hv_utils/bind", HEARTBEAT.encode()) == "EAGAIN"
    assert [read(machine, ring) for ring in rings] == ["EINVAL"] * 4


def test_a_scsi_host_whose_channel_does_not_open_gives_its_number_back(machine):
    say(machine, "fault", "open fail")
    say(machine, "offer", "scsi relid=77")
    machine.advance(SECOND)
    say(machine, "offer", "scsi relid=78")
    machine.advance(SECOND)
    assert machine.kernel.vmbus.channels[78].irq_name == "pri@storvsc2"


# pending -----------------------------------------------------------------------------------------


def test_an_event_that_nobody_consumes_keeps_its_cpu_online_until_it_is_cleared(machine):
    assert move(machine, 39, 7) == 2
    say(machine, "fault", "pending 19")
    assert move(machine, 39, 1) == 2  # nothing targets CPU 7 any more
    assert text(machine, "/host/fault") == "pending 19\n"
    for _ in range(2):
        assert write(machine, CPU7, b"0") == "EBUSY"
        assert said(machine)[-1] == PENDING
        assert text(machine, CPU7) == "1\n"
        assert move(machine, 40, 7) == 2, "its synic is online again"
        assert move(machine, 40, 0) == 2
    say(machine, "fault", "clear")
    assert write(machine, CPU7, b"0") == 1
    assert write(machine, CPU7, b"1") == 1


def test_an_event_that_is_pending_on_another_cpu_does_not_matter(machine):
    say(machine, "fault", "pending 19")  # on CPU 6
    assert write(machine, CPU7, b"0") == 1


def test_a_jammed_channel_still_interrupts(machine):
    say(machine, "fault", "pending 19")
    assert landed(machine, 19, 39) == [6]


# clear -------------------------------------------------------------------------------------------


def test_clear_takes_back_every_fault_that_still_waits(machine):
    say(
        machine,
        "fault",
        "modifychannel nak 5\nmodifychannel drop 5\npost eagain 5\nopen fail 5\npending 19",
    )
    assert len(text(machine, "/host/fault").splitlines()) == 5
    say(machine, "fault", "clear")
    assert text(machine, "/host/fault") == ""
    sent, completed = acknowledged(machine)
    assert move(machine, 39, 2) == 2
    assert landed(machine, 19, 39) == [2]
    assert acknowledged(machine) == (sent + 1, completed + 1)
    say(machine, "offer", "fc relid=77")
    machine.advance(SECOND)
    assert machine.kernel.vmbus.channels[77].device.driver is not None


# -- A host that is late ------------------------------------------------------------------


def test_a_move_that_is_late_does_not_reach_a_channel_that_was_opened_again(machine):
    """The host believed in the CPU of the move, and the guest in that of the new open."""
    say(machine, "latency", "ack 0.045")
    storage = machine.kernel.vmbus.channels[19].device
    driver = f"/sys/bus/vmbus/drivers/{storage.driver.name}"
    assert write(machine, f"{channel_path(machine, 19)}/cpu", b"1") == 1
    for way in ("unbind", "bind"):
        assert write(machine, f"{driver}/{way}", storage.name.encode()) == 36
    machine.advance(SECOND)
    now = cpu_of(machine, 19)
    assert now != 1
    assert landed(machine, 19, 39) == [now]
