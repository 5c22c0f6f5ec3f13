"""The series patch by patch: what each prevents or brings, and which can be left out."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from model.guests import channel_path, interrupt_rows, node_at, read, text, write

from fakeproc import profiles
from fakeproc.guest.hv.channel_table import CHANNEL_ATTRIBUTES
from fakeproc.machine import Machine
from fakeproc.play.patches import EXPERIMENTS, compare, run_commands
from fakeproc.profiles.errors import ProfileError
from fakeproc.profiles.kernels import with_kernel, without_patches
from fakeproc.profiles.select import chosen
from fakeproc.series import ALL_PATCHES, NEEDS, missing_patch, without
from fakeproc.timeline import MILLISECOND, SECOND

CPUS = "/sys/devices/system/cpu"
ARM64 = "hyperv-arm64"


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


# Patch by patch -----------------------------------------------------------------------------------


def shown() -> dict[int, tuple[str, str]]:
    """What the page says that each patch's commands print, without it and with it."""
    page = (Path(__file__).parents[2] / "docs/explanation/patches.md").read_text()
    found = re.findall(
        r"^patch (\d+) .*?^without it[^\n]*:\n(.*?)^with it:\n(.*?)(?=^$|^```)", page, re.M | re.S
    )
    return {int(number): (without_it, with_it) for number, without_it, with_it in found}


def test_the_page_shows_for_each_patch_something_else_without_it() -> None:
    """That its transcript is true, test_examples sees, which runs the page."""
    assert sorted(shown()) == sorted(EXPERIMENTS) == sorted(ALL_PATCHES)
    assert [n for n, (without_it, with_it) in shown().items() if without_it == with_it] == []


def name_of(relid: int) -> Callable[[Machine], str]:
    def name(machine: Machine) -> str:
        return next(r.name for r in rows(machine).values() if r.hwirq == str(relid))

    return name


def vmbus_rows(machine: Machine) -> int:
    return sum(row.chip == "VMBus" for row in rows(machine).values())


def test_what_is_typed_in_a_mount_prints_what_the_command_says(mount_guest) -> None:
    """The commands of patch 12, in a shell."""
    mounted = mount_guest("--clock", "manual", "--without-patch", "12")
    script = " ; ".join(EXPERIMENTS[12].commands)
    done = subprocess.run(
        ["bash", "-c", script], cwd=mounted.root, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == compare(12)[0]


@pytest.mark.parametrize("command", ["rm x", "echo 1", "grep -v a b", "ls x"])
def test_a_form_that_is_not_known_is_no_command(command: str) -> None:
    with pytest.raises(ValueError, match="has none of the forms"):
        list(run_commands(guest(), (command,)))


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
