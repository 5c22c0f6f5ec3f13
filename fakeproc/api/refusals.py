"""Why the console of a host has refused a command: the guest's log has the sentence."""

from __future__ import annotations

__all__ = ["reason"]


def reason(log: str, path: str) -> str | None:
    """The last reason in the log for which a write to a file was refused, or None."""
    marker = f" to {path} refused: "
    lines = [line for line in log.splitlines() if marker in line]
    return lines[-1].partition(marker)[2].rpartition(" (")[0] if lines else None
