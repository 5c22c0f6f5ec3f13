"""The tests of the same name in model/, on other kernels: see conftest.py."""

from model.test_fire_replay import *  # noqa: F403
