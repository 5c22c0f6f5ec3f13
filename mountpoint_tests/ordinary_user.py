"""Root's way to be an ordinary user, for whom a mount needs fusermount3."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["USER", "as_ordinary_user"]

USER = 65534

# In mounts of one's own: with a device of the given mode, and let in where root keeps
# Python to itself.
BECOME_A_USER = """\
mode=$1 hidden=$2 needed=$3; shift 3
node=$(mktemp -u /tmp/fuse.XXXXXX)
mknod -m "$mode" "$node" c 10 229
mount --bind "$node" /dev/fuse
rm "$node"
if [ "$hidden" ]; then
    aside=$(mktemp -d /tmp/aside.XXXXXX)
    mount --bind "$needed" "$aside"
    mount -t tmpfs -o mode=755 tmpfs "$hidden"
    mkdir -p "$needed"
    mount --move "$aside" "$needed"
    rmdir "$aside"
fi
exec "$@"
"""


def as_ordinary_user(device: int = 0o666) -> tuple[str, ...]:
    """The prefix that makes root's command an ordinary user's."""
    python = os.path.realpath(sys.base_prefix)
    become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    script = ["sh", "-euc", BECOME_A_USER, "sh", f"{device:o}", hidden_above(python), python]
    return ("unshare", "--mount", *script, *become)


def hidden_above(path: str) -> str:
    """The directory on the way to this one that is for its owner only; or nothing."""
    above = [path, *map(str, Path(path).parents)]
    return next((name for name in reversed(above) if not os.stat(name).st_mode & 0o001), "")
