"""The tests of the same name in model/, on other kernels: see conftest.py."""

from model.test_faults import *  # noqa: F403
