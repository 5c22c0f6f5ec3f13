"""The reference and the man pages: they say all there is, and nothing that is not."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from conftest import REPOSITORY, load_page_maker

import fakeproc
from fakeproc import pytest_plugin

DOCS = REPOSITORY / "docs"
MAN = REPOSITORY / "man"


facts = load_page_maker("facts")
manpages = load_page_maker("manpages")
reference = load_page_maker("reference")


# -- The site -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built without a warning."""
    made = tmp_path_factory.mktemp("site")
    config = (REPOSITORY / "mkdocs.yml").read_text()
    shutil.copytree(DOCS, made / "docs")  # only what lies below the configuration is taken
    (made / "fakeproc").symlink_to(REPOSITORY / "fakeproc")
    (made / "mkdocs.yml").write_text(config)
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=made,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "No issues found" in said
    return made / "build/site"


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_page_of_the_reference_is_what_the_code_says(name: str) -> None:
    page = DOCS / f"reference/{name}.md"
    assert page.read_text() == reference.PAGES[name](), "run: python docs/reference.py"


def test_the_site_has_every_page(site: Path) -> None:
    config = (REPOSITORY / "mkdocs.yml").read_text()
    listed = re.findall(r"[\w/-]+\.md$", config, re.M)
    assert {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} == set(listed)
    for page in listed:
        assert (site / page.replace(".md", ".html")).is_file()


def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert re.findall(r'(?:src|href)="https?://(?!zensical\.org/)[^"]*"', text) == [], page


def test_a_page_shows_no_markup(site: Path) -> None:
    """A block whose first line the site does not know is shown as it is written."""
    assert [page for page in site.rglob("*.html") if "```" in page.read_text()] == []


def test_links_lead_somewhere_in_the_repository_too() -> None:
    for page in DOCS.rglob("*.md"):
        text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
        links = re.findall(r"\]\(([^)#\s]+)", text)
        ours = [link for link in links if "://" not in link]
        assert [link for link in ours if not (page.parent / link).exists()] == [], page


def test_generated_text_is_no_markup(site: Path) -> None:
    text = (site / "reference/files.html").read_text()
    assert "smp_affinity" in text
    assert not re.search(r"<(n|relid|guid|driver)>", text)


# -- Files --------------------------------------------------------------------------


def test_every_file_has_a_meaning() -> None:
    files = facts.files().values()
    assert [file.path for file in files if not (file.reads or file.writes)] == []
    shy = ("see ", "todo", "fixme")
    assert [file.path for file in files if file.reads.lower().startswith(shy)] == []


def test_of_every_file_that_can_be_written_it_is_said_by_whom() -> None:
    files = facts.files().values()
    written = [file for file in files if any(mode & 0o222 for mode in file.modes)]
    assert len(written) > 30
    assert [file.path for file in written if not file.written_by] == []


def test_what_is_said_by_hand_is_said_of_files_that_are_there() -> None:
    paths = list(facts.files())
    for pattern, notes in facts.hand_written().items():
        assert [path for path in paths if fnmatchcase(path, pattern)], pattern
        assert set(notes) <= {"reads", "writes", "differs", "written_by"}, pattern


# What the kernel gives these files; <device> is the directory of a VMBus device.
MODES = {
    0o444: """
        proc/interrupts proc/irq/<n>/effective_affinity proc/irq/<n>/effective_affinity_list
        proc/irq/<n>/affinity_hint proc/irq/<n>/node proc/irq/<n>/spurious proc/stat proc/softirqs
        proc/uptime proc/cpuinfo proc/version proc/cmdline proc/meminfo proc/vmstat proc/loadavg
        sys/kernel/irq/<n>/per_cpu_count sys/kernel/irq/<n>/chip_name sys/kernel/irq/<n>/hwirq
        sys/kernel/irq/<n>/type sys/kernel/irq/<n>/name sys/kernel/irq/<n>/wakeup
        sys/bus/vmbus/hibernation <device>/channel_vp_mapping <device>/numa_node <device>/id
        <device>/state <device>/class_id <device>/device_id <device>/modalias <device>/vendor
        <device>/device <device>/out_read_index <device>/in_write_bytes_avail <device>/monitor_id
        <device>/channels/<relid>/interrupts <device>/channels/<relid>/events
        <device>/channels/<relid>/read_avail sys/devices/system/cpu/online
        sys/devices/system/cpu/offline sys/devices/system/cpu/present
        sys/devices/system/cpu/possible sys/devices/system/cpu/isolated
        sys/devices/system/cpu/cpu<n>/topology/core_id
        sys/devices/system/cpu/cpu<n>/cache/index<n>/size sys/devices/system/node/node<n>/cpulist
        sys/devices/system/node/node<n>/meminfo
    """,
    0o644: """
        proc/irq/default_smp_affinity sys/bus/vmbus/drivers_autoprobe <device>/driver_override
        <device>/channels/<relid>/cpu sys/devices/system/cpu/cpu<n>/online
        sys/devices/system/cpu/cpu<n>/hotplug/target
    """,
    0o200: """
        sys/bus/vmbus/drivers_probe sys/bus/vmbus/drivers/<driver>/bind
        sys/bus/vmbus/drivers/<driver>/unbind sys/bus/vmbus/drivers/<driver>/new_id
        sys/bus/vmbus/drivers/<driver>/remove_id
    """,
}


@pytest.mark.parametrize("mode", MODES, ids=oct)
def test_the_modes_of_files(mode: int) -> None:
    files = facts.files()
    paths = [path.replace("<device>", facts.DEVICE) for path in MODES[mode].split()]
    assert [path for path in paths if set(files[path].modes) != {mode}] == []


@pytest.mark.parametrize("name", ["smp_affinity", "smp_affinity_list"])
def test_an_affinity_that_may_not_be_set_is_read_only_on_some_kernels(name: str) -> None:
    assert set(facts.files()[f"proc/irq/<n>/{name}"].modes) == {0o644, 0o444}


@pytest.mark.parametrize(
    ("path", "since"),
    [
        ("proc/interrupts", "all"),
        ("sys/devices/system/cpu/enabled", "from 6.12 on"),
        ("sys/devices/system/cpu/housekeeping", "from 7.2 on"),
    ],
)
def test_on_which_kernels_a_file_is(path: str, since: str) -> None:
    assert facts.files()[path].since == since


def test_every_difference_of_the_kernels_is_explained() -> None:
    rows = [line for line in reference.kernels_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 15
    assert [row for row in rows if re.match(r"\| `\w+` \|  \|", row)] == []


# -- Profiles, commands, Python -------------------------------------------------------


def test_every_key_of_a_profile_has_a_meaning() -> None:
    silent = [
        f"{table}.{key.name}"
        for table, _, keys in facts.tables()
        for key in keys
        if not key.meaning
    ]
    assert silent == []


def test_every_table_of_a_profile_is_there() -> None:
    schema = facts.schema
    models = {
        value
        for name, value in vars(schema).items()
        if name in schema.__all__ and isinstance(value, type)
    }
    assert models == set(facts.TABLES.values())


@pytest.mark.parametrize(
    ("table", "key", "type_", "default"),
    [
        ("(top level)", "class", "", ""),
        ("cpus", "possible", "integer or set of CPUs", "must be given"),
        ("cpus", "packages", "integer from 1 to 2048", "1"),
        ("nodes", "number", "integer from 0 to 1023", "must be given"),
        (
            "kernel",
            "series",
            '"absent" or "as meant" or "as posted" or "as reviewed"',
            '"as meant"',
        ),
        ("vmbus.devices", "rate", "number from 0 to 1e+09", "0.0"),
        ("vmbus.devices", "counts", "list or table of numbers", "none"),
        ("vmbus.devices", "subchannels", "list of tables", "none"),
        ("irqs", "managed", "boolean", "false"),
    ],
)
def test_how_a_key_is_described(table: str, key: str, type_: str, default: str) -> None:
    keys = {
        found.name: found for name, _, keys in facts.tables() if name == table for found in keys
    }
    if not type_:
        assert key not in keys
    else:
        assert (keys[key].type, keys[key].default) == (type_, default)


def test_every_command_and_option_says_what_it_does() -> None:
    commands = dict(facts.commands())
    assert {"fakeproc mount", "fakeproc run", "fakeproc profiles show"} <= set(commands)
    for name, command in commands.items():
        assert facts.paragraphs(command), name
        assert all(said for _, said in facts.options(command)), name


def test_every_name_of_the_interface_is_described(site: Path) -> None:
    page = (site / "reference/python.html").read_text()
    silent, missing = [], []
    for name in fakeproc.__all__:
        value = getattr(fakeproc, name)
        silent += [name] * (not inspect.getdoc(value))
        if name == "Profile":  # its keys are a page of their own
            continue
        missing += [name] * (f"{value.__module__}.{name}" not in page)
        for key, member in inspect.getmembers(value):
            if key.startswith("_") or not (
                inspect.isfunction(member) or isinstance(member, property)
            ):
                continue
            if "fakeproc" in (getattr(member, "__module__", None) or "fakeproc"):
                silent += [f"{name}.{key}"] * (not inspect.getdoc(member))
                missing += [f"{name}.{key}"] * (f".{name}.{key}" not in page)
    assert silent == []
    assert missing == []


def test_the_plugin_is_described(site: Path) -> None:
    page = (site / "reference/python.html").read_text()
    assert [name for name in pytest_plugin.__all__ if f"pytest_plugin.{name}" not in page] == []
    assert "--fakeproc-required" in page


def test_every_command_is_on_its_page(site: Path) -> None:
    page = (site / "reference/command-line.html").read_text()
    headings = {
        re.sub(r"<.*?>|¶|&para;", "", found).strip() for found in re.findall(r"<h\d.*?</h\d>", page)
    }
    assert {name for name, _ in facts.commands()} <= headings


# -- Man pages ------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(manpages.PAGES))
def test_a_man_page_is_what_the_code_says(name: str) -> None:
    made = "".join(f"{line}\n" for line in manpages.PAGES[name]())
    assert (MAN / name).read_text() == made, "run: python docs/manpages.py"


def _rendered(*command: str) -> str:
    done = subprocess.run(
        command,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "MANWIDTH": "80"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout)


@pytest.mark.parametrize("name", sorted(manpages.PAGES))
def test_a_man_page_renders_without_warnings(name: str) -> None:
    text = _rendered("groff", "-ww", "-man", "-Tutf8", str(MAN / name))
    assert "SYNOPSIS" in text
    assert "\\f" not in text


@pytest.mark.parametrize("name", sorted(manpages.PAGES))
def test_man_shows_it(name: str) -> None:
    version: Callable[..., str] = subprocess.getoutput
    if shutil.which("man") is None or not re.match(r"man \d", version("man --version")):
        pytest.skip("this machine has no man, or only a stand-in for it: install man-db")
    text = _rendered("man", "--warnings", "-l", str(MAN / name))
    section = name.rpartition(".")[2]
    assert f"({section})" in text
    assert "irq" in text
