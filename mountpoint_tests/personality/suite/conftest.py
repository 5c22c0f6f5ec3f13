"""The tests of the model, on other kernels than that of the default guest.

They are not copied: they are the same functions, collected once more, while every guest that
`model.guests` makes is given another kernel.  The two are the oldest and the newest, on which the
most is different.  What a kernel does otherwise is named here with its reason, and held to its
value in test_differences.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from model import guests, replay
from model.conftest import captured, machine, untouched

from fakeproc.machine import Machine
from fakeproc.profiles.schema import Profile

__all__ = ["captured", "machine", "untouched"]

HERE = Path(__file__).parent

KERNELS = ("6.1", "7.2")

# By the beginning of a test's name, the kernel on which it is otherwise, and why.
ROW_STAYS = "an interrupt that is freed keeps its row where it has counted (before v6.11)"
FCOPY = "hv_utils has fcopy, which the recorded kernel leaves to uio_hv_generic (v6.10)"
LEFT_OUT = {
    "test_every_recorded_unbind_does": ("6.1", ROW_STAYS),
    "test_who_was_unbound_is_bound_again": ("6.1", ROW_STAYS),
    "test_unbinding_is_never_refused": ("6.1", ROW_STAYS),
    "test_a_bind_fails_with_the_hosts_no": ("6.1", ROW_STAYS),
    "test_every_recorded_interrupt_counts": ("6.1", ROW_STAYS),
    "test_every_channel_boots_as_recorded[6.1-default-8cpu": ("6.1", FCOPY),
    "test_every_write_is_answered_and_read_back_as_recorded[6.1-default-8cpu": ("6.1", FCOPY),
    "test_everything_between_the_writes_is_as_recorded[6.1-default-8cpu": ("6.1", FCOPY),
    "test_every_difference_from_the_captures": ("6.1", FCOPY),
    "test_every_recorded_rescind_and_offer": ("6.1", FCOPY),
    "test_control_messages_of_the_boot": ("7.2", "it offers the host protocol 6.0 first"),
}


@pytest.fixture(scope="module", autouse=True, params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    """The version that every guest has; the series is whatever was asked for."""

    def on_kernel(profile: Profile, clock: str) -> Machine:
        kernel = profile.kernel.model_copy(update={"version": request.param})
        return Machine(profile.model_copy(update={"kernel": kernel}), clock)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guests, "Machine", on_kernel)
        replay.replayed.cache_clear()
        yield request.param
    replay.replayed.cache_clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents:
            continue
        version = item.callspec.params["kernel"]
        for beginning, (otherwise, reason) in LEFT_OUT.items():
            if item.name.startswith(beginning) and version == otherwise:
                item.add_marker(pytest.mark.skip(reason=f"{version}: {reason}"))
