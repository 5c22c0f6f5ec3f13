"""A life that fails, made shorter: the requests without which it fails as well are left out."""

from __future__ import annotations

from contextlib import suppress

from .life import Failure, live

__all__ = ["shortened"]

MOST = 300  # lives that are tried


def shortened(failure: Failure) -> Failure:
    """A failure for the same reason after fewer requests: ever smaller pieces are left out."""
    found, tried = failure, 0
    size = len(found.life.requests) // 2
    while size and tried < MOST:
        at = 0
        while at < len(found.life.requests) and tried < MOST:
            script = found.life.requests[:at] + found.life.requests[at + size :]
            shorter = _fails(failure, script)
            tried += 1
            if shorter is None:
                at += size
            else:
                found = shorter
        size //= 2
    return found


def _fails(failure: Failure, script: list) -> Failure | None:
    life = failure.life
    with suppress(AssertionError):
        try:
            live(life.guest, life.seed, len(script), script)
        except Failure as other:
            if other.why.split(":")[:2] == failure.why.split(":")[:2]:
                return other
    return None
