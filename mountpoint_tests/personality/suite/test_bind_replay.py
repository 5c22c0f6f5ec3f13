"""The tests of the same name in model/, on other kernels: see conftest.py."""

from model.test_bind_replay import *  # noqa: F403
