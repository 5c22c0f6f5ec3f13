"""Which messages guest and host exchange: by the protocol agreed on, about channels that exist."""

from __future__ import annotations

import pytest

from fakeproc import profiles
from fakeproc.host.devices import HostChannelState
from fakeproc.machine import Machine
from fakeproc.profiles.kernels import with_kernel
from fakeproc.protocol.messages import (
    CloseChannel,
    GpadlHeader,
    GuestMessage,
    HvStatus,
    ModifyChannel,
    ModifyChannelResponse,
    OpenChannel,
    RelidReleased,
    TlConnectResult,
    Unload,
)
from fakeproc.timeline import MILLISECOND, SECOND

from .guests import default_guest, text

NOBODY = 2000  # a relid that no channel has
FIRST_PROTOCOL_WITH = [
    (Unload, (3, 0)),
    (TlConnectResult, (4, 0)),
    (ModifyChannel, (4, 1)),
    (ModifyChannelResponse, (5, 3)),
    (OpenChannel, (0, 13)),
]


def guest(protocol: str, kernel: str) -> Machine:
    source = profiles.source("hyperv-gen2").replace('protocol = "5.3"', f'protocol = "{protocol}"')
    profile = profiles.parse(source, "test.toml", "test")
    return Machine(with_kernel(profile, kernel), "manual")


@pytest.mark.parametrize(("message", "version"), FIRST_PROTOCOL_WITH)
def test_a_message_says_which_protocol_has_it_first(message, version) -> None:
    assert message.since == version


@pytest.mark.parametrize(
    ("protocol", "has"), [("4.0", False), ("4.1", True), ("5.2", True), ("5.3", True)]
)
def test_a_message_that_the_protocol_lacks_is_not_posted(protocol, has) -> None:
    machine = guest(protocol, "rfc")
    connection = machine.kernel.vmbus.connection
    if has:
        connection.post(ModifyChannel(19, 0))
    else:
        with pytest.raises(OSError, match=f"VMBus protocol {protocol} has no ModifyChannel"):
            connection.post(ModifyChannel(19, 0))
    machine.advance(SECOND)
    assert machine.host.relids.taken[19].target_vp == (0 if has else 6)


@pytest.mark.parametrize(("protocol", "acks"), [("5.2", 0), ("5.3", 1)])
def test_the_host_acknowledges_by_the_protocol_agreed_on(protocol, acks) -> None:
    machine = guest(protocol, "rfc")
    before = machine.kernel.vmbus.connection.modify_completed
    machine.kernel.vmbus.connection.post(ModifyChannel(19, 0))
    machine.advance(SECOND)
    assert machine.kernel.vmbus.connection.modify_completed - before == acks


@pytest.mark.parametrize(
    "message",
    [
        GpadlHeader(NOBODY, 1, 2),
        OpenChannel(NOBODY, 1, 0),
        CloseChannel(NOBODY),
        ModifyChannel(NOBODY, 1),
        RelidReleased(NOBODY),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_about_a_relid_that_nobody_has_does_no_harm(message: GuestMessage) -> None:
    machine = default_guest()
    assert machine.host.post_message(message) is HvStatus.SUCCESS
    machine.advance(SECOND)
    assert NOBODY not in machine.host.relids.taken
    assert text(machine, "/proc/interrupts")


def test_messages_without_a_handler_count_on_hyp_alone() -> None:
    machine = default_guest()
    machine.host.plan.stop()
    before = machine.kernel.accounting.arch_count("HYP", 0)
    machine.host.send_noop_messages(5_000_000_000)
    assert machine.kernel.accounting.arch_count("HYP", 0) - before == 5_000_000_000


def test_a_channel_goes_through_its_states() -> None:
    machine = default_guest()
    channel = machine.host.relids.taken[7]
    assert channel.state is HostChannelState.OPEN
    machine.host.rescind(channel)
    assert channel.state is HostChannelState.LEAVING
    machine.advance(100 * MILLISECOND)
    assert channel.state is HostChannelState.FREE
    assert channel.relid == 0


def test_a_rescinded_channel_interrupts_no_more() -> None:
    """What was due until the host took it back is delivered, and nothing after."""
    machine = default_guest()
    channel = machine.host.relids.taken[19]
    machine.host.sources.set_channel(channel, 1_000_000, "steady")
    machine.advance(MILLISECOND)
    machine.host.rescind(channel)
    sent = channel.sent
    machine.advance(49_000)  # ns; the rescind arrives after 50 µs
    assert channel.sent == sent
