"""Guests to test against: machines in this process, with a clock that stands still.

A test with the marker `every_kernel` runs on the kernel of the default guest, and again on
the oldest and the newest stock version, on which the most is different.  Where a kernel does
otherwise, the test says so itself: `differs("6.1", REASON)`, for some of its parameters only
with `differs("6.1", REASON, capture="default-8cpu")`.  test_differences.py holds what the
kernel does instead.  What no kernel has a part in runs once: `one_kernel(REASON)` at a test of a
module that has `every_kernel`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakeproc.machine import Machine

from . import guests

OTHER_VERSIONS = ("6.1", "7.2")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_kernel: run it on the other kernels as well")
    config.addinivalue_line("markers", "one_kernel(reason): no kernel has a part in it; run once")
    config.addinivalue_line(
        "markers", "differs(version, reason, **parameters): that kernel does otherwise"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("every_kernel") is None:
        return
    others = () if metafunc.definition.get_closest_marker("one_kernel") else OTHER_VERSIONS
    if "kernel_version" not in metafunc.fixturenames:
        metafunc.fixturenames.append("kernel_version")
    metafunc.parametrize(
        "kernel_version",
        [None, *others],
        ids=["rfc", *others],
        indirect=True,
        scope="module",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("differs"):
            version, reason = mark.args
            given: dict[str, object] = item.callspec.params
            if given.get("kernel_version") == version and mark.kwargs.items() <= given.items():
                item.add_marker(pytest.mark.skip(reason=f"{version}: {reason}"))


@pytest.fixture(scope="module")
def kernel_version(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The version that every guest of the test has; None is its profile's own."""
    with guests.on_version(request.param):
        yield request.param


@pytest.fixture
def machine() -> Machine:
    """The guest of the cover letter, to do with as one likes."""
    return guests.default_guest()


@pytest.fixture(scope="module")
def untouched() -> Machine:
    """The guest of the cover letter, for tests that only look at it."""
    return guests.default_guest()


@pytest.fixture
def captured() -> Machine:
    """The guest of most captures: 8 CPUs, no monitor pages, nothing counted."""
    return guests.captured_guest("boot-8cpu")
