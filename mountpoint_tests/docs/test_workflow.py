"""The workflow runs what a developer runs."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent.parent
WORKFLOW = REPOSITORY / ".github/workflows/test.yml"


def test_every_job_runs_all_tests() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    assert len(jobs) > 1
    for job in jobs.values():
        assert job["steps"][-1] == {"run": "scripts/test"}
        assert job["timeout-minutes"]


def test_a_container_may_mount() -> None:
    options = yaml.safe_load(WORKFLOW.read_text())["jobs"]["container"]["container"]["options"]
    assert "--device /dev/fuse --cap-add SYS_ADMIN" in options


def test_no_host_is_named() -> None:
    assert not re.search(r"https?://|\w\.(org|com|io|net)\b", WORKFLOW.read_text())
