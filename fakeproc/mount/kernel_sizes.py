"""What the kernel believes the lengths of files to be, and how it is put right.

sendfile(2) and splice(2) (`busybox cat`) read pages, and of these no more than
the length that the kernel last heard.  It hears one at every look-up and
stat(2), takes a page that comes short for the last, a write for longer and
O_TRUNC for 0; at open it asks for none.  So before a file is opened that has
become longer than that, the kernel is made to ask.
"""

from __future__ import annotations

import errno
import logging
import os

from fakeproc.mount.substitute import others_served

__all__ = ["KernelSizes"]

logger = logging.getLogger(__name__)


class KernelSizes:
    """The lengths that the kernel has heard of the files of one mount, in bytes, by path.

    `declared`: what nearly every file is said to be long, so that only the
    others are kept; None where every file has a length of its own.
    """

    def __init__(self, directory: str, declared: int | None) -> None:
        self._directory = os.fsencode(directory)
        self._declared = declared
        self._heard: dict[str, int] = {}
        self._asked_again: set[str] = set()

    def heard(self, path: str, size: int) -> None:
        """The kernel believes in `size` from now on."""
        if size == self._declared:
            self._heard.pop(path, None)
        else:
            self._heard[path] = size

    def grown(self, path: str, size: int) -> None:
        """The kernel has written up to `size`."""
        if size > self._believed(path, size):
            self.heard(path, size)

    def _believed(self, path: str, otherwise: int) -> int:
        return self._heard.get(path, otherwise if self._declared is None else self._declared)

    def is_declared(self, path: str) -> bool:
        """Whether the kernel believes in what nearly every file is said to be long."""
        return self._declared is not None and path not in self._heard

    def check(self, path: str, size: int) -> None:
        """See to it that the kernel believes in `size` bytes at least.

        ESTALE makes it look up the path once more, attributes and all, and then
        open again; no process sees that.  Where a path leads to the file without
        a look-up (a file that is bound over another, a name in /proc/<pid>/fd),
        the second open comes at once, and a stat(2) of our own has it ask.  So it does
        where the file has grown once more since the look-up: a second ESTALE would
        reach the process.
        """
        if self._believed(path, size) >= size:
            self._asked_again.discard(path)
            return
        if path not in self._asked_again:
            self._asked_again.add(path)
            raise OSError(errno.ESTALE, path)
        self._asked_again.remove(path)
        try:
            with others_served():
                os.stat(self._directory + path.encode("latin-1"))  # noqa: PTH116 - bytes
        except OSError as error:
            # Unmounted, or covered: whoever still reads it does so by its old length.
            logger.info("the length of %s cannot be refreshed: %s", path, error)
