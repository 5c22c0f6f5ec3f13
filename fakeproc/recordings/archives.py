"""Tar archives of any compression, read in memory: nothing of them is ever written to a disk.

What an archive of a machine has no reason to hold is refused: devices, links
that lead out, hard links, paths upwards, and more bytes than a machine tells.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import tarfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from fakeproc.recordings.tree import MAX_FILE, Recording, RecordingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["BROKEN", "is_compressed", "opened", "read_archive"]

_MAX_UNPACKED = 1 << 30  # bytes read of one archive, what is skipped included
_BLOCK = 512  # bytes of a tar archive's records

_MAGIC: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),  # type: ignore[dict-item,return-value]
    b"BZh": bz2.BZ2File,  # type: ignore[dict-item]
    b"\xfd7zXZ\0": lzma.LZMAFile,  # type: ignore[dict-item]
}
_ZSTD = b"\x28\xb5\x2f\xfd"

# What damaged archives make the standard library raise.
BROKEN = (
    tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError, OverflowError,
)  # fmt: skip


class _Bounded(io.RawIOBase):
    """A stream that refuses to be read further than a machine can have to tell."""

    def __init__(self, inner: BinaryIO, origin: str) -> None:
        self._inner, self._origin = inner, origin
        self.last = b""  # what was read last

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        self._check(self._inner.tell() + max(size, 0))
        self.last = self._inner.read(min(size, _MAX_UNPACKED) if size >= 0 else _MAX_UNPACKED)
        return self.last

    def seek(self, position: int, whence: int = 0, /) -> int:
        self._check(position)
        return self._inner.seek(position, whence)

    def tell(self) -> int:
        return self._inner.tell()

    def _check(self, position: int) -> None:
        if position > _MAX_UNPACKED:
            raise RecordingError(
                f"{self._origin}: more than {_MAX_UNPACKED >> 20} MiB when it is unpacked"
            )


def is_compressed(beginning: bytes) -> bool:
    """Whether a file that begins so is compressed in a way that can be read."""
    return beginning.startswith((*_MAGIC, _ZSTD))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file, uncompressed while it is read.  Raises OSError, RecordingError."""
    with path.open("rb") as file:
        beginning = file.read(8)
        file.seek(0)
        if beginning.startswith(_ZSTD):
            yield _unpacked_zstd(path)
            return
        for magic, unpack in _MAGIC.items():
            if beginning.startswith(magic):
                with unpack(file) as unpacked:
                    yield unpacked
                return
        yield file


def _unpacked_zstd(path: Path) -> BinaryIO:
    program = shutil.which("zstd")
    if program is None:
        raise RecordingError(f"{path}: compressed with zstd: install the program zstd")
    with subprocess.Popen(  # noqa: S603
        [program, "-dcq", "--", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None  # noqa: S101
        data = process.stdout.read(MAX_FILE * 4 + 1)
        process.stdout.close()
    if process.returncode:
        raise RecordingError(f"{path}: damaged, or more than {MAX_FILE * 4 >> 20} MiB with zstd")
    return io.BytesIO(data)


def read_archive(path: Path, wanted: Callable[[str], bool]) -> Recording:
    """The members whose path is `wanted`.  Raises RecordingError, and OSError of opening it."""
    origin = str(path)
    found = Recording(origin)
    member = ""
    with opened(path) as file:
        stream = _Bounded(file, origin)
        try:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                for info in archive:
                    member = info.name
                    _add(found, archive, info, wanted)
        except RecordingError:
            raise
        except BROKEN as error:
            where = f"{origin}: {member[:80]!r}" if member else origin
            raise RecordingError(f"{where}: not a whole tar archive ({error})") from error
    if stream.last.strip(b"\0") or len(stream.last) < _BLOCK:
        raise RecordingError(f"{origin}: cut short behind {member[:80]!r}")
    return found


def _add(
    found: Recording, archive: tarfile.TarFile, info: tarfile.TarInfo, wanted: Callable[[str], bool]
) -> None:
    path = info.name.removeprefix("./").rstrip("/")
    if path in {"", "."}:
        return
    if info.name.startswith("/") or ".." in path.split("/"):
        raise RecordingError(f"{found.origin}: {path[:80]!r}: no path inside a recording")
    if info.isdir():
        if wanted(path):
            found.add_directory(path)
    elif info.issym():
        if wanted(path):
            found.add_link(path, info.linkname)
    elif not info.isreg():
        raise RecordingError(
            f"{found.origin}: {path[:80]!r}: neither a file nor a directory nor a symbolic link"
        )
    elif info.size > MAX_FILE:
        raise RecordingError(f"{found.origin}: {path[:80]!r}: larger than {MAX_FILE >> 20} MiB")
    elif wanted(path):
        content = archive.extractfile(info)
        data = b"" if content is None else content.read()
        if len(data) != info.size:
            raise RecordingError(f"{found.origin}: cut short within {path[:80]!r}")
        found.add_file(path, data)
