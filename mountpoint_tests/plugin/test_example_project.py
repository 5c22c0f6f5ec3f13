"""A project of its own, `example_project`: its tests find the bug that it has."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY
from programs import FEW_PLUGINS

PROJECT = REPOSITORY / "mountpoint_tests/example_project"
TOO_MANY = {
    "test_spread_irqs.py::test_every_queue_gets_a_cpu_of_its_own[40]",
    "test_spread_irqs.py::test_the_same_without_a_mount[40]",
}


def results_of(
    python: Path | str, project: Path, tool: str, plugins: dict[str, str] | None = None
) -> tuple[set[str], str]:
    """The tests that fail, and all that pytest says; `plugins`: which it loads, if not all."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= plugins or {}
    done = subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", "-rf", "--fakeproc-required"],
        cwd=project,
        env=environment | {"TOOL": tool},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    assert done.returncode == bool(failed), done.stdout + done.stderr
    return {line.split()[1] for line in failed}, done.stdout


@pytest.fixture
def project(_fuse: None, tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT, tmp_path / "project"))


def test_its_tests_find_the_bug(project) -> None:
    failed, said = results_of(sys.executable, project, "spread_irqs.py", FEW_PLUGINS)
    assert failed == TOO_MANY
    assert (
        "write of '800000000' to /proc/irq/42/smp_affinity refused: "
        "more than 8 digits in a group (EOVERFLOW)" in said
    )
    assert "write\t/proc/irq/42/smp_affinity\tEOVERFLOW\t800000000" in said


def test_its_tests_pass_without_the_bug(project) -> None:
    assert results_of(sys.executable, project, "spread_irqs_fixed.py", FEW_PLUGINS)[0] == set()


def test_it_needs_thirty_lines() -> None:
    for name in ("spread_irqs.py", "spread_irqs_fixed.py"):
        lines = (PROJECT / name).read_text().splitlines()
        assert len([line for line in lines if line.strip()]) <= 30


def test_in_a_fresh_environment(project, tmp_path) -> None:
    """As the tutorial has it: an environment, `pip install`, `pytest`."""
    checkout = tmp_path / "checkout"  # a build leaves traces where it is made
    checkout.mkdir()
    shutil.copytree(REPOSITORY / "fakeproc", checkout / "fakeproc")
    shutil.copytree(REPOSITORY / "man", checkout / "man")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, checkout)
    fresh = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", fresh], check=True)
    python = fresh / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "--no-compile"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    needed = setup["options"]["install_requires"].split("\n")
    done = subprocess.run(
        [*install, "pytest", "setuptools>=64", *filter(None, needed)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"pip cannot install what fakeproc needs: {done.stderr.strip()[-300:]}")
    subprocess.run(
        [*install, "--no-deps", "--no-build-isolation", checkout], env=environment, check=True
    )
    assert results_of(python, project, "spread_irqs.py")[0] == TOO_MANY
    assert results_of(python, project, "spread_irqs_fixed.py")[0] == set()
