"""The tests of the same name in model/, on other kernels: see conftest.py."""

from model.test_recorded_writes import *  # noqa: F403
