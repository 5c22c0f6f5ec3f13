"""What can go wrong; each message is a sentence that says what to do."""

from __future__ import annotations

__all__ = [
    "CannotMountError",
    "CannotRunError",
    "FakeprocError",
    "GuestDiedError",
    "RefusedError",
    "ScenarioError",
    "ScenarioFailedError",
]


class FakeprocError(Exception):
    """Something of fakeproc has gone wrong, or was used wrongly."""


class CannotMountError(FakeprocError):
    """No guest can be mounted on this system; the message says what is missing."""


class CannotRunError(FakeprocError):
    """No program can be shown the guest at the real paths on this system."""


class GuestDiedError(FakeprocError):
    """The process that serves the guest has ended; the message has its last words."""


class RefusedError(FakeprocError, ValueError):
    """The host console refuses a command; the message says which word is wrong."""


class ScenarioError(FakeprocError, ValueError):
    """A scenario that cannot be played on this guest; the message names the file, line and key."""


class ScenarioFailedError(FakeprocError, AssertionError):
    """Something was not as the scenario expects; the message has the step and what came instead."""
