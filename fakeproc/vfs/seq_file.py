"""How much one read(2) gets: `fs/seq_file.c`, and the binary files of CPU masks.

A file of many records is read in pieces: whole records, as many as fit the
buffer of the open file, which is a page and grows only for a record that does
not fit.  So a read of 64 KiB may get 4,003 bytes, and a program must go on
until it gets none.  A file of one record (`single_open`, and every text of
sysfs) comes whole.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from fakeproc.pages import PAGE_SIZE

if TYPE_CHECKING:
    from fakeproc.files.tree import EndOfRecord

__all__ = ["SeqFile", "bitmap_piece", "piece"]


class SeqFile:
    """The buffer of one open file of many records: `struct seq_file`.

    The text is one moment's; a real file renders its records one by one.
    """

    def __init__(self, end_of_record: EndOfRecord) -> None:
        self._end = end_of_record
        self._size = PAGE_SIZE  # of the buffer
        self._position = 0  # how far it has been read
        self._filled = 0  # how far records were taken into the buffer

    def read(self, text: bytes, size: int, offset: int) -> bytes:
        """At most `size` bytes from `offset`; none at the end.  Mirrors `seq_read_iter`."""
        if not size:
            return b""
        if not offset:
            self._position = self._filled = 0
        elif offset != self._position:
            self._traverse(text, offset)
        start = self._position
        self._position = min(start + size, self._filled)
        if self._position == self._filled < len(text):
            self._fill(text, start + size - self._filled)
            self._position = min(start + size, self._filled)
        return text[start : self._position]

    def _fill(self, text: bytes, wanted: int) -> None:
        """Take a record into the empty buffer, and more while they fit and are wanted."""
        start = self._filled
        self._filled = self._record(text, start)
        while self._filled < len(text) and self._filled - start < wanted:
            end = self._end(text, self._filled)
            if end - start >= self._size:
                return
            self._filled = end

    def _record(self, text: bytes, start: int) -> int:
        """The end of the record at `start`; the empty buffer grows until it has room for it."""
        end = self._end(text, start)
        while end - start >= self._size:
            self._size *= 2
        return end

    def _traverse(self, text: bytes, offset: int) -> None:
        """Skip to `offset`, and buffer the rest of the record that it is in (`traverse`)."""
        end = 0
        while end < len(text) and end < offset:
            end = self._record(text, end)
        self._position = offset
        self._filled = max(end, offset)


def piece(text: bytes, size: int, offset: int) -> bytes:
    """At most `size` bytes of a text that is one record."""
    return text[offset : offset + size]


def bitmap_piece(text: bytes, size: int, offset: int, file_size: int) -> bytes:
    """A read of a binary file of sysfs with a mask or list of CPUs, `file_size` bytes long.

    Mirrors `sysfs_kf_bin_read` and, in `include/linux/cpumask.h`,
    `cpumap_print_bitmask_to_buf`, which takes the NUL at the end of the text for
    copied whether it was or not: a read that ends before it loses its last byte,
    and one beyond it fails with EPERM.
    """
    size = min(size, PAGE_SIZE, file_size - offset)
    if size <= 0:
        return b""
    copied = min(size, len(text) + 1 - offset)
    if copied <= 0:
        raise OSError(errno.EPERM, "read beyond the end of a mask")
    return text[offset : offset + copied - 1]
