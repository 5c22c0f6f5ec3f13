"""Ring buffers: `struct hv_ring_buffer_info` and `hv_ringbuffer_get_debuginfo`."""

from __future__ import annotations

from dataclasses import dataclass

from fakeproc.pages import PAGE_SIZE

__all__ = ["Ring"]


@dataclass(slots=True)
class Ring:
    """One direction of a ring buffer: `size` bytes, of which a page is the header.

    Both ends consume what the other writes before the guest's user space can
    look, so the ring is empty whenever somebody reads these numbers: the read
    index equals the write index, and what may be written is all of the data.
    """

    size: int  # bytes
    bytes_through: int = 0  # bytes written, and read, since the channel was opened

    @property
    def data_size(self) -> int:
        """Bytes that hold data."""
        return self.size - PAGE_SIZE

    @property
    def index(self) -> int:
        """Offset in bytes at which both the reader and the writer stand."""
        return self.bytes_through % self.data_size
