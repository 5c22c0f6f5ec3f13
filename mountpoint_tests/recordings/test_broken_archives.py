"""Archives that are broken or meant to harm are refused with one sentence."""

from __future__ import annotations

import gzip
import io
import random
import tarfile

import pytest

from fakeproc.profiles import Profile, ProfileError, imported
from recordings.machines import FILES, as_archive


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def refused(path):
    with pytest.raises(ProfileError) as error:
        imported([path])
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
    return str(error.value)


@pytest.mark.parametrize(
    ("info", "why"),
    [
        (member("machine/proc/a", tarfile.CHRTYPE), "neither a file nor a directory"),
        (member("machine/proc/a", tarfile.FIFOTYPE), "neither a file nor a directory"),
        (member("machine/proc/a", tarfile.LNKTYPE, "machine/proc/b"), "neither a file"),
        (member("machine/proc/a", tarfile.SYMTYPE, "/etc/passwd"), "a link that leads out"),
        (member("machine/proc/a", tarfile.SYMTYPE, "../../../x"), "a link that leads out"),
        (member("/proc/a"), "no path inside"),
        (member("machine/proc/../../../a"), "no path inside"),
        (member("machine/proc/" + "a" * 4000), "a path of more than 1024 characters"),
        (member("machine/proc/" + "a/" * 100 + "b"), "48 directories"),
        (member("other/proc/cpuinfo"), "several machines"),
    ],
)  # fmt: skip
def test_a_member_that_no_machine_has(tmp_path, info, why):
    assert why in refused(as_archive(FILES, tmp_path / "x.tar.gz", [info]))
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar.gz"]


def test_an_archive_that_is_cut_short(tmp_path):
    whole = as_archive(FILES, tmp_path / "whole.tar").read_bytes()
    for length in (513, 1024, 5000, len(whole) // 1024 * 512):
        cut = tmp_path / "cut.tar"
        cut.write_bytes(whole[:length].rstrip(b"\0"))
        refused(cut)


def test_a_bomb_of_zeros(tmp_path):
    bomb = tmp_path / "bomb.tar.gz"
    with gzip.open(bomb, "wb", 1) as file:
        file.write(member("machine/proc/interrupts", size=1 << 40).tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(1 << 20))
    assert "larger than 64 MiB" in refused(bomb)


def test_a_hundred_mutations_are_read_or_refused(tmp_path):
    whole = gzip.decompress(as_archive(FILES, tmp_path / "whole.tar.gz").read_bytes())
    chance, outcomes, sentences = random.Random(14), set(), []
    for number in range(100):
        broken = bytearray(whole)
        for _ in range(chance.randrange(1, 12)):
            broken[chance.randrange(len(FILES) * 1024)] = chance.randrange(256)
        path = tmp_path / "mutated.tar.gz"
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0) as file:
            file.write(broken)
        packed = bytearray(buffer.getvalue())
        if number % 3 == 0:
            packed[chance.randrange(len(packed))] ^= 1 << chance.randrange(8)
        path.write_bytes(packed)
        try:
            outcomes.add(type(imported([path])[0]))
        except ProfileError as error:
            outcomes.add(ProfileError)
            sentences.append(str(error))
    assert not [sentence for sentence in sentences if "\n" in sentence]
    assert outcomes == {Profile, ProfileError}
