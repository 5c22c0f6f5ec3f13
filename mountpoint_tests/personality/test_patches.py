"""The series patch by patch: what each prevents or brings, and which can be left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from model.guests import channel_path, interrupt_rows, node_at, read, text, write

from fakeproc import profiles
from fakeproc.guest.hv.channel_table import CHANNEL_ATTRIBUTES
from fakeproc.machine import Machine
from fakeproc.profiles.errors import ProfileError
from fakeproc.profiles.kernels import with_kernel, without_patches
from fakeproc.profiles.select import chosen
from fakeproc.series import ALL_PATCHES, NEEDS, missing_patch, without
from fakeproc.timeline import MILLISECOND, SECOND

CPUS = "/sys/devices/system/cpu"
MOUSE = "58f75a6d-d949-4320-99e1-a2a2576d581c"


def guest(*left_out: int, profile: str = "hyperv-gen2", kernel: str = "rfc") -> Machine:
    """A guest whose series lacks these patches, at rest."""
    machine = Machine(without_patches(with_kernel(profiles.load(profile), kernel), left_out))
    machine.timeline.clock.manual = True
    machine.advance(3 * SECOND)
    say(machine, "traffic", "all 0\ntimer 0")
    return machine


def say(machine: Machine, file: str, line: str) -> None:
    assert write(machine, f"/host/{file}", line.encode()) == len(line), said(machine)[-1]


def said(machine: Machine) -> list[str]:
    return [record.text for record in machine.kernel.log.records]


def rows(machine: Machine) -> dict:
    return interrupt_rows(text(machine, "/proc/interrupts"))


# Patch by patch: what is seen, without it and with it ------------------------------------------


def unsupported(machine: Machine) -> int:
    """Devices of the classes that only Windows drives."""
    return sum(d.type.name == "unknown" for d in machine.kernel.vmbus.devices.values())


def warnings(machine: Machine) -> int:
    """What the log complains of when a channel is discarded that never had files."""
    say(machine, "fault", "irq enomem")
    say(machine, "offer", "kvp")
    machine.advance(SECOND)
    assert "hv_vmbus: irq_create_mapping failed for relid 25" in said(machine)
    return sum(line.startswith("kernfs: can not remove") for line in said(machine))


def name_of(relid: int) -> Callable[[Machine], str]:
    def name(machine: Machine) -> str:
        return next(r.name for r in rows(machine).values() if r.hwirq == str(relid))

    return name


def vpci_name(machine: Machine) -> str:
    say(machine, "offer", "vpci relid=77 guid=00001234-c05b-0000-0000-000000000000")
    machine.advance(SECOND)
    return name_of(77)(machine)


def counted_on_top(machine: Machine) -> int:
    """How often the top-level interrupt counts what was a channel's: arm64 has it as an IRQ."""
    before = sum(rows(machine)["12"].counts)
    relid = next(iter(machine.kernel.vmbus.channels))
    say(machine, "interrupt", f"{relid} 100")
    return sum(rows(machine)["12"].counts) - before


def channels_with_irq(machine: Machine) -> int:
    chips = [text(machine, f"/sys/kernel/irq/{irq}/chip_name") for irq in machine.kernel.irqs.descs]
    return chips.count("VMBus\n")


def vmbus_rows(machine: Machine) -> int:
    return sum(row.chip == "VMBus" for row in rows(machine).values())


def moved(machine: Machine) -> tuple[str, ...]:
    """A mask is written: what it reads, where the interrupt is, and where the channel is."""
    assert write(machine, "/proc/irq/39/smp_affinity_list", b"2") == 1
    (device,) = (d for d in machine.kernel.vmbus.devices if d.startswith("0022486b"))
    return (
        text(machine, "/proc/irq/39/smp_affinity_list"),
        text(machine, "/proc/irq/39/effective_affinity_list"),
        text(machine, f"/sys/bus/vmbus/devices/{device}/channels/19/cpu"),
    )


def clear(machine: Machine, cpu: int) -> list[int]:
    """Move every channel off a CPU; returns the relids."""
    channels = [c for c in machine.kernel.vmbus.channels.values() if c.target_cpu == cpu]
    for channel in channels:
        assert write(machine, f"/proc/irq/{channel.desc.irq}/smp_affinity_list", b"1") == 1
    return [channel.relid for channel in channels]


def lost_to_a_slow_host(machine: Machine) -> int:
    """A channel is moved, and its CPU taken away at once, while the host takes 10 ms for it."""
    say(machine, "latency", "ack 0.01")
    (relid,) = clear(machine, 7)
    say(machine, "traffic", f"{relid} 10000")
    assert write(machine, f"{CPUS}/cpu7/online", b"0") == 1
    machine.advance(SECOND)
    (lost,) = [line.split()[1] for line in said(machine) if " were lost" in line] or [0]
    return int(lost)


def written_meanwhile(machine: Machine) -> tuple[str, bool]:
    """IRQ 36 is moved to CPU 7 while that goes offline: its errno, and whether it lost any."""
    say(machine, "latency", "ack 0.002")
    clear(machine, 7)
    say(machine, "traffic", "16 10000")
    say(machine, "at", "+0.001 /proc/irq/36/smp_affinity_list 7")
    assert write(machine, f"{CPUS}/cpu7/online", b"0") == 1
    machine.advance(SECOND)
    outcome = text(machine, "/host/at").split()[2]
    return outcome, any("are lost: CPU 7 is offline" in line for line in said(machine))


ARM64 = "hyperv-arm64"
SHOWS = [
    # patch, look, without it, with it, profile
    (1, unsupported, 3, 0, "hyperv-gen2"),
    (2, warnings, len(CHANNEL_ATTRIBUTES), 0, "hyperv-gen2"),
    (3, name_of(19), "(null)", "netvsc", "hyperv-gen2"),
    (4, vpci_name, "vpci", "vpci:c05b", "hyperv-gen2"),
    (5, name_of(14), "storvsc", "pri@storvsc1", "hyperv-gen2"),
    (6, counted_on_top, 100, 0, ARM64),
    (7, channels_with_irq, 0, 21, "hyperv-gen2"),
    (8, channels_with_irq, 0, 21, "hyperv-gen2"),
    (9, vmbus_rows, 0, 21, "hyperv-gen2"),
    (10, moved, ("2\n", "\n", "6\n"), ("2\n", "2\n", "2\n"), "hyperv-gen2"),
    (11, lost_to_a_slow_host, 100, 0, "hyperv-gen2"),
    (12, written_meanwhile, ("2", True), ("EINVAL", False), "hyperv-gen2"),
]


@pytest.mark.parametrize(
    ("patch", "look", "without_it", "with_it", "profile"), SHOWS, ids=[str(n) for n, *_ in SHOWS]
)
def test_what_a_patch_brings_or_prevents(patch, look, without_it, with_it, profile) -> None:
    assert look(guest(patch, profile=profile)) == without_it
    assert look(guest(profile=profile)) == with_it


def test_every_patch_is_shown() -> None:
    assert [patch for patch, *_ in SHOWS] == sorted(ALL_PATCHES)


# What needs what --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left_out", "kept"),
    [
        ({1}, set(range(2, 13))),
        ({3}, {1, 2, 6, 7, 8, 9, 10, 11, 12}),
        ({6}, set(range(1, 13)) - {6}),
        ({7}, {1, 2, 3, 4, 5, 6}),
        ({8}, {1, 2, 3, 4, 5, 6, 7}),
        ({9}, set(range(1, 13)) - {9}),
        ({10}, set(range(1, 10))),
        ({11}, set(range(1, 13)) - {11}),
        ({4, 12}, set(range(1, 12)) - {4}),
        (set(range(1, 13)), set()),
    ],
)
def test_what_needs_a_patch_is_left_out_with_it(left_out, kept) -> None:
    assert without(ALL_PATCHES, left_out) == kept
    assert missing_patch(kept) is None


def test_a_need_comes_earlier_in_the_series() -> None:
    assert all(needed < patch for patch, needs in NEEDS.items() for needed in needs)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ('series = "absent"\npatches = [1]', "kernel.patches: the series is absent"),
        ("patches = [4]", "kernel.patches: patch 4 needs patch 3"),
        ("patches = [1, 12]", "kernel.patches: patch 12 needs patch 10"),
        ("patches = [13]", "kernel.patches"),
        ('series = "as reviewed"\npatches = [1]', "handled as patch 9 has it"),
        ('offlining = "rebind"', "kernel.offlining: Linux 6.10 moves no channel by itself"),
        ('offlining = "maybe"', "kernel.offlining"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(keys, sentence) -> None:
    with pytest.raises(ProfileError, match=r"mine\.toml") as refused:
        profiles.parse(_in_kernel(keys), "mine.toml", "mine")
    assert sentence in str(refused.value)


def _in_kernel(keys: str) -> str:
    lines = [
        line for line in profiles.source("hyperv-gen2").splitlines() if line[:9] != "series = "
    ]
    at = lines.index("[kernel]") + 1
    return "\n".join((*lines[:at], keys, *lines[at:], ""))


@pytest.mark.parametrize(
    ("kernel", "numbers", "sentence"),
    [
        ("6.12", [1], "Linux 6.12 without the series has no patch to leave out"),
        ("rfc", [0], "a patch is a number from 1 to 12, not 0"),
        ("rfc", [13], "a patch is a number from 1 to 12, not 13"),
        ("rfc", [True], "a patch is a number from 1 to 12, not True"),
        ("rfc-as-reviewed", [7], "as reviewed, control messages are handled as patch 9 has it"),
    ],
)
def test_what_cannot_be_left_out_is_a_sentence(kernel, numbers, sentence) -> None:
    with pytest.raises(ProfileError) as refused:
        chosen("hyperv-gen2", kernel, None, None, numbers)
    assert str(refused.value) == sentence


def test_the_log_names_what_is_left_out() -> None:
    assert "fakeproc: the series is applied without patch 3, 4, 5" in said(guest(3))
    assert not [line for line in said(guest()) if "without patch" in line]


# Details that follow ----------------------------------------------------------------------------


def test_the_warnings_name_the_files_of_a_channel() -> None:
    """One for each, in the kernel's order: `sysfs_remove_group` warns of every attribute."""
    machine = guest()
    monitored = next(c for c in machine.kernel.vmbus.channels.values() if c.offer.monitor)
    files = {
        name for name, _ in node_at(machine, channel_path(machine, monitored.relid)).children()
    }
    assert files == set(CHANNEL_ATTRIBUTES)


def test_without_patch_10_the_core_says_once_that_the_chip_does_nothing() -> None:
    machine = guest(10)
    (line,) = [line for line in said(machine) if "did not update eff. affinity" in line]
    assert line.startswith("genirq: irq_chip VMBus did not update eff. affinity mask of irq 24")
    assert text(machine, "/proc/irq/39/effective_affinity") == "00\n"


def test_without_patch_10_the_file_of_the_channel_moves_it_as_before() -> None:
    """And waits for the host, whose acknowledgement takes its time."""
    machine = guest(10)
    before = machine.timeline.now
    (device,) = (d for d in machine.kernel.vmbus.devices if d.startswith("0022486b"))
    path = f"/sys/bus/vmbus/devices/{device}/channels/19/cpu"
    assert write(machine, path, b"2") == 1
    assert machine.timeline.now > before
    assert text(machine, path) == "2\n"
    assert text(machine, "/proc/irq/39/smp_affinity_list") == "6\n", "nobody told the IRQ"


def test_a_name_that_is_null_has_no_directory() -> None:
    machine = guest(3)
    assert text(machine, "/sys/kernel/irq/39/actions") == "(null)\n"
    assert node_at(machine, "/proc/irq/39/(null)") is None


def test_a_channel_that_cannot_be_mapped_is_the_hosts_again() -> None:
    machine = guest()
    say(machine, "fault", "irq enomem 1")
    say(machine, "offer", "kvp relid=77")
    machine.advance(SECOND)
    assert 77 not in machine.host.relids.taken
    say(machine, "offer", "kvp relid=77")
    machine.advance(SECOND)
    assert name_of(77)(machine) == "kvp"
    assert text(machine, "/host/fault") == ""


def test_a_relid_that_cannot_be_mapped_anew_leaves_its_device_closed() -> None:
    """`vmbus_onoffer` ignores it when the guest resumes: opening the channel then fails."""
    bus = profiles.load("hyperv-gen2").vmbus.model_copy(update={"hibernation": True})
    profile = profiles.load("hyperv-gen2").model_copy(update={"vmbus": bus})
    machine = Machine(profile, "manual")
    say(machine, "fault", "irq enomem 1")
    say(machine, "power", "hibernate")
    machine.advance(SECOND)
    assert any("request_irq failed with -22 for relid" in line for line in said(machine))
    assert vmbus_rows(machine) == 20
    assert isinstance(read(machine, "/host/state.json"), bytes)


# As reviewed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "row", "irq"), [("hyperv-gen2", "HYP", "24"), (ARM64, "12", "9")]
)
def test_as_reviewed_messages_have_an_interrupt_and_the_top_one_is_hidden(profile, row, irq):
    machine = guest(profile=profile, kernel="rfc-as-reviewed")
    assert row in rows(guest(profile=profile))
    assert row not in rows(machine)
    messages = rows(machine)[irq]
    assert (messages.chip, messages.hwirq, messages.name.split()[-1]) == ("VMBus", "0", "vmbus")
    say(machine, "interrupt", "message 5")
    assert sum(rows(machine)[irq].counts) == sum(messages.counts) + 5
    assert write(machine, f"/proc/irq/{irq}/smp_affinity_list", b"1") == "EIO"


def test_as_reviewed_the_same_interrupts_come_to_intr() -> None:
    def intr(machine: Machine) -> int:
        (line,) = (x for x in text(machine, "/proc/stat").splitlines() if x.startswith("intr "))
        return int(line.split()[1])

    assert intr(guest(kernel="rfc-as-reviewed")) == intr(guest())


# Offlining on 6.18 and 7.2 ----------------------------------------------------------------------


@pytest.mark.parametrize("version", ["6.18", "7.2"])
@pytest.mark.parametrize(
    ("series", "offlining", "answer"),
    [
        ("absent", None, 1),
        ("absent", "refuse", "EBUSY"),
        ("as meant", None, "EBUSY"),
        ("as meant", "rebind", 1),
        ("as posted", "rebind", 1),
    ],
)
def test_whether_a_cpu_goes_that_channels_interrupt(version, series, offlining, answer) -> None:
    keys = f'version = "{version}"\nseries = "{series}"'
    keys += f'\nofflining = "{offlining}"' if offlining else ""
    lines = _in_kernel(keys).splitlines()
    toml = "\n".join(line for line in lines if line[:10] != "version = " or version in line)
    machine = Machine(profiles.parse(toml, "mine.toml", "mine"), "manual")
    assert write(machine, f"{CPUS}/cpu7/online", b"0") == answer
    machine.advance(100 * MILLISECOND)
    on_7 = [c for c in machine.kernel.vmbus.channels.values() if c.target_cpu == 7]
    assert bool(on_7) == (answer == "EBUSY")
    if series != "absent" and answer == 1:
        assert text(machine, "/proc/irq/40/effective_affinity_list") != "7\n"
