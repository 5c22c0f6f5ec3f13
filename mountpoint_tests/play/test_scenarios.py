"""The scenarios that come with fakeproc, on every machine and kernel where they make sense."""

from __future__ import annotations

import pytest

import fakeproc
from fakeproc import profiles
from fakeproc.play.load import ScenarioError, load, names, parse
from fakeproc.play.names import PlayError
from fakeproc.play.player import Player, StepFailed, missing_needs

MACHINES = [name for name in profiles.names() if name != "hyperv-max"]
KERNELS = ("rfc", "6.12", "7.2")


# What takes away what only the series has, or gives back what it took.
OF_THE_SERIES = {
    "busy-cpu",
    "irq-comes-back",
    "lost-acknowledgement",
    "many-sockets",
    "wrapping-counter",
}
MOVES_CHANNELS = {"busy-cpu", "lost-acknowledgement", "many-sockets"}
HAVE_IDLE_CPUS = {"azure-d64", "hyperv-2socket", "hyperv-confidential"}


def refusal(name: str, profile: str, kernel: str) -> str | None:
    """The sentence with which a scenario is refused there; None where it plays."""
    if name == "hibernation":
        return "its host does not let it hibernate"
    if name == "flapping-cpu" and profile not in HAVE_IDLE_CPUS:
        return "a channel interrupts each of its CPUs but the first"
    if name in MOVES_CHANNELS and profile == "hyperv-old-host":
        return "its host cannot move channels"
    if name in OF_THE_SERIES and kernel != "rfc":
        return "the series is not applied to its kernel"
    return None


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("profile", MACHINES)
@pytest.mark.parametrize("name", names())
def test_a_scenario_plays_or_is_refused_with_a_sentence(
    name: str, profile: str, kernel: str
) -> None:
    machine = fakeproc.Machine(profile, kernel=kernel)
    scenario = load(name)
    expected = refusal(name, profile, kernel)
    assert missing_needs(scenario, machine) == expected
    if expected is None:
        assert Player(scenario, machine).play() >= len(scenario.steps)


@pytest.mark.parametrize("name", names())
def test_every_scenario_plays_somewhere(name: str) -> None:
    """Hibernation wants a host that lets the guest, which no built-in machine has."""
    scenario = load(name)
    name = "hyperv-2socket" if scenario.needs.idle_cpu else "hyperv-gen2"
    toml = profiles.source(name).replace("[vmbus]\n", "[vmbus]\nhibernation = true\n", 1)
    sleeper = fakeproc.Machine(profiles.parse(toml, "sleeper.toml", "sleeper"))
    assert missing_needs(scenario, sleeper) is None
    assert Player(scenario, sleeper).play() >= len(scenario.steps)


BROKEN = [
    ('[[steps]]\nwrite = "host/clock"\n', "mine.toml: description: must be given"),
    ('description = "d"\n[[steps]]\nwirte = "x"\n', "line 3: steps[0].wirte: no such key"),
    ('description = "d"\n[[steps]]\nmark = "a"\nat = -1\n', "line 4: steps[0].at: "),
    (
        'description = "d"\n[[steps]]\nmark = "a"\nread = "proc/x"\n',
        "line 2: steps[0]: a step has one",
    ),
    ('description = "d"\n[[steps]]\nwrite = "etc/x"\n', "line 3: steps[0].write: a path begins"),
    ('description = "d"\n[[steps]]\nread = "proc/x"\nerrno = "EFOO"\n', "'EFOO' is no errno"),
    ("description = [\n", "not TOML"),
    ('description = "d"\nsteps = []\n', "line 2: steps"),
]


@pytest.mark.parametrize(("toml", "sentence"), BROKEN)
def test_a_typing_error_is_a_sentence_that_names_its_place(toml: str, sentence: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        parse(toml, "mine.toml")
    assert str(refused.value).startswith("mine.toml")
    assert sentence in str(refused.value)


def step(text: str) -> str:
    return f'description = "d"\nnames = {{ nic = "netvsc" }}\n[[steps]]\n{text}'


FAILING = [
    ('read = "proc/uptime"\nequals = "x"', r"step 1 \(read proc/uptime\), at 0 s: .* expected 'x'"),
    ('write = "proc/irq/39/smp_affinity"\ndata = "0"', "the write gave EINVAL, expected success"),
    (
        'write = "proc/irq/39/smp_affinity"\ndata = "8"\nerrno = "EIO"',
        "the write gave 2, expected EIO",
    ),
    ('read = "sys/nothing"', "reading sys/nothing gave ENOENT"),
    ('read = "proc/irq/39/smp_affinity_list"\nat_least = 7', "is 6, expected at least 7"),
    ('count = { irq = "39" }\nat_most = 1', "the count is 2375, expected at most 1"),
]


@pytest.mark.parametrize(("text", "sentence"), FAILING)
def test_an_expectation_that_fails_names_the_step_and_what_came(text: str, sentence: str) -> None:
    with pytest.raises(StepFailed, match=sentence):
        Player(parse(step(text), "s"), fakeproc.Machine()).play()


@pytest.mark.parametrize("name", ["EOPNOTSUPP", "ENOTSUP"])
def test_an_errno_may_have_the_kernels_name_or_pythons(name: str) -> None:
    text = step(f'read = "sys/class/net/eth0/phys_port_id"\nerrno = "{name}"')
    Player(parse(text, "s"), fakeproc.Machine()).play()


UNPLAYABLE = [
    ('read = "proc/irq/{disk.irq}/node"', "the scenario gives no such name"),
    ('read = "proc/irq/{nic.60.irq}/node"', "the device has 8 channels"),
    ('count = { irq = "39", since = "never" }', "no step before it has mark = 'never'"),
]


@pytest.mark.parametrize(("text", "sentence"), UNPLAYABLE)
def test_what_cannot_be_played_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(PlayError, match=sentence):
        Player(parse(step(text), "s"), fakeproc.Machine()).play()
