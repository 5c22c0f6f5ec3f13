"""How much a read(2) of a file of many records gets, as it was recorded."""

import errno
import json
from pathlib import Path

import pytest

from fakeproc.files.proc.interrupts import end_of_interrupts_record
from fakeproc.files.text.records import end_of_line, end_of_paragraph
from fakeproc.vfs.seq_file import SeqFile, bitmap_piece

TEXTS = Path(__file__).resolve().parent.parent / "golden" / "stock" / "texts"
SIZES = json.loads((TEXTS / "read_sizes.json").read_text())
TABLE = "x86-8cpu-2numa-6.1/interrupts-end.txt"
CPUINFO = "x86-8cpu-2numa-6.1/cpuinfo-boot.txt"
LARGE = 65536


def opened(name):
    text = (TEXTS / name).read_bytes()
    file = name.split("/")[1].partition("-")[0]
    if file == "interrupts":
        return text, SeqFile(end_of_interrupts_record)
    if file == "cpuinfo" and name.startswith("x86"):
        return text, SeqFile(end_of_paragraph)
    return text, SeqFile(lambda text, _: len(text))


def reads(text, file, size, offset=0):
    """The sizes of one read after the other, until there is nothing more."""
    sizes = []
    while 0 not in sizes:
        sizes.append(len(file.read(text, size, offset)))
        offset += sizes[-1]
    return sizes


@pytest.mark.parametrize("name", SIZES)
def test_reads_of_64_kib_are_as_short_as_recorded(name):
    assert reads(*opened(name), LARGE) == SIZES[name]


def test_what_was_recorded_has_files_of_one_record_and_of_many():
    assert {len(sizes) for sizes in SIZES.values()} >= {2, 3}
    assert {name.split("/")[1].split("-")[0] for name in SIZES} == {"cpuinfo", "interrupts", "stat"}


@pytest.mark.parametrize("name", [TABLE, CPUINFO])
@pytest.mark.parametrize("size", [1, 2, 7, 100, 1024, 4095, 4096, 4097, 1 << 20])
def test_pieces_of_any_size_make_the_text(name, size):
    text, file = opened(name)
    found = b""
    while piece := file.read(text, size, len(found)):
        assert len(piece) <= size
        found += piece
    assert found == text


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1024, [1024] * 6 + [712, 0]),
        (4095, [4004, 2852, 0]),
        (4096, [4004, 2852, 0]),
        (4097, [4004, 2852, 0]),
    ],
)
def test_reads_of_smaller_sizes_are_as_recorded(size, expected):
    assert reads(*opened(TABLE), size) == expected


@pytest.mark.parametrize(("name", "expected"), [(TABLE, 4257), (CPUINFO, 4787)])
def test_a_read_from_within_a_record_gets_its_rest_and_a_buffer_more(name, expected):
    """As recorded: a pread(2) at 1 returns more than one at 0."""
    text, file = opened(name)
    assert file.read(text, LARGE, 1) == text[1 : 1 + expected]


@pytest.mark.parametrize("offset", [0, 1, 4004, 4005, 6855, 6856, 6857, 10**6])
def test_a_read_anywhere_gets_what_is_there(offset):
    text, file = opened(TABLE)
    for before in (0, 4096, 6000):
        file.read(text, 50, before)
        assert file.read(text, 50, offset) == text[offset : offset + 50]


def test_each_read_ends_with_a_whole_record():
    text, file = opened(TABLE)
    at = 0
    while piece := file.read(text, LARGE, at):
        assert piece.endswith(b"\n")
        at += len(piece)


def test_the_buffer_grows_for_a_record_that_does_not_fit_and_stays_so():
    text = b"%s\n%s\n" % (b"a" * 5000, b"b" * 5000) + b"c\n" * 100
    assert reads(text, SeqFile(end_of_line), LARGE) == [5001, 5201, 0]
    exactly = b"%s\n" % (b"a" * 4095) + b"b\n"  # a full buffer has overflowed
    assert reads(exactly, SeqFile(end_of_line), LARGE) == [4098, 0]
    less = b"%s\n" % (b"a" * 4094) + b"b\n"
    assert reads(less, SeqFile(end_of_line), LARGE) == [4095, 2, 0]


def test_the_rows_of_the_architecture_are_one_record():
    text, _ = opened(TABLE)
    nmi = text.index(b"NMI:")
    assert end_of_interrupts_record(text, text.rindex(b"\n", 0, nmi) + 1) == len(text)
    header = end_of_interrupts_record(text, 0)
    assert text[:header].count(b"\n") == 2  # with IRQ 0
    assert end_of_interrupts_record(b"      CPU0\n  1: 5\n", 0) == len(b"      CPU0\n")


# The binary files of masks, as recorded on topology/core_cpus: "03\n", 4096 bytes long.


@pytest.mark.parametrize(
    ("size", "offset", "expected"),
    [
        (1, 0, b""),
        (2, 0, b"0"),
        (3, 0, b"03"),
        (4, 0, b"03\n"),
        (4096, 0, b"03\n"),
        (LARGE, 0, b"03\n"),
        (LARGE, 1, b"3\n"),
        (LARGE, 2, b"\n"),
        (LARGE, 3, b""),
        (LARGE, 4096, b""),
        (LARGE, 1 << 40, b""),
    ],
)
def test_a_mask_that_is_read_in_pieces_loses_the_last_byte_of_each(size, offset, expected):
    assert bitmap_piece(b"03\n", size, offset, 4096) == expected


@pytest.mark.parametrize("offset", [4, 5, 4095])
def test_a_mask_beyond_its_end_cannot_be_read(offset):
    with pytest.raises(PermissionError) as refused:
        bitmap_piece(b"03\n", 100, offset, 4096)
    assert refused.value.errno == errno.EPERM


def test_a_long_list_comes_in_pages_less_a_byte():
    text = b"1," * 3000 + b"\n"
    first = bitmap_piece(text, LARGE, 0, 28672)
    assert len(first) == 4095
    assert first + bitmap_piece(text, LARGE, 4095, 28672) == text
