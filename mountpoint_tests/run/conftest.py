"""`fakeproc run` for the tests: `run` is root's, `user_run` an ordinary user's, `any_run` both."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm import WarmOf

from .runs import Runs, runs_of


@pytest.fixture
def run(_fuse: None, warm_of: WarmOf) -> Iterator[Runs]:
    with runs_of("root", warm_of("root")) as runs:
        yield runs


@pytest.fixture
def user_run(_fuse: None, warm_of: WarmOf) -> Iterator[Runs]:
    with runs_of("user", warm_of("user")) as runs:
        yield runs


@pytest.fixture(params=["root", "user"])
def any_run(_fuse: None, request: pytest.FixtureRequest, warm_of: WarmOf) -> Iterator[Runs]:
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("the tests are not run as root")
    with runs_of(request.param, warm_of(request.param)) as runs:
        yield runs


@pytest.fixture
def programs() -> Iterator[Path]:
    """A directory that an ordinary user reaches."""
    with tempfile.TemporaryDirectory(prefix="fakeproc-programs-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)
