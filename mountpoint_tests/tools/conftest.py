"""Real tools, with the guest's files at the real paths: windows by `fakeproc run --mount`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from programs import SEARCH, program
from run.runs import Runs, runs_of
from warm import WarmOf


@pytest.fixture(scope="session")
def window(cli) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a tool inside a guest."""

    def run(
        guest, *command: object, timeout: float = 60, **more: str
    ) -> subprocess.CompletedProcess[str]:
        program(str(command[0]))
        plain = {"LC_ALL": "C", "S_TIME_FORMAT": "ISO", "PATH": SEARCH, "COLUMNS": "200"}
        return cli.warm.run(
            ["run", "--mount", guest.root, "--", *command],
            cli.environment | plain | more,
            timeout=timeout,
        )

    return run


@pytest.fixture(scope="session")
def inside(window) -> Callable[..., str]:
    """Run a tool inside a guest, and return what it prints on standard output.

    It must be content, or, where `fails` says so, not.
    """

    def run(guest, *command: object, fails: bool = False, **more: object) -> str:
        done = window(guest, *command, **more)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def looked_at(_fuse: None, cli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The default guest at a moment that does not pass, for tools that only look."""
    with cli.mounted(tmp_path_factory.mktemp("still") / "m", "--clock", "manual") as guest:
        yield guest


@pytest.fixture(scope="session")
def two_packages(cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile: the default guest with its 8 CPUs in two packages and nodes."""
    text = cli("profiles", "show", "hyperv-gen2").stdout
    file = tmp_path_factory.mktemp("profiles") / "two-packages.toml"
    file.write_text(
        text.replace("\npackages = 1\n", "\npackages = 2\n").replace("\nnodes = 1", "\nnodes = 2")
    )
    return file


@pytest.fixture
def run(_fuse: None, warm_of: WarmOf) -> Iterator[Runs]:
    """`fakeproc run` with guests of its own."""
    with runs_of("root", warm_of("root")) as runs:
        yield runs


@pytest.fixture(params=["root", "user"])
def any_run(_fuse: None, request: pytest.FixtureRequest, warm_of: WarmOf) -> Iterator[Runs]:
    """The same for root, and for an ordinary user."""
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("the tests are not run as root")
    with runs_of(request.param, warm_of(request.param)) as runs:
        yield runs
