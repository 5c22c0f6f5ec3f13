"""The command line where its surroundings are not as they should be: one sentence, nothing left."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CommandLine, mounts_below

FAKEPROC = (sys.executable, "-m", "fakeproc")


@pytest.fixture
def place(tmp_path) -> Path:
    """An empty directory to mount on."""
    place = tmp_path / "m"
    place.mkdir()
    return place


@pytest.fixture
def own(tmp_path, warm):
    """The command line with a registry of this test alone, which it leaves as it was."""
    (tmp_path / "run").mkdir(mode=0o700)
    cli = CommandLine(tmp_path / "run", warm)
    yield cli
    if (tmp_path / "run/fakeproc").is_dir():
        cli("umount", "--all")
    assert mounts_below(tmp_path) == []


def registry_of(cli: CommandLine) -> Path:
    return cli.run_directory / "fakeproc"


def files_of(cli: CommandLine) -> list[str]:
    directory = registry_of(cli)
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def shell(
    cli: CommandLine, script: str, *, prefix: tuple[str, ...] = (), **more
) -> subprocess.CompletedProcess[str]:
    """A script in which `fakeproc` is the command."""
    function = f'fakeproc() {{ {shlex.join(FAKEPROC)} "$@"; }}\n'
    done = subprocess.run(
        [*prefix, "bash", "-c", function + script],
        env=cli.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **more,
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert "internal error" not in done.stderr
    return done


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something comes true, within a time that only a failure needs."""
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def sentences(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What was said on standard error, each a sentence of the command's."""
    lines = done.stderr.splitlines()
    assert all(line.startswith("fakeproc: ") for line in lines), done.stderr
    return [line.removeprefix("fakeproc: ") for line in lines]


# -- A damaged registry ------------------------------------------------------------------

DAMAGED = [
    b"",
    b"{}",
    b"[1]",
    b"null",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"mountpoint": 1, "profile": "x", "process": [1, 2], "log": "/l"}',
    b'{"mountpoint": "/m", "profile": "x", "process": [1], "log": "/l"}',
    b'{"mountpoint": "/m", "profile": "x", "process": [-1, 2], "log": "/l"}',
]


@pytest.mark.parametrize("damage", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_entry_hides_no_other(own, place, damage) -> None:
    assert own("mount", place).returncode == 0
    (registry_of(own) / "foreign.json").write_bytes(damage)
    listed = own("list")
    assert listed.stdout.splitlines()[1].startswith(f"{place}\thyperv-gen2\t")
    file = registry_of(own) / "foreign.json"
    assert sentences(listed) == [
        f"{file} is no entry of a mount: remove it with: rm -r {file}",
    ]
    assert listed.returncode == 1
    assert own("umount", "--all").stdout == f"unmounted {place}\n"
    subprocess.run(["rm", "-r", file], check=True)
    assert own("list").returncode == 0


def test_a_mount_whose_own_entry_is_damaged_is_known_from_the_mount_table(own, place) -> None:
    assert own("mount", place).returncode == 0
    (entry,) = registry_of(own).glob("*.json")
    pid = json.loads(entry.read_text())["process"][0]
    entry.write_text("")
    assert sentences(own("mount", place)) == [
        f"{place} is in use: a fuse.fakeproc is mounted on {place}/proc"
    ]
    assert own("umount", place).returncode == 0
    assert mounts_below(place) == []
    assert files_of(own) == []
    assert eventually(lambda: not Path(f"/proc/{pid}").exists())


def test_an_entry_that_is_a_directory_is_damaged_too(own) -> None:
    own("list")
    (registry_of(own) / "x.json").mkdir()
    assert sentences(own("list"))[0].startswith(f"{registry_of(own)}/x.json is no entry")


# -- A runtime directory that is not ours -------------------------------------------------


def test_a_runtime_directory_that_others_may_write_into_is_refused(own, place) -> None:
    directory = registry_of(own)
    directory.mkdir()
    directory.chmod(0o777)
    said = (
        f"{directory}: this has mode 0777, so that other users may write into it; "
        f"make it yours with: chmod 700 {directory}"
    )
    for arguments in (("mount", place), ("list",), ("umount", place), ("run", "--", "true")):
        done = own(*arguments)
        assert (done.returncode, sentences(done)) == (1, [said])
    directory.chmod(0o700)
    assert own("list").returncode == 0


@pytest.mark.usefixtures("_as_root")
@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_runtime_directory_of_somebody_else_is_a_sentence(own, place, through_a_link) -> None:
    directory = registry_of(own)
    if through_a_link:  # of somebody else, to what is ours
        (own.run_directory / "ours").mkdir(mode=0o700)
        directory.symlink_to("ours")
        os.lchown(directory, 65534, 65534)
    else:
        directory.mkdir(mode=0o700)
        os.chown(directory, 65534, 65534)
    said = (
        f"{directory}: this belongs to another user; "
        "remove it, or set XDG_RUNTIME_DIR to a directory of your own"
    )
    for arguments in (("mount", place), ("list",), ("umount", place), ("run", "--", "true")):
        done = own(*arguments)
        assert (done.returncode, sentences(done)) == (1, [said])
    os.lchown(directory, 0, 0)


def test_a_runtime_directory_that_is_a_file_is_a_sentence(own) -> None:
    registry_of(own).touch()
    done = own("list")
    assert (done.returncode, sentences(done)) == (
        1,
        [
            f"{registry_of(own)}: this is not a directory; "
            "remove it, or set XDG_RUNTIME_DIR to a directory of your own"
        ],
    )


# What is left of a full file system: pages, inodes, and what must come of a mount and a run in it.
ROOM = [(0, 9, "1 1"), (1, 9, ""), (2, 9, ""), (3, 9, ""), (16, 9, "0 0")] + [
    (16, inodes, "") for inodes in range(1, 9)
]


@pytest.mark.usefixtures("_as_root")
@pytest.mark.parametrize(("pages", "inodes", "statuses"), [*ROOM, (16, 0, "1 1")])
def test_a_full_runtime_directory_is_named_and_nothing_is_left(
    tmp_path, place, pages, inodes, statuses
) -> None:
    cli = CommandLine(tmp_path / "full")
    cli.run_directory.mkdir(mode=0o700)
    done = shell(
        cli,
        f"""
        mount -t tmpfs -o size=128k,nr_inodes={3 + inodes},mode=700 none {cli.run_directory}
        mkdir -m 700 {registry_of(cli)}
        head -c {(32 - pages) * 4096} /dev/zero > {cli.run_directory}/ballast
        fakeproc mount {place} > /dev/null; mounted=$?
        fakeproc umount --all > /dev/null
        fakeproc run -- true; echo $mounted $?
        find {registry_of(cli)} {place} -mindepth 1
        """,
        prefix=("unshare", "--mount", "--propagation", "private"),
    )
    (came,) = done.stdout.splitlines()
    assert came in ([statuses] if statuses else ["0 0", "0 1", "1 0", "1 1"])
    said = sentences(done)
    assert len(said) == sum(map(int, came.split()))
    assert all("No space left on device" in sentence for sentence in said)


# -- Standard output ------------------------------------------------------------------------


def test_a_closed_standard_output_keeps_nothing_from_being_mounted(own, place) -> None:
    done = shell(own, f"fakeproc mount {place} >&- 2>&- <&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (place / "proc/irq/39/smp_affinity").read_text() == "40\n"
    done = shell(own, f"fakeproc umount {place} >&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert files_of(own) == []


def test_a_full_standard_output_is_said_and_the_mount_is_no_failure(own, place) -> None:
    said = ["cannot write to standard output: No space left on device"]
    done = shell(own, f"fakeproc mount {place} > /dev/full")
    assert (done.returncode, sentences(done)) == (0, said)
    assert len(mounts_below(place)) == 3
    done = shell(own, f"fakeproc umount {place} > /dev/full")
    assert (done.returncode, sentences(done)) == (0, said)
    assert mounts_below(place) == []


@pytest.mark.parametrize(
    "command",
    [
        "list",
        "list --json",
        "profiles",
        "profiles show hyperv-gen2",
        "kernels",
        "completion bash",
        "--help",
        "--version",
    ],
)
def test_output_that_cannot_be_written_is_a_failure_where_it_is_all_there_is(own, command) -> None:
    done = shell(own, f"fakeproc {command} > /dev/full")
    assert done.returncode == 1
    assert sentences(done) == ["cannot write to standard output: No space left on device"]
    done = shell(own, f"set -o pipefail; fakeproc {command} | true")
    assert done.stderr == ""


def test_a_full_standard_error_changes_no_exit_status(own, place) -> None:
    for command, status in (
        (f"umount {place}", 1),
        ("mount --profile vax /m", 2),
        (f"mount {place}", 0),
        (f"umount {place}", 0),
    ):
        assert shell(own, f"fakeproc {command} > /dev/full 2>&1").returncode == status
    assert files_of(own) == []


def test_a_run_with_closed_streams_leaves_nothing_and_its_command_finds_them_closed(own) -> None:
    done = shell(own, "fakeproc run -- sh -c 'test ! -e /dev/fd/0 && : || exit 9' <&- >&-")
    assert (done.returncode, done.stderr) == (0, "")
    done = shell(own, "fakeproc run -- echo spoken >&-")
    assert done.returncode == 1  # echo's own failure
    assert "Bad file descriptor" in done.stderr
    assert files_of(own) == []


# -- Paths of all sorts ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["my guest", "it's", "a\nb", "a\tb", "$(date)", "-n", "\udcff"])
def test_a_command_that_is_advised_can_be_copied(own, tmp_path, name) -> None:
    place = tmp_path / name
    said = sentences(own("mount", place))
    assert len(said) == 1
    shell(own, said[0].partition("; make it with: ")[2])
    assert place.is_dir()
    done = own("mount", place)
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    _, tried, ending = done.stdout.rstrip("\n").split("; ", 2)
    assert "CPU0" in shell(own, tried.removeprefix("try: ")).stdout
    listed = own("list").stdout.splitlines()
    assert [line.count("\t") for line in listed] == [5, 5]
    assert json.loads(own("list", "--json").stdout)[0]["mountpoint"] == str(place)
    again = sentences(own("mount", place))
    assert len(again) == 1
    assert ending.removeprefix("end with: ") in again[0]
    assert shell(own, ending.removeprefix("end with: ")).returncode == 0
    assert list(place.iterdir()) == []


def test_an_empty_mountpoint_is_not_the_working_directory(own, place) -> None:
    for arguments in (["mount", ""], ["umount", ""], ["run", "--mount", "", "--", "true"]):
        done = shell(own, f"fakeproc {shlex.join(arguments)}", cwd=place)
        assert done.returncode == 2
        assert "an empty path is no mountpoint" in done.stderr
        assert list(place.iterdir()) == []


def test_an_empty_command_is_not_found(own) -> None:
    done = own("run", "--", "")
    assert (done.returncode, done.stderr) == (127, "fakeproc: '': No such file or directory\n")


def test_a_relative_path_in_a_deleted_directory_is_a_sentence(own, tmp_path) -> None:
    gone = tmp_path / "gone"
    for command in ("mount m", "umount m", "run --mount m -- true"):
        gone.mkdir()
        done = shell(own, f"rmdir {gone}; fakeproc {command}", cwd=gone)
        assert done.returncode == 1
        assert sentences(done) == [
            "the working directory has been deleted, so that m leads nowhere; "
            "change to another directory, or give an absolute path"
        ]


def test_a_deleted_working_directory_keeps_nothing_from_being_run(own, place, tmp_path) -> None:
    gone = tmp_path / "gone"
    assert own("mount", place).returncode == 0
    for options in ("", f"--mount {place}"):
        gone.mkdir()
        read = f"rmdir {gone}; fakeproc run {options} -- cat /proc/irq/39/smp_affinity"
        assert shell(own, read, cwd=gone).stdout == "40\n"


@pytest.mark.parametrize(
    ("make", "below", "why"),
    [
        (lambda it: it.symlink_to(it), "", "Too many levels of symbolic links"),
        (lambda it: it.touch(), "/below", "Not a directory"),
        (lambda it: it.mkdir(), f"/{'x' * 300}", "File name too long"),
    ],
    ids=["loop", "below a file", "long"],
)
def test_a_path_that_leads_nowhere_is_not_to_be_made_with_mkdir(
    own, tmp_path, make, below, why
) -> None:
    make(tmp_path / "it")
    place = f"{tmp_path}/it{below}"
    done = own("mount", place)
    assert (done.returncode, sentences(done)) == (1, [f"{place}: {why}"])


# -- Few descriptors -------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [5, 6, 8, 12, 20, 30])
@pytest.mark.parametrize("command", ["mount", "run"])
def test_few_descriptors_are_no_missing_package(own, place, command, limit) -> None:
    arguments = ["mount", place] if command == "mount" else ["run", "--", "true"]
    done = shell(
        own,
        f"ulimit -n {limit}; fakeproc {shlex.join(map(str, arguments))}",
    )
    assert done.returncode == 1
    (said,) = sentences(done)
    assert f"{limit} files only" in said
    assert "ulimit -n 256" in said
    assert files_of(own) == []
    assert mounts_below(place) == []


# -- What is left behind ----------------------------------------------------------------------


def test_a_mount_that_fails_leaves_no_log(own, place) -> None:
    (place / "full").touch()
    assert own("mount", place).returncode == 1
    assert files_of(own) == []


@pytest.mark.usefixtures("_as_root")
def test_a_mount_that_the_kernel_refuses_leaves_no_log(own, place) -> None:
    done = shell(
        own,
        "setpriv --bounding-set -sys_admin --inh-caps -sys_admin "
        f"{shlex.join(FAKEPROC)} mount {place}",
    )
    assert "could not mount" in sentences(done)[0]
    assert files_of(own) == []


def test_umount_removes_the_directory_that_keep_made(own) -> None:
    kept = own("run", "--keep", "--", "true").stderr
    place = Path(kept.rpartition(" ")[2].strip())
    assert place.is_dir()
    assert own("umount", place).stdout == f"unmounted {place}\n"
    assert not place.exists()
    assert files_of(own) == []


def test_umount_removes_the_directory_of_a_run_that_was_killed(own) -> None:
    run = own.start("run", "--", "sh", "-c", "echo ready; exec sleep 1000")
    assert run.stdout.readline() == "ready\n"
    (mount,) = json.loads(own("list", "--json").stdout)
    # Nobody is left that could tidy up: neither front, supervisor nor daemon.
    supervisor = int(Path(f"/proc/{mount['pid']}/stat").read_text().rpartition(")")[2].split()[1])
    for pid in (run.pid, supervisor, mount["pid"]):
        os.kill(pid, signal.SIGSTOP)
    for pid in (mount["pid"], supervisor, run.pid):
        os.kill(pid, signal.SIGKILL)
    run.communicate()
    assert Path(mount["mountpoint"]).is_dir()
    assert "had died" in own("umount", mount["mountpoint"]).stdout
    assert not Path(mount["mountpoint"]).exists()
    assert files_of(own) == []


# -- list and umount --------------------------------------------------------------------------


def test_list_for_programs(own, place) -> None:
    assert json.loads(own("list", "--json").stdout) == []
    own("mount", place)
    (mount,) = json.loads(own("list", "--json").stdout)
    assert mount.keys() == {"mountpoint", "profile", "pid", "memory_bytes", "age_s", "log"}
    assert (mount["mountpoint"], mount["profile"]) == (str(place), "hyperv-gen2")
    assert mount["memory_bytes"] > 1 << 20
    assert mount["age_s"] >= 0
    assert "mounted hyperv-gen2" in Path(mount["log"]).read_text()
    os.kill(mount["pid"], signal.SIGKILL)
    assert eventually(lambda: json.loads(own("list", "--json").stdout)[0]["age_s"] is None)
    (mount,) = json.loads(own("list", "--json").stdout)
    assert (mount["memory_bytes"], mount["age_s"]) == (None, None)


def test_umount_all_goes_on_where_one_cannot_be_unmounted(own, tmp_path) -> None:
    places = [tmp_path / name for name in "abc"]
    for place in places:
        place.mkdir()
        assert own("mount", place).returncode == 0
    (places[1] / "mine").touch()
    own("umount", places[1])
    done = own("umount", "--all")
    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == [
        f"unmounted {place}" for place in (places[0], places[2])
    ]
    done = own("umount", "--all")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_umount_takes_a_mountpoint_or_all(own, place) -> None:
    for arguments in (("umount",), ("umount", "--all", place)):
        done = own(*arguments)
        assert done.returncode == 2
        assert "give either MOUNTPOINT or --all" in done.stderr
