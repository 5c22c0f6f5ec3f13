"""The tests of the same name in model/, on other kernels: see conftest.py."""

from model.test_boot_state import *  # noqa: F403
