"""What can go wrong; each message is a sentence that says what to do."""

from __future__ import annotations

__all__ = [
    "CannotMountError",
    "CannotRunError",
    "FakeprocError",
    "GuestDiedError",
    "RefusedError",
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
