"""The tests of the same name in model/, on other kernels: see conftest.py."""

from model.test_console import *  # noqa: F403
