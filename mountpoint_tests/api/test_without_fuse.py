"""Where there is no FUSE, and no Linux: `Machine` works, and `Guest` says what is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap

from conftest import REPOSITORY
from programs import FEW_PLUGINS

import fakeproc

# What Windows and macOS do not have.
ELSEWHERE = """
import os, sys
import pydantic.root_model, tomli_w, zoneinfo  # what they ask the system for is not the point
for name in ("geteuid", "getegid", "fork", "O_ACCMODE", "O_DIRECT", "XATTR_CREATE", "uname"):
    if hasattr(os, name):
        delattr(os, name)
sys.platform = "win32"
for name in ("fuse", "mfusepy", "fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
"""

USE = """
import fakeproc
machine = fakeproc.Machine()
machine.record()
assert machine.write("/proc/irq/39/smp_affinity", "08\\n") == 3
assert machine.read("/proc/irq/39/smp_affinity_list") == "3\\n"
assert "39" in machine.list("/proc/irq")
try:
    machine.write("/sys/devices/system/cpu/online", "1")
except PermissionError as error:
    print(error)
machine.advance(1)
machine.interrupt(19, 5)
assert machine.state().irqs[39].counts[3] == 5
assert len(machine.accesses().writes("/proc/irq/39")) == 1
print("fine")
"""


def python(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_machine_without_a_fuse_library() -> None:
    hidden = "import sys; sys.modules['fuse'] = sys.modules['mfusepy'] = None\n"
    assert python(hidden + USE).splitlines()[-1] == "fine"


def test_a_machine_without_the_room_of_the_mounts() -> None:
    """The rules of the file systems are in `vfs`; nothing of `mount` is needed for them."""
    hidden = "import sys; sys.modules['fakeproc.mount'] = None\n"
    shown = "print([name for name in sys.modules if name.startswith('fakeproc.mount.')])\n"
    assert python(hidden + USE + shown).splitlines()[-2:] == ["fine", "[]"]


def test_a_machine_on_another_system() -> None:
    assert python(ELSEWHERE + USE).splitlines()[-1] == "fine"


def test_the_tables_hold_without_a_fuse_library(tmp_path) -> None:
    """The same tables as on a mount, where no library of FUSE can be loaded."""
    for name in ("fuse", "fusepy", "mfusepy"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('hidden')\n")
    here = REPOSITORY / "mountpoint_tests/api"
    options = ("-p", "no:cacheprovider", "-p", "pytest_timeout", "-q")
    files = [f"{here}/test_{name}.py" for name in ("files", "console", "recorded_writes")]
    chosen = "(machine or lowver or isol or small or wtoff) and not [mount and not mount]"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files, "-k", chosen],
        env=os.environ | FEW_PLUGINS | {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 60
    assert "skipped" not in done.stdout


def test_a_guest_without_a_fuse_library_says_what_to_install(tmp_path) -> None:
    for name in ("fuse", "fusepy", "mfusepy"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('hidden')\n")
    out = python(
        """
        import fakeproc
        try:
            fakeproc.Guest().open()
        except fakeproc.CannotMountError as error:
            print(error)
        """,
        PYTHONPATH=f"{tmp_path}:{REPOSITORY}",
        FAKEPROC_LIBFUSE="",
    )
    assert re.match(r"no FUSE library can be used: .*(fusepy|mfusepy).* \(fuse: hidden", out)


def test_importing_fakeproc_takes_nothing_along() -> None:
    out = python("import sys; before = set(sys.modules); import fakeproc;"
                 "print(sorted(set(sys.modules) - before))")  # fmt: skip
    assert "pydantic" not in out
    assert "subprocess" not in out
    assert "fakeproc.api" not in out


def test_every_public_name_is_there() -> None:
    assert {name for name in dir(fakeproc) if name in fakeproc.__all__} == set(fakeproc.__all__)
    for name in fakeproc.__all__:
        assert getattr(fakeproc, name).__doc__
    assert not hasattr(fakeproc, "nonsense")
