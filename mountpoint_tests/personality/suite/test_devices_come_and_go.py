"""The tests of the same name in model/, on other kernels: see conftest.py."""

from model.test_devices_come_and_go import *  # noqa: F403
