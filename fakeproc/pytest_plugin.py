"""pytest plugin: guests as fixtures.

    @pytest.mark.fakeproc(profile="hyperv-2socket", cpus=40, kernel="6.12")
    def test_irqbalance_is_content(fakeproc_guest):
        fakeproc_guest.run(["irqbalance", "--oneshot"], check=True)

A list in the marker runs the test once for each: `kernel=["rfc", "6.12"]`.
When a test fails, its report has the guest's log, the record of accesses, and
in what the guest differs from what it was when the test began.

pytest loads this in every run, so it imports nothing of fakeproc until a test
asks for a guest.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fakeproc.api.console import Console
    from fakeproc.api.guest import Guest
    from fakeproc.api.machine import Machine
    from fakeproc.api.state import State

__all__ = ["fakeproc_guest", "fakeproc_machine", "fakeproc_session_guest"]

_KEYS = ("profile", "kernel", "cpus", "clock", "seed", "sizes")
_SESSION_GUEST = "fakeproc_session_guest"
_FIXTURES = {"fakeproc_guest", "fakeproc_machine", _SESSION_GUEST}
_NO_ID: Any = getattr(pytest, "HIDDEN_PARAM", "guest")  # pytest 8.4 is the first to have it
_LONGEST_NAME = 200  # characters of a file's name
_LINES = 200  # of each section of a report; the last are the interesting ones

_MARKER = (
    "fakeproc(profile=..., kernel=..., cpus=..., clock=..., seed=..., sizes=...): which guest the "
    "fixtures of fakeproc give this test; a list of values runs it once for each"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--fakeproc-required`."""
    parser.getgroup("fakeproc").addoption(
        "--fakeproc-required",
        action="store_true",
        help="fail, instead of skipping, tests that need a mounted guest where none can be mounted",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line("markers", _MARKER)


# -- Which guest ---------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test with a marker the guests that it names."""
    wanted = _FIXTURES & set(metafunc.fixturenames)
    values = _marked(metafunc.definition)
    if not wanted or not values:
        return
    lists = {
        key: list(value) if isinstance(value, list | tuple) else [value]
        for key, value in values.items()
    }
    choices = [dict(zip(lists, choice, strict=True)) for choice in product(*lists.values())]
    several = [key for key, value in lists.items() if len(value) > 1]
    metafunc.parametrize(
        "_fakeproc_choice",
        choices,
        indirect=True,
        ids=["-".join(str(choice[key]) for key in several) or _NO_ID for choice in choices],
        # Tests are put into another order only where that saves mounting.
        scope="session" if _SESSION_GUEST in wanted else "function",
    )


def _marked(node: pytest.Item | pytest.Function) -> dict[str, Any]:
    """What the markers of a test say, the closest first heard."""
    values: dict[str, Any] = {}
    for mark in node.iter_markers("fakeproc"):
        _check_mark(mark)
        values = {**mark.kwargs, **values}
    return {key: values[key] for key in _KEYS if key in values}


def _check_mark(mark: pytest.Mark) -> None:
    unknown = [key for key in mark.kwargs if key not in _KEYS]
    if mark.args or unknown:
        what = repr(mark.args[0]) if mark.args else unknown[0]
        pytest.fail(f"the marker fakeproc does not take {what}; it is: {_MARKER}", pytrace=False)


@pytest.fixture(scope="session")
def _fakeproc_choice(request: pytest.FixtureRequest) -> dict[str, Any]:
    choice: dict[str, Any] = getattr(request, "param", {})
    return choice


def _choice_of(request: pytest.FixtureRequest, given: dict[str, Any]) -> dict[str, Any]:
    """The guest that is meant, also where a test requests the fixture by `getfixturevalue`."""
    choice = _marked(request.node) | given
    for key, value in choice.items():
        if isinstance(value, list | tuple):
            pytest.fail(
                f"the marker fakeproc has several values for {key}: name the guest's fixture as a "
                "parameter of the test, or of one of its fixtures",
                pytrace=False,
            )
    return choice


# -- What is watched for the report --------------------------------------------------


@dataclass
class _Watched:
    """A guest of a test, and its state when the test began."""

    name: str
    console: Console
    before: State
    log_lines: int  # of the guest's log until then: its boot


@dataclass
class _SessionGuests:
    """The guests that several tests look at, by the values of the marker."""

    guests: dict[tuple[tuple[str, Any], ...], Guest] = field(default_factory=dict)


_WATCHED = pytest.StashKey[list[_Watched]]()
_SESSION_GUESTS = pytest.StashKey[_SessionGuests]()
_JOURNALS = pytest.StashKey[Path]()


def _watch(item: pytest.Item, name: str, console: Console) -> _Watched:
    console.record()
    watched = _Watched(name, console, console.state(), len(console.log().splitlines()))
    item.stash.setdefault(_WATCHED, []).append(watched)
    return watched


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that is run once more begins anew."""
    item.stash[_WATCHED] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell of the guests of a test that has failed."""
    report = yield
    if report.failed:
        for watched in item.stash.get(_WATCHED, []):
            report.sections += _sections(watched)
            report.sections.append(_journal(item, watched))
    return report


def _sections(watched: _Watched) -> Iterator[tuple[str, str]]:
    console, name = watched.console, watched.name
    sections: tuple[tuple[str, Callable[[], str]], ...] = (
        ("log of the guest since the test began", lambda: _log(watched)),
        ("accesses (time, pid, command, operation, path, result, data)", _accesses_of(console)),
        ("what is different since the test began", lambda: _difference(watched)),
    )
    for title, text in sections:
        try:
            lines = text().splitlines()
        except Exception as error:  # noqa: BLE001 - a dead guest is not to hide why the test failed
            lines = [f"cannot be had: {error}"]
        left_out = [f"… ({len(lines) - _LINES} lines before)"] if len(lines) > _LINES else []
        yield f"{name}: {title}", "\n".join([*left_out, *lines[-_LINES:]]) or "nothing"


def _journal(item: pytest.Item, watched: _Watched) -> tuple[str, str]:
    """The guest's journal, kept in a file: what to do with it."""
    title = f"{watched.name}: journal"
    name = re.sub(r"[^\w.-]+", "-", f"{item.nodeid}-{watched.name}")[-_LONGEST_NAME:]
    cache = item.config.stash.get(_JOURNALS, None)
    if cache is None:
        pytest_cache = getattr(item.config, "cache", None)  # none with -p no:cacheprovider
        kept = (
            pytest_cache.mkdir("fakeproc")
            if pytest_cache
            else Path(tempfile.mkdtemp(prefix="fakeproc-journals-"))
        )
        cache = item.config.stash[_JOURNALS] = kept
    path = cache / f"{name}.journal"
    try:
        path.write_text(watched.console.journal())
    except Exception as error:  # noqa: BLE001 - a dead guest is not to hide why the test failed
        return title, f"cannot be had: {error}"
    return title, (
        f"all that was done to the guest is in {path}\n"
        f"play it again: fakeproc replay {shlex.quote(str(path))}\n"
        f"mount the guest as it is now: fakeproc mount --journal {shlex.quote(str(path))} DIRECTORY"
    )


def _log(watched: _Watched) -> str:
    return "\n".join(watched.console.log().splitlines()[watched.log_lines :])


def _accesses_of(console: Console) -> Callable[[], str]:
    return lambda: str(console.accesses())


def _difference(watched: _Watched) -> str:
    return "\n".join(watched.console.state().difference(watched.before))


# -- Fixtures ------------------------------------------------------------------------


@pytest.fixture
def fakeproc_machine(request: pytest.FixtureRequest, _fakeproc_choice: dict[str, Any]) -> Machine:
    """A guest in this process, without a mount: see `fakeproc.Machine`."""
    from fakeproc.api.machine import Machine  # noqa: PLC0415

    choice = _choice_of(request, _fakeproc_choice)
    choice.pop("sizes", None)  # its files are read to the end, and have no size
    machine = Machine(**choice)
    _watch(request.node, "fakeproc_machine", machine)
    return machine


@pytest.fixture
def fakeproc_guest(
    request: pytest.FixtureRequest, _fakeproc_choice: dict[str, Any]
) -> Iterator[Guest]:
    """A guest of the test's own, mounted: see `fakeproc.Guest`.  Its clock is manual."""
    guest = _mounted(request.config, _choice_of(request, _fakeproc_choice))
    try:
        _watch(request.node, "fakeproc_guest", guest)
        yield guest
        _check_well(guest)
    finally:
        guest.close()


@pytest.fixture(scope="session")
def fakeproc_session_guest(
    request: pytest.FixtureRequest, _fakeproc_choice: dict[str, Any]
) -> Guest:
    """A mounted guest that all tests look at, and none changes; its clock is manual.

    A test that leaves it different from what it was is an error.
    """
    known = request.config.stash.setdefault(_SESSION_GUESTS, _SessionGuests())
    key = tuple(sorted(_fakeproc_choice.items()))
    guest = known.guests.get(key)
    if guest is None or not guest.is_open:
        guest = known.guests[key] = _mounted(request.config, _fakeproc_choice)
    return guest


def pytest_itemcollected(item: pytest.Item) -> None:
    """Watch the session's guest for as long as a test and its other fixtures last."""
    names = getattr(item, "fixturenames", [])
    if _SESSION_GUEST in names:
        names.insert(0, _fakeproc_session_guest_is_left_alone.__name__)


@pytest.fixture
def _fakeproc_session_guest_is_left_alone(
    request: pytest.FixtureRequest, fakeproc_session_guest: Guest, _fakeproc_choice: dict[str, Any]
) -> Iterator[None]:
    guest = fakeproc_session_guest
    watched = _watch(request.node, _SESSION_GUEST, guest)
    yield
    _check_well(guest)
    if _fakeproc_choice.get("clock") == "real":
        return  # it changes by itself
    difference = guest.state().difference(watched.before)
    if difference:
        guest.close()
        guest.open()  # for the next test it is again as it was
        pytest.fail(
            "this test has changed fakeproc_session_guest, which is there to be looked at: "
            "use fakeproc_guest in it\n" + "\n".join(difference[:20]),
            pytrace=False,
        )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Unmount what the session had mounted."""
    known = config.stash.get(_SESSION_GUESTS, None)
    for guest in known.guests.values() if known is not None else ():
        guest.close()


def _mounted(config: pytest.Config, choice: dict[str, Any]) -> Guest:
    """A guest, or a skip that says what is missing."""
    from fakeproc.api.errors import CannotMountError  # noqa: PLC0415
    from fakeproc.api.guest import Guest  # noqa: PLC0415

    try:
        return Guest(**choice).open()
    except CannotMountError as error:
        sentence = f"fakeproc cannot mount a guest here: {error}"
    if config.getoption("fakeproc_required"):
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def _check_well(guest: Guest) -> None:
    """Fail where fakeproc itself made a mistake, whatever the test has seen of it."""
    try:
        log = guest.daemon_log()
    except FileNotFoundError:  # it has ended; `close` says so
        return
    if re.search(r"Traceback| (WARNING|ERROR|CRITICAL) ", log):
        pytest.fail(f"fakeproc has made a mistake; its log:\n{log}", pytrace=False)
