"""The tests of the same name in model/, on other kernels: see conftest.py."""

from model.test_hotplug import *  # noqa: F403
