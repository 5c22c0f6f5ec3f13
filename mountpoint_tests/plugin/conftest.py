"""Projects that use the plugin: each a directory of its own, and a pytest of its own."""

from __future__ import annotations

import pytest
from programs import FEW_PLUGINS

__all__: list[str] = []


@pytest.fixture
def project(_fuse: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """A project in which every warning is an error."""
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider --strict-markers -W error\n")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    for name, value in FEW_PLUGINS.items():
        monkeypatch.setenv(name, value)
    return pytester
