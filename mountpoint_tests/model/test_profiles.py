"""Profiles: what is wrong with one is a sentence with file, line and key; sizes from 1 to 2,048."""

from __future__ import annotations

import re

import pytest

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.profiles import ProfileError, positions
from fakeproc.timeline import SECOND

from .guests import edited, text, write

SOURCE = profiles.source("hyperv-gen2")
BUILT_IN = ", ".join(profiles.names())


def line_of(toml: str, wanted: str) -> int:
    """The number of the line that `wanted` is on."""
    return toml[: toml.index(wanted)].count("\n") + 1


def refusal(toml: str) -> str:
    """The sentence with which a profile is refused."""
    with pytest.raises(ProfileError) as refused:
        profiles.parse(toml, "my.toml", "my")
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


# What is wrong in one place: the value as it is, what to put there instead, the key, and what
# the sentence must say.
WRONG = [
    ("seed = 1", "seeed = 1", "seeed", "no such key"),
    ("packages = 1", "pakages = 1", "cpus.pakages", "no such key"),
    ('protocol = "5.3"', 'protocoll = "5.3"', "vmbus.protocoll", "no such key"),
    ("possible = 8", 'possible = "eight"', "cpus.possible", "integer"),
    ("possible = 8", "possible = 0", "cpus.possible", "1"),
    ("possible = 8", "possible = 2049", "cpus.possible", "2048"),
    ("relid = 2\n", "relid = 0\n", "vmbus.devices[0].relid", "1"),
    ("relid = 2\n", "relid = 2048\n", "vmbus.devices[0].relid", "2047"),
    ('class = "keyboard"', 'class = "keybord"', "vmbus.devices[11].class", "keyboard"),
    ("b6650ff7-33bc-4840-8048-e0676786f393", "b6650ff7", "vmbus.devices[3].instance", "UUID"),
    ("counts = { 1 = 85 }", "counts = { 1 = -85 }", "vmbus.devices[8].counts.1", "0"),
    (
        "counts = { 1 = 85 }",
        "counts = { 1 = 4294967296 }",
        "vmbus.devices[8].counts.1",
        "429496729",
    ),
    ("counts = { 1 = 85 }", "counts = { one = 85 }", "vmbus.devices[8].counts.one", "integer"),
    ('protocol = "5.3"', 'protocol = "5.4"', "vmbus.protocol", "5.3"),
    ('version = "6.10"', 'version = "2.4"', "kernel.version", "6.10"),
    ('trigger = "level"', 'trigger = "levelled"', "irqs[1].trigger", "level"),
    ("monitor = { id = 1,", "monitor = { id = 128,", "vmbus.devices[7].monitor.id", "128"),
    ("IWI = [1,", 'IWI = ["one",', "arch.IWI[0]", "integer"),
]


@pytest.mark.parametrize(("right", "wrong", "key", "says"), WRONG)
def test_a_wrong_value_is_named_with_file_line_and_key(right, wrong, key, says):
    assert SOURCE.count(right) == 1
    toml = SOURCE.replace(right, wrong)
    sentence = refusal(toml)
    assert sentence.startswith(f"my.toml, line {line_of(toml, wrong)}: {key}")
    assert says in sentence


# What contradicts another key: the key to change, and the line it stands on.
CONTRADICTIONS = [
    ("relid = 9\n", "relid = 7\n", "vmbus.devices[3].relid", "relid 7"),
    ("{ relid = 23 }", "{ relid = 7 }", "vmbus.devices[7].subchannels[0].relid", "relid 7"),
    (
        "b6650ff7-33bc-4840-8048-e0676786f393",
        "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0",
        "vmbus.devices[3].instance",
        "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0",
    ),
    ("nodes = 1", "nodes = 3", "cpus.nodes", "3 nodes"),
    ("threads_per_core = 2", "threads_per_core = 3", "cpus.threads_per_core", "3 threads"),
    ("nodes = 1", "nodes = 1\noffline = [8]", "cpus.offline", "CPU 8"),
    ("nodes = 1", "nodes = 1\noffline = [0]", "cpus.offline", "CPU 0"),
    ("nodes = 1", "nodes = 1\nisolated = { domain = [9] }", "cpus.isolated.domain", "CPU 9"),
    ("nodes = 1", "nodes = 1\npresent = 9", "cpus.present", "possible (8)"),
    ("counts = { 1 = 85 }", "counts = { 8 = 85 }", "vmbus.devices[8].counts", "relid 15"),
    ("IWI = [1, 0, 0, 1, 0, 0, 0, 2]", "IWI = [1, 0, 0, 1, 0, 0, 0, 2, 1]", "arch.IWI", "CPU 8"),
    ("irq = 9\n", "irq = 8\n", "irqs[1].irq", "IRQ 8"),
    ("effective = 2", "effective = 8", "irqs[0].effective", "CPU 8"),
    ("effective = 2", "affinity = [9]", "irqs[0].affinity", "CPU 9"),
    ("IWI = [1,", "XYZ = [1,", "arch.XYZ", "no row"),
]


@pytest.mark.parametrize(("right", "wrong", "key", "says"), CONTRADICTIONS)
def test_a_contradiction_is_named_with_file_line_and_key(right, wrong, key, says):
    toml = SOURCE.replace(right, wrong, 1)
    line = line_of(SOURCE, right) + (wrong.startswith(f"{right}\n"))
    sentence = refusal(toml)
    assert sentence.startswith(f"my.toml, line {line}: {key}: ")
    assert says in sentence


# Of a key on many lines, or of many on one, it is the line on which the statement begins.
LAYOUTS = [
    ("a.b.c = 1\na.b.d = 2\n", ("a", "b", "d"), 2),
    ("[a]\nx = 1\n\n# says more\n[a.b]\nc = 1\n", ("a", "b", "c"), 6),
    ("[[a]]\nb = 1\n[[a]]\nc = 1\n[[a]]\nb = 1\n", ("a", 2, "b"), 6),
    ("[[a]]\n[[a.b]]\nc = 1\n[[a]]\n[[a.b]]\n[[a.b]]\nc = 1\n", ("a", 1, "b", 1, "c"), 7),
    ("a = [\n  1,\n  [2],\n  3,\n]\nb = 1\n", ("a", 1, 0), 1),
    ("a = [\n  1,\n  [2],\n  3,\n]\nb = 1\n", ("b",), 6),
    ('a = """\nb = 1\n[c]\n"""\n[c]\nb = 1\n', ("c", "b"), 6),
    ("\"a = b\" = 1\n'[c]' = 2\n", ("[c]",), 2),
    ("a = { b = [{ c = 1 }, { c = 2 }] }\n", ("a", "b", 1, "c"), 1),
    ("[a]\nb = 1\n", ("a", "missing"), 1),
    ("a = 1\n", ("missing",), None),
    ("a = 1\r\nb = 1\r\n", ("b",), 2),
]


@pytest.mark.parametrize(("toml", "location", "line"), LAYOUTS)
def test_the_line_of_a_key_is_the_right_one_however_the_file_is_laid_out(toml, location, line):
    assert positions.line_of(toml, location) == line


def test_the_line_of_a_subchannels_relid_is_its_own():
    subchannels = [f"[[vmbus.devices.subchannels]]\nrelid = {relid}\n" for relid in (30, 31, 4000)]
    toml = f'{SOURCE}\n[[vmbus.devices]]\nclass = "scsi"\nrelid = 29\n' + (
        'instance = "00000000-0000-0000-0000-000000000029"\n' + "".join(subchannels)
    )
    number = SOURCE.count("[[vmbus.devices]]")
    assert refusal(toml).startswith(
        f"my.toml, line {line_of(toml, 'relid = 4000')}: "
        f"vmbus.devices[{number}].subchannels[2].relid: "
    )


# What only a machine writes: no traceback, and no sentence as long as the input.
MONSTROUS = [
    (f"a = {'[' * 3000}{']' * 3000}\n", "nested too deeply"),
    (f"a = {'{b=' * 3000}1{'}' * 3000}\n", "nested too deeply"),
    (f"seed = {'9' * 5000}\n", "not TOML"),
    (SOURCE.replace('class = "shutdown"', "class = [1]"), "vmbus.devices[3].class: "),
    (SOURCE.replace('class = "shutdown"', "class = {}"), "vmbus.devices[3].class: "),
    (SOURCE.replace('class = "shutdown"', "class = 1"), "vmbus.devices[3].class: "),
    (SOURCE.replace('class = "shutdown"', "class = true"), "vmbus.devices[3].class: "),
    (SOURCE.replace('class = "shutdown"', "class = 1979-05-27"), "vmbus.devices[3].class: "),
    (SOURCE.replace('class = "shutdown"', f'class = "{"x" * 9000}"'), "vmbus.devices[3].class: "),
    (SOURCE.replace("[arch]", f"[arch]\n{'x' * 9000} = 1"), "arch."),
    (SOURCE.replace("[arch]", '[arch]\n"a\\nb" = [1]'), 'arch."a\\nb": '),
]


@pytest.mark.parametrize(("toml", "says"), MONSTROUS, ids=range(len(MONSTROUS)))
def test_what_nobody_would_write_is_refused_in_one_short_sentence(toml, says):
    sentence = refusal(toml)
    assert says in sentence
    assert len(sentence) < 600


@pytest.mark.parametrize(
    ("missing", "header", "key"),
    [
        ("relid = 9\n", '[[vmbus.devices]]\nclass = "shutdown"', "vmbus.devices[3].relid"),
        ('class = "shutdown"\n', None, "vmbus.devices[3].class"),
        ("possible = 8\n", "[cpus]", "cpus.possible"),
    ],
)
def test_a_missing_key_is_named_with_the_line_of_its_table(missing, header, key):
    toml = SOURCE.replace(missing, "")
    line = line_of(toml, header) if header else line_of(SOURCE, missing) - 1
    assert refusal(toml) == f"my.toml, line {line}: {key}: must be given"


def test_a_missing_table_is_named():
    assert refusal('description = "no CPUs"\n') == "my.toml: cpus: must be given"


@pytest.mark.parametrize(
    ("right", "wrong"), [("[kernel]", "[kernel"), ("seed = 1", "seed = 1\nseed = 2")]
)
def test_what_is_not_toml_is_named_with_its_line(right, wrong):
    sentence = refusal(SOURCE.replace(right, wrong))
    assert re.fullmatch(r"my\.toml: not TOML: .* \(at line \d+, column \d+\)", sentence)


# Files ---------------------------------------------------------------------------------------


def test_a_profile_is_loaded_by_path_and_named_after_its_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SOURCE)
    profile = profiles.load(str(path))
    assert profile.name == "mine"
    assert profile == profiles.load("hyperv-gen2").model_copy(update={"name": "mine"})


def test_a_name_in_toml_is_a_path_of_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    assert profiles.load("mine.toml").name == "mine"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nope", f"no profile is called 'nope'; built in are: {BUILT_IN}"),
        ("", f"no profile is called ''; built in are: {BUILT_IN}"),
        ("/nowhere/nope.toml", "/nowhere/nope.toml: No such file or directory"),
        ("nope.toml", "nope.toml: No such file or directory"),
        ("/", "/: a running system"),
    ],
)
def test_a_profile_that_is_not_there_is_a_sentence(name, sentence):
    with pytest.raises(ProfileError) as refused:
        profiles.load(name)
    assert str(refused.value).startswith(sentence)


def test_a_file_that_does_not_end_is_not_read_to_the_end():
    with pytest.raises(ProfileError, match=r"^/dev/zero: larger than 4 MiB$"):
        profiles.load("/dev/zero")


def test_a_path_with_a_newline_does_not_break_the_sentence(tmp_path):
    path = tmp_path / "my\nown.toml"
    with pytest.raises(ProfileError, match=r"^\$'/\S+/my\\012own\.toml': No such file"):
        profiles.load(str(path))


def test_a_file_that_is_no_text_is_a_sentence(tmp_path):
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProfileError, match=rf"^{path}: not a text file"):
        profiles.load(str(path))


def test_a_wrong_file_is_named_by_its_path(tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text(SOURCE.replace("possible = 8", "possible = 0"))
    with pytest.raises(ProfileError, match=rf"^{path}, line \d+: cpus\.possible: "):
        profiles.load(str(path))


# Built-in profiles ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", profiles.names())
def test_the_source_of_a_built_in_profile_is_a_whole_profile(name, tmp_path):
    path = tmp_path / f"{name}.toml"
    path.write_text(profiles.source(name))
    assert profiles.load(str(path)) == profiles.load(name)
    assert profiles.description(name) == profiles.load(name).description
    assert Machine(profiles.load(name), "manual").kernel.irqs.descs


def test_a_machine_leaves_its_profile_as_it_was():
    """All machines of a built-in profile share one, which is parsed once."""
    profile = profiles.load("hyperv-gen2")
    assert profiles.load("hyperv-gen2") is profile
    machine = Machine(profile, "manual")
    for name, line in (("interrupt", b"19 5"), ("traffic", b"all 50"), ("rescind", b"7")):
        assert write(machine, f"/host/{name}", line) == len(line)
    machine.advance(3 * SECOND)
    assert profile == profiles.parse(SOURCE, "hyperv-gen2.toml", "hyperv-gen2")


def test_the_source_of_no_profile_is_a_sentence():
    with pytest.raises(ProfileError, match="no profile is called 'nope'"):
        profiles.source("nope")


# Sizes ---------------------------------------------------------------------------------------


def controllers(channels: int) -> str:
    """SCSI controllers with so many channels in all, up to 128 each."""
    tables = []
    for first in range(1, channels + 1, 128):
        last = min(first + 127, channels)
        subchannels = ", ".join(f"{{ relid = {relid} }}" for relid in range(first + 1, last + 1))
        tables.append(
            f'[[vmbus.devices]]\nclass = "scsi"\nrelid = {first}\n'
            f'instance = "00000000-0000-0000-0000-{first:012x}"\nsubchannels = [{subchannels}]\n'
        )
    return "\n".join(tables)


def machine_of(cpus: int, channels: int) -> Machine:
    toml = f'description = "large or small"\n[cpus]\npossible = {cpus}\n{controllers(channels)}'
    return Machine(profiles.parse(toml, "sized.toml", "sized"), "manual")


ARCH_ROWS = 22


def test_2048_cpus_and_2047_channels_boot_and_print_a_table_of_46_megabytes():
    machine = machine_of(2048, 2047)
    assert len(machine.kernel.vmbus.channels) == 2047
    header, *lines = text(machine, "/proc/interrupts").splitlines()
    width = 5  # of labels: nr_irqs is 24 + 8 * 2048 + 16 * 24
    assert len(lines) == 2047 + ARCH_ROWS
    assert header == " " * (width + 8) + "".join(f"CPU{cpu:<8d}" for cpu in range(2048))
    rows = lines[:2047]
    cells = slice(width + 2, width + 2 + 11 * 2048)
    assert [int(line[:width]) for line in rows] == list(range(24, 24 + 2047))
    assert {line[cells] for line in rows} == {"         0 " * 2048}
    assert {line[cells.stop :].split()[0] for line in rows} == {"VMBus"}
    assert sorted(int(line[cells.stop :].split()[1]) for line in rows) == list(range(1, 2048))
    assert sum(map(len, lines)) > 46_000_000
    assert {len(line[cells]) for line in lines if line[:width].strip() not in ("ERR", "MIS")} == {
        11 * 2048
    }


def test_every_one_of_2048_cpus_can_be_a_channels():
    machine = machine_of(2048, 2047)
    targets = {channel.target_cpu for channel in machine.kernel.vmbus.channels.values()}
    assert targets == set(range(2047))
    mask = text(machine, f"/proc/irq/{24 + 2046}/smp_affinity")
    assert len(mask) == 64 * 8 + 63 + 1


def test_one_cpu_is_enough():
    toml = edited(SOURCE.partition("[arch]")[0], possible="1", threads_per_core="1")
    toml = re.sub(r",? ?counts = \{[^}]*\}", "", toml).replace("effective = 2", "effective = 0")
    machine = Machine(profiles.parse(toml, "one.toml", "one"), "manual")
    header, *lines = text(machine, "/proc/interrupts").splitlines()
    assert header == "           CPU0       "
    # No sub-channels: netvsc and storvsc want no more channels than there are CPUs.
    assert [line.split()[-1] for line in lines if "VMBus" in line] == [
        "heartbeat", "shutdown", "timesync", "vss", "pri@storvsc1", "pri@storvsc0", "balloon",
        "mouse", "keyboard", "framebuffer", "netvsc", "kvp",
    ]  # fmt: skip
    assert text(machine, "/proc/irq/24/smp_affinity") == "1\n"
    assert text(machine, "/proc/irq/24/smp_affinity_list") == "0\n"
    assert text(machine, "/sys/devices/system/cpu/possible") == "0\n"


# Numbers without an end ---------------------------------------------------------------------------

TOO_LARGE = [
    ("irq = 8\n", "irq = {}\n", "irq", 65_535),
    ("hwirq = 8\n", "hwirq = {}\n", "hwirq", (1 << 64) - 1),
    ("uptime_s = ", "uptime_s = {} #", "uptime_s", 1_000_000_000),
    ("quiet_s = ", "quiet_s = {} #", "quiet_s", 1_000_000_000),
    ("seed = ", "seed = {} #", "seed", None),
    ("mib_per_node = ", "mib_per_node = {} #", "mib_per_node", 1 << 26),
    ("nodes = ", "nodes = {} #", "nodes", 8192),
    ("khz = ", "khz = {} #", "khz", (1 << 32) - 1),
    ("size_kib = 48,", "size_kib = {},", "size_kib", (1 << 32) - 1),
]
LARGE = ["300000000", str(1 << 63), "9" * 23, "1e308", "inf", "9" * 5000]


@pytest.mark.parametrize("number", LARGE, ids=lambda number: number[:9])
@pytest.mark.parametrize(("old", "new", "key", "most"), TOO_LARGE, ids=lambda it: str(it)[:8])
def test_a_number_without_an_end_is_refused_with_its_key(old, new, key, most, number) -> None:
    """`irq = 300000000` made /proc/stat take twelve seconds and 600 MB."""
    toml = profiles.source("hyperv-gen2")
    assert old in toml
    toml = toml.replace(old, new.format(number), 1)
    if most is not None and number.isdigit() and len(number) < 25 and int(number) <= most:
        profiles.parse(toml, "test.toml", "test")
        return
    if most is None and number == "300000000":
        profiles.parse(toml, "test.toml", "test")
        return
    with pytest.raises(profiles.ProfileError) as refusal:
        profiles.parse(toml, "test.toml", "test")
    assert "test.toml" in str(refusal.value)
    assert key in str(refusal.value) or "not TOML" in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_the_last_interrupt_that_a_profile_may_have_is_shown() -> None:
    toml = profiles.source("hyperv-gen2").replace("irq = 8\n", "irq = 65535\n", 1)
    machine = Machine(profiles.parse(toml, "test.toml", "test"), "manual")
    intr = next(line for line in text(machine, "/proc/stat").splitlines() if line[:4] == "intr")
    assert len(intr.split()) == 2 + 65_536
