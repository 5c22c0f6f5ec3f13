"""Owner, group and other, and the capabilities above them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from fakeproc.vfs.permissions import Caller, Capability, Inode, permitted

R, W, X = os.R_OK, os.W_OK, os.X_OK

OWNER, GROUP, OTHER = 1000, 1000, 2000
OURS, THEIRS = "0 0 4294967295\n", "0 1000 1\n"


def process(
    proc: Path, pid: int, groups: tuple[int, ...], capabilities: int, uid_map: str = OURS
) -> None:
    """A process, as /proc shows it."""
    (proc / str(pid)).mkdir(parents=True)
    status = f"Name:\tcat\nGroups:\t{' '.join(map(str, groups))} \nCapEff:\t{capabilities:016x}\n"
    (proc / str(pid) / "status").write_text(status)
    (proc / str(pid) / "uid_map").write_text(uid_map)


@pytest.fixture
def proc(tmp_path) -> Path:
    process(tmp_path, 1, (), 0)
    (tmp_path / "self").symlink_to("1")
    return tmp_path


def inode(mode: int, kind: int = stat.S_IFREG) -> Inode:
    return Inode(kind | mode, OWNER, GROUP)


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "allowed"),
    [
        (0o644, OWNER, OTHER, {R, W, R | W}),
        (0o644, OTHER, GROUP, {R}),
        (0o644, OTHER, OTHER, {R}),
        (0o444, OWNER, GROUP, {R}),
        (0o200, OWNER, GROUP, {W}),
        (0o200, OTHER, OTHER, set()),
        (0o664, OTHER, GROUP, {R, W, R | W}),
        (0o664, OTHER, OTHER, {R}),
        (0o044, OWNER, GROUP, set()),  # the owner's bits count, and no others
        (0o604, OTHER, GROUP, set()),
    ],
)
def test_bits(proc, mode, uid, gid, allowed) -> None:
    caller = Caller(uid, gid, 1, proc)
    assert {
        wanted for wanted in (R, W, R | W, X) if permitted(inode(mode), caller, wanted)
    } == allowed
    assert permitted(inode(mode), caller, os.F_OK)


def test_supplementary_groups(proc) -> None:
    process(proc, 2, (7, GROUP), 0)
    assert permitted(inode(0o664), Caller(OTHER, OTHER, 2, proc), W)
    assert not permitted(inode(0o604), Caller(OTHER, OTHER, 2, proc), R)


def test_capabilities(proc) -> None:
    process(proc, 2, (), Capability.DAC_OVERRIDE)
    process(proc, 3, (), Capability.DAC_READ_SEARCH)
    override, search = Caller(0, 0, 2, proc), Caller(0, 0, 3, proc)
    file, directory = inode(0), inode(0, stat.S_IFDIR)
    assert all(permitted(file, override, wanted) for wanted in (R, W, R | W))
    assert not permitted(file, override, X)  # nobody may execute what has no bit for it
    assert permitted(inode(0o100), override, X)
    assert all(permitted(directory, override, wanted) for wanted in (R, W, X, R | W | X))
    assert permitted(file, search, R)
    assert not permitted(file, search, W)
    assert permitted(directory, search, X)
    assert not permitted(directory, search, W)


def test_capabilities_of_another_user_namespace_do_not_count(proc) -> None:
    process(proc, 2, (), Capability.DAC_OVERRIDE, THEIRS)
    assert not permitted(inode(0), Caller(0, 0, 2, proc), R)


def test_a_process_that_cannot_be_seen_has_no_more_than_the_bits(proc) -> None:
    for pid in (0, 4711):
        caller = Caller(0, 0, pid, proc)
        assert permitted(inode(0o644), caller, R)
        assert not permitted(inode(0o644), caller, W)


def test_nothing_is_looked_up_when_the_bits_decide(tmp_path) -> None:
    nowhere = tmp_path / "nowhere"
    assert permitted(inode(0o644), Caller(OWNER, GROUP, 1, nowhere), W)
    assert permitted(inode(0o644), Caller(OTHER, OTHER, 1, nowhere), R)


def test_against_this_very_process() -> None:
    caller = Caller(os.geteuid(), os.getegid(), os.getpid())
    assert all(caller.is_in(gid) for gid in os.getgroups())
    capabilities = next(
        line.split()[1]
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("CapEff:")
    )
    has = bool(int(capabilities, 16) & Capability.DAC_OVERRIDE)
    assert caller.capable(Capability.DAC_OVERRIDE) == has
