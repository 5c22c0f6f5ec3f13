"""What happens while kernel code sleeps: nothing is used that has gone, nothing stays half done."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.profiles.kernels import with_kernel
from fakeproc.protocol.messages import GuestMessage, HvStatus, SubchannelRequest, Unload
from fakeproc.timeline import MICROSECOND, SECOND

from .guests import channel_path, default_guest, interrupt_rows, node_at, text, write

DRIVERS = "/sys/bus/vmbus/drivers"
DEVICES = "/sys/bus/vmbus/devices"
CPU5 = "/sys/devices/system/cpu/cpu5/online"
CPU7 = "/sys/devices/system/cpu/cpu7"
STOCK = ["6.1", "6.12", "6.18", "7.2"]
HUNG = "INFO: task sh:1 blocked for more than 120 seconds."


def say(machine: Machine, name: str, line: str) -> int | str:
    return write(machine, f"/host/{name}", line.encode())


def said(machine: Machine) -> list[str]:
    return [record.text for record in machine.kernel.log.records]


def guest(kernel: str) -> Machine:
    return Machine(with_kernel(profiles.load("hyperv-gen2"), kernel), "manual")


def is_there(machine: Machine, device: str) -> bool:
    return node_at(machine, f"{DEVICES}/{device}") is not None


def netvsc(machine: Machine) -> str:
    return str(next(d.instance for d in machine.profile.vmbus.devices if d.relid == 13))


def says_nothing_of_mistakes(machine: Machine) -> bool:
    return not [line for line in said(machine) if "internal error" in line]


# A1: a device that goes while ethtool works -------------------------------------------------------


@pytest.mark.parametrize("wait", [0, 50, 100, 150, 200, 300, 1000, 30_000])
def test_ethtool_on_an_adapter_that_the_host_has_just_taken_back(wait) -> None:
    machine = default_guest()
    assert say(machine, "rescind", "13") == 2
    machine.advance(wait * MICROSECOND)
    answer = say(machine, "ethtool", f"{netvsc(machine)} combined 1")
    assert answer in {"ENODEV", "EINVAL"}, "gone, or no adapter by that name any more"
    machine.advance(SECOND)
    assert not [relid for relid in (13, 18, 19) if relid in machine.host.relids.taken]
    assert says_nothing_of_mistakes(machine)


def test_two_lines_of_ethtool_in_one_write_while_the_adapter_goes() -> None:
    machine = default_guest()
    name = netvsc(machine)
    say(machine, "rescind", "13")
    assert say(machine, "ethtool", f"{name} combined 2\n{name} combined 4") == "ENODEV"
    machine.advance(SECOND)
    assert not is_there(machine, name)
    assert says_nothing_of_mistakes(machine)


def test_ethtool_that_the_host_refuses_leaves_the_channels_as_they_were() -> None:
    machine = default_guest()
    before = text(machine, "/host/ethtool")
    say(machine, "fault", "open fail")
    assert say(machine, "ethtool", f"{netvsc(machine)} combined 2") == "EAGAIN"
    machine.advance(SECOND)
    assert text(machine, "/host/ethtool") == before
    rows = interrupt_rows(text(machine, "/proc/interrupts"))
    assert sum(row.name.startswith("netvsc") for row in rows.values()) == 8


def test_ethtool_that_cannot_go_back_says_so() -> None:
    machine = default_guest()
    say(machine, "fault", "open fail 2")
    assert say(machine, "ethtool", f"{netvsc(machine)} combined 2") == "EAGAIN"
    assert "restoring channel setting failed (-11)" in " ".join(said(machine))


# A2: a device that goes while new_id works --------------------------------------------------------


def test_new_id_of_a_class_whose_device_is_going() -> None:
    machine = default_guest()
    name = next(
        device.name
        for device in machine.kernel.vmbus.devices.values()
        if device.type.name == "mouse"
    )
    assert write(machine, f"{DRIVERS}/hid_hyperv/unbind", name.encode()) == len(name)
    class_id = text(machine, f"{DEVICES}/{name}/class_id").strip("{}\n")
    for guid in (name, "5620e0c7-8062-4dce-aeb7-520c7ef76171"):  # mouse and framebuffer
        say(machine, "rescind", guid)
    assert write(machine, f"{DRIVERS}/hyperv_drm/new_id", class_id.encode()) == len(class_id)
    machine.advance(SECOND)
    assert not is_there(machine, name)
    assert says_nothing_of_mistakes(machine)


@pytest.mark.parametrize("file", ["bind", "unbind"])
@pytest.mark.parametrize("wait", [0, 40, 50, 60, 100, 200, 600])
def test_bind_and_unbind_of_a_device_that_is_going(file, wait) -> None:
    machine = default_guest()
    name = "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0"
    if file == "bind":
        write(machine, f"{DRIVERS}/hv_utils/unbind", name.encode())
    say(machine, "rescind", name)
    machine.advance(wait * MICROSECOND)
    answer = write(machine, f"{DRIVERS}/hv_utils/{file}", name.encode())
    assert answer in {36, "ENODEV"}
    machine.advance(SECOND)
    assert not is_there(machine, name)
    assert says_nothing_of_mistakes(machine)


# A3: what would wait for ever ---------------------------------------------------------------------


@pytest.mark.parametrize("kernel", STOCK)
def test_a_lost_acknowledgement_on_a_stock_kernel_is_a_hung_task(kernel) -> None:
    machine = guest(kernel)
    cpu = f"{channel_path(machine, 19)}/cpu"
    before, now = text(machine, cpu), machine.timeline.now
    say(machine, "fault", "modifychannel drop")
    assert write(machine, cpu, b"1") == "ETIMEDOUT"
    assert machine.timeline.now == now + 120 * SECOND
    assert HUNG in said(machine)
    assert text(machine, cpu) == before
    assert write(machine, cpu, b"1") == 1, "the next one is answered"
    assert text(machine, cpu) == "1\n"


@pytest.mark.parametrize("kernel", ["6.18", "7.2"])
def test_a_lost_acknowledgement_keeps_a_cpu_online_with_its_timer(kernel) -> None:
    machine = guest(kernel)
    say(machine, "fault", "modifychannel drop")
    assert write(machine, f"{CPU7}/online", b"0") == "ETIMEDOUT"
    assert HUNG in said(machine)
    assert text(machine, f"{CPU7}/online") == "1\n"
    assert text(machine, f"{CPU7}/hotplug/target") == text(machine, f"{CPU7}/hotplug/state")
    say(machine, "traffic", "timer 100")
    before = interrupt_rows(text(machine, "/proc/interrupts"))["HVS"].counts[7]
    machine.advance(SECOND)
    assert interrupt_rows(text(machine, "/proc/interrupts"))["HVS"].counts[7] == before + 100
    assert write(machine, f"{CPU7}/online", b"0") == 1
    assert text(machine, f"{CPU7}/online") == "0\n"


def test_a_channel_that_is_rescinded_answers_no_more() -> None:
    """vmbus_rescind_cleanup(): who waits for an answer about it goes on at once."""
    machine = guest("6.12")
    say(machine, "latency", "ack 10")
    say(machine, "rescind", "19")
    now = machine.timeline.now
    assert write(machine, f"{channel_path(machine, 19)}/cpu", b"1") == "EIO"
    assert machine.timeline.now - now < SECOND


# A9: hibernation that the host does not hear of ---------------------------------------------------


def hibernating_guest() -> Machine:
    toml = profiles.source("hyperv-gen2").replace("[vmbus]\n", "[vmbus]\nhibernation = true\n", 1)
    machine = Machine(profiles.parse(toml, "test.toml", "test"), "manual")
    machine.advance(3 * SECOND)
    say(machine, "traffic", "all 0")
    return machine


def what_hibernation_leaves(machine: Machine) -> dict[str, object]:
    """Of each device its driver, its primary channel and how many others are open."""
    devices = json.loads(text(machine, "/host/state.json"))["vmbus"]["devices"]
    keys = ("relid", "irq", "state", "target_cpu", "host_target_vp")
    return {
        name: (
            device["driver"],
            [device["channels"][0][key] for key in keys],
            [channel["state"] for channel in device["channels"]],
        )
        for name, device in devices.items()
    }


def timers_run(machine: Machine) -> bool:
    say(machine, "traffic", "timer 100")
    before = interrupt_rows(text(machine, "/proc/interrupts"))["HVS"].counts
    machine.advance(SECOND)
    after = interrupt_rows(text(machine, "/proc/interrupts"))["HVS"].counts
    return [new - old for new, old in zip(after, before, strict=True)] == [100] * 8


def test_a_hibernation_whose_unload_is_refused_leaves_everything_as_it_was(monkeypatch) -> None:
    machine = hibernating_guest()
    before = what_hibernation_leaves(machine)
    post = machine.host.post_message

    def refuse(message: GuestMessage, connection: int) -> HvStatus:
        if isinstance(message, Unload):
            return HvStatus.INVALID_PARAMETER
        return post(message, connection)

    monkeypatch.setattr(machine.host, "post_message", refuse)
    assert say(machine, "power", "hibernate") == "EINVAL"
    machine.advance(SECOND)
    assert what_hibernation_leaves(machine) == before
    assert timers_run(machine)
    assert text(machine, "/host/power") == "running, resumed 0 times\n"


def test_a_guest_survives_a_hibernation_in_which_no_message_arrives() -> None:
    machine = hibernating_guest()
    rows = interrupt_rows(text(machine, "/proc/interrupts"))
    say(machine, "fault", "post einval 50")
    assert say(machine, "power", "hibernate") == "EINVAL"
    say(machine, "fault", "clear")
    assert timers_run(machine)
    seen = json.loads(text(machine, "/host/state.json"))["vmbus"]["devices"]
    channels = [channel for device in seen.values() for channel in device["channels"]]
    assert all(channel["relid"] > 0 for channel in channels)
    assert all(str(channel["irq"]) in rows for channel in channels)
    assert write(machine, f"{CPU7}/online", b"0") in {1, "EBUSY"}


# A5: more sub-channels than relids ----------------------------------------------------------------


def test_offers_that_need_more_relids_than_there_are_are_refused_at_once() -> None:
    """Sub-channels count when the offer is accepted, not when the guest requests them."""
    machine = default_guest()
    assert say(machine, "offer", "scsi subchannels=7\n" * 300) == "EINVAL"
    why = [line for line in said(machine) if "no relid left for 8 more channels" in line]
    assert len(why) == 1
    assert say(machine, "offer", "scsi subchannels=7\n" * 200) > 0
    assert say(machine, "offer", "scsi subchannels=2046") == "EINVAL"
    for _ in range(20):
        machine.advance(SECOND)
        assert text(machine, "/proc/interrupts")
    assert says_nothing_of_mistakes(machine)


def test_a_host_without_relids_offers_as_many_sub_channels_as_it_can() -> None:
    machine = default_guest()
    taken = machine.host.relids.taken
    nobody = next(iter(taken.values()))
    for relid in range(1, 2047):
        taken.setdefault(relid, nobody)
    machine.host.send_packet(SubchannelRequest(13, 7))
    machine.advance(SECOND)
    assert machine.host.relids.left in {0, 1}
    assert says_nothing_of_mistakes(machine)


def test_an_event_that_fails_is_told_once_and_the_reader_goes_on(caplog) -> None:
    machine = default_guest()

    def fail() -> None:
        raise LookupError("a mistake of ours")

    for delay in range(5):
        machine.timeline.after(delay, fail)
    machine.advance(SECOND)
    assert text(machine, "/proc/interrupts")
    assert (
        said(machine).count(
            "fakeproc: internal error (please report): LookupError: a mistake of ours"
        )
        == 1
    )
    (record,) = caplog.records
    assert record.exc_info is not None, "with its traceback"


# C7: interrupts that reach nobody -----------------------------------------------------------------


@pytest.mark.parametrize("looks", [0, 50])
def test_lost_interrupts_are_said_with_the_channels_name(looks) -> None:
    """The host refuses to move a channel, the guest believes it moved and offlines the CPU."""
    machine = default_guest()
    machine.advance(3 * SECOND)
    say(machine, "traffic", "all 0")
    say(machine, "fault", "modifychannel nak")
    assert write(machine, "/proc/irq/38/smp_affinity_list", b"0") == 1
    machine.advance(SECOND)
    say(machine, "traffic", "18 100")
    assert write(machine, CPU5, b"0") == 1
    since = len(said(machine))
    assert "fakeproc: interrupts of relid 18 (netvsc) are lost: CPU 5 is offline" in said(machine)
    for _ in range(looks):
        machine.advance(SECOND // 50)
        text(machine, "/proc/interrupts")
    machine.advance(5 * SECOND - looks * (SECOND // 50))
    say(machine, "interrupt", "18 7")
    assert said(machine)[since:] == [], "once, however often it is looked at"
    assert write(machine, CPU5, b"1") == 1
    assert "fakeproc: 507 interrupts of relid 18 (netvsc) to CPU 5 were lost" in said(machine)


# Writes that fall into the middle of another ------------------------------------------------------


def test_a_second_offline_waits_for_the_first() -> None:
    """device_hotplug_lock: CPUs go one after the other, whoever asks when."""
    machine = default_guest()
    machine.advance(3 * SECOND)
    for irq in (38, 40):  # all that CPUs 5 and 7 have
        write(machine, f"/proc/irq/{irq}/smp_affinity_list", b"0")
    say(machine, "latency", "ack 0.03")
    assert write(machine, "/proc/irq/38/smp_affinity_list", b"1") == 1
    begun = machine.timeline.now
    gone: list[tuple[int | str, int, str]] = []

    def second() -> None:
        answer = write(machine, f"{CPU7}/online", b"0")
        gone.append((answer, machine.timeline.now - begun, text(machine, CPU5)))

    machine.timeline.after(SECOND // 1000, second)
    assert write(machine, CPU5, b"0") == 1
    ((answer, later, first),) = gone
    assert (answer, first) == (1, "0\n"), "the first was done when the second was"
    assert later >= 30 * SECOND // 1000
    assert text(machine, "/sys/devices/system/cpu/online") == "0-4,6\n"


def test_the_same_offline_twice_at_a_time_is_two_successes() -> None:
    machine = default_guest()
    machine.advance(3 * SECOND)
    say(machine, "latency", "ack 0.03")
    assert write(machine, "/proc/irq/38/smp_affinity_list", b"1") == 1
    answers: list[int | str] = []
    machine.timeline.after(SECOND // 1000, lambda: answers.append(write(machine, CPU5, b"0")))
    assert write(machine, CPU5, b"0") == 1
    assert answers == [1]
    offline = [event for event in machine.kernel.uevents.events if event.action == "offline"]
    assert len(offline) == 1


def test_a_move_to_a_cpu_that_is_going_is_refused_while_it_still_reads_online() -> None:
    """Patch 12: from the moment that the CPU's SynIC leaves the mask."""
    machine = default_guest()
    machine.advance(3 * SECOND)
    say(machine, "latency", "ack 0.03")
    assert write(machine, "/proc/irq/38/smp_affinity_list", b"1") == 1
    seen: list[object] = []

    def meanwhile() -> None:
        seen.append(text(machine, CPU5))
        seen.append(write(machine, "/proc/irq/39/smp_affinity_list", b"5"))

    machine.timeline.after(SECOND // 1000, meanwhile)
    assert write(machine, CPU5, b"0") == 1
    assert seen == ["1\n", "EINVAL"]


def test_a_device_that_goes_before_its_driver_gets_to_it() -> None:
    """Its probe is late, as on a real machine where drivers probe side by side."""
    toml = profiles.source("hyperv-gen2").replace(
        'class = "kvp"\n', 'class = "kvp"\nprobe_delay_us = 500000\n', 1
    )
    machine = Machine(profiles.parse(toml, "test.toml", "test"), "manual")
    kvp = "242ff919-07db-4180-9c2e-b86cb68c8c55"
    say(machine, "rescind", kvp)
    machine.advance(SECOND)
    assert say(machine, "offer", f"kvp guid={kvp}") > 0
    machine.advance(SECOND // 10)
    assert say(machine, "rescind", kvp) > 0
    machine.advance(SECOND)
    assert not is_there(machine, kvp)
    assert says_nothing_of_mistakes(machine)


@pytest.mark.parametrize("wait", [0, 10, 40, 50, 100])
def test_a_sub_channel_that_is_rescinded_while_its_driver_closes_it(wait) -> None:
    """Both who closes it and who hears of the rescind would remove it; one does."""
    machine = default_guest()
    device = machine.kernel.vmbus.channels[13].device
    name, first = device.name, device.channels[1]
    relid = first.relid
    assert say(machine, "rescind", str(relid)) > 0
    machine.advance(wait * MICROSECOND)
    assert write(machine, f"{DRIVERS}/hv_netvsc/unbind", name.encode()) == len(name)
    machine.advance(SECOND)
    assert says_nothing_of_mistakes(machine)
    assert first not in device.channels
    assert relid not in machine.host.relids.taken


def test_a_sub_channel_whose_directory_has_its_name_already_is_given_back() -> None:
    """channels/<relid> keeps its name over a hibernation; a sub-channel may get that relid."""
    machine = hibernating_guest()
    for relid in (7, 8, 9):
        assert say(machine, "rescind", str(relid)) > 0
    machine.advance(SECOND)
    device = machine.kernel.vmbus.devices[netvsc(machine)]
    assert say(machine, "power", "hibernate") > 0
    machine.advance(SECOND)
    kept = int(device.primary.kobject.name)
    assert kept != device.primary.relid
    holder = machine.host.relids.taken.get(kept)
    if holder is not None:
        machine.host.rescind(holder)
        machine.advance(SECOND)
    offer = replace(device.offer, relid=kept, subchannel_index=60)
    machine.kernel.vmbus.handle_message(offer)
    assert "cannot create duplicate filename" in said(machine)[-1]
    assert kept not in machine.kernel.vmbus.channels
    assert says_nothing_of_mistakes(machine)
