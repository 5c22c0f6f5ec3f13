"""Tools that read where the time of CPUs went: the time that passed, of each CPU that was online.

One CPU was off for 100 seconds, which no tool may count as idle.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from programs import program

from .test_interrupt_tools import fetched, free_port

OFF, HZ, CPUS = 100, 100, 8
CRATES = Path("/usr/share/cargo/registry")  # of Debian's librust-procfs-dev


@pytest.fixture(scope="module")
def guest(_fuse: None, cli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The default guest, whose CPU 7 was off for a while."""
    with cli.mounted(tmp_path_factory.mktemp("off") / "m", "--clock", "manual") as guest:
        for file in guest.root.glob("sys/bus/vmbus/devices/*/channels/*/cpu"):
            file.write_text("0")
        online = guest.root / "sys/devices/system/cpu/cpu7/online"
        online.write_text("0")
        (guest.host / "clock").write_text(f"advance {OFF}")
        online.write_text("1")
        (guest.host / "clock").write_text("advance 10")
        yield guest


def uptime(guest) -> float:
    return float((guest.proc / "uptime").read_text().split()[0])


@contextmanager
def passing(guest) -> Iterator[list[tuple[str, float]]]:
    """Fill the list with seconds by CPU, or of `all`: those that have passed meanwhile."""
    seconds: list[tuple[str, float]] = []
    before = uptime(guest)
    yield seconds
    after = uptime(guest)
    assert len(seconds) in {1, CPUS, CPUS + 1}
    for cpu, shown in seconds:
        cpus, off = (CPUS, OFF) if cpu == "all" else (1, OFF if cpu == "7" else 0)
        # A column is cut to a tick, and there are some of them; nothing else may be missing.
        assert cpus * before - off - 1 <= shown <= cpus * after - off + 1, cpu


def test_against_vmstat_s(guest, inside) -> None:
    with passing(guest) as seconds:
        shown = inside(guest, "vmstat", "-s")
        ticks = re.findall(r"(\d+) (?:.* cpu ticks|stolen.*ticks)", shown)
        seconds.append(("all", sum(map(int, ticks)) / HZ))
    assert len(ticks) >= 8


def test_against_psutil(guest, inside) -> None:
    script = (
        "import json, psutil; print(json.dumps("
        "[sum(psutil.cpu_times()), [sum(each) for each in psutil.cpu_times(percpu=True)]]))"
    )
    with passing(guest) as seconds:
        total, each = json.loads(inside(guest, sys.executable, "-c", script))
        seconds += [("all", total), *((str(cpu), time) for cpu, time in enumerate(each))]


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (["mpstat", "-P", "ALL"], r"(?m)^\S+ +(all|\d+) +((?:[\d.]+ *)+)$"),
        (["top", "-b", "-n", "1", "-1", "-w", "200"], r"%Cpu(\d+) +:(.*? st)"),
    ],
    ids=["mpstat", "top"],
)
def test_against_tools_that_show_shares(guest, inside, command, line) -> None:
    shown = dict(re.findall(line, inside(guest, *command)))
    assert list(shown)[-CPUS:] == [str(cpu) for cpu in range(CPUS)]
    for cpu, columns in shown.items():
        assert sum(map(float, re.findall(r"\d+\.\d+", columns))) == pytest.approx(100, abs=0.3), cpu


def test_against_sar_b(guest, window) -> None:
    """Paging: the keys of /proc/vmstat."""
    done = window(guest, "sar", "-B", "1", "2")
    assert (done.returncode, done.stderr) == (0, "")
    names = re.search(r"(?m)^\S+ +(pgpgin/s.*)$", done.stdout)[1].split()
    values = re.search(r"(?m)^Average: +(.*)$", done.stdout)[1].split()
    paging = dict(zip(names, map(float, values), strict=True))
    assert paging["fault/s"] == pytest.approx(350, rel=0.1)
    assert paging["pgpgout/s"] == pytest.approx(12, abs=2)


def test_against_node_exporter(guest, cli) -> None:
    exporter = program("prometheus-node-exporter")
    wanted = ["cpu", "dmi", "interrupts", "loadavg", "meminfo", "stat", "vmstat"]
    if Path("/proc/schedstat").exists():  # else a run has nothing to show the guest's over
        wanted.append("schedstat")
    port = free_port()
    command = [
        sys.executable, "-m", "fakeproc", "run", "--net=host", "--time=host",
        "--mount", guest.root, "--", exporter,
        "--collector.disable-defaults", *(f"--collector.{name}" for name in wanted),
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    process = subprocess.Popen(command, env=cli.environment, stderr=subprocess.PIPE, text=True)
    try:
        with passing(guest) as seconds:
            page = fetched(f"http://127.0.0.1:{port}/metrics")
            times: dict[str, float] = {}
            for cpu, time in re.findall(r'node_cpu_seconds_total\{cpu="(\d+)",.*\} (\S+)', page):
                times[cpu] = times.get(cpu, 0) + float(time)
            seconds.extend(times.items())
    finally:
        process.terminate()
        complaints = process.communicate(timeout=20)[1]
    assert "level=error" not in complaints
    assert dict(re.findall(r'collector_success\{collector="(\w+)"\} (\d)', page)) == dict.fromkeys(
        wanted, "1"
    )
    slices = re.findall(r'(?m)^node_schedstat_timeslices_total\{cpu="\d"\}', page)
    assert len(slices) == (CPUS if "schedstat" in wanted else 0)


READER = """
fn main() {
    let stat = procfs::KernelStats::new().expect("stat");
    let ticks = |t: &procfs::CpuTime| {
        t.user + t.nice + t.system + t.idle + t.iowait.unwrap() + t.irq.unwrap()
            + t.softirq.unwrap()
    };
    println!("all {}", ticks(&stat.total));
    for (cpu, time) in stat.cpu_time.iter().enumerate() {
        println!("{} {}", cpu, ticks(time));
    }
    procfs::Uptime::new().expect("uptime");
    procfs::Meminfo::new().expect("meminfo");
    procfs::LoadAverage::new().expect("loadavg");
    procfs::vmstat().expect("vmstat");
    procfs::cmdline().expect("cmdline");
    assert_eq!(procfs::CpuInfo::new().expect("cpuinfo").num_cores(), 8);
}
"""
MANIFEST = """
[package]
name = "reader"
version = "0.1.0"
edition = "2021"
[dependencies]
procfs = { version = "*", default-features = false }
"""
SOURCES = f"""
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "{CRATES}"
"""


@pytest.mark.skipif(
    shutil.which("cargo") is None or not any(CRATES.glob("procfs-*")),
    reason="there is no cargo, or no librust-procfs-dev; files/test_memory.py has its keys",
)
def test_against_the_rust_crate_procfs(guest, inside, tmp_path) -> None:
    """Its Meminfo wants every line that it knows, and fails without."""
    (tmp_path / "src").mkdir()
    (tmp_path / ".cargo").mkdir()
    (tmp_path / "src/main.rs").write_text(READER)
    (tmp_path / "Cargo.toml").write_text(MANIFEST)
    (tmp_path / ".cargo/config.toml").write_text(SOURCES)
    subprocess.run(
        ["cargo", "build", "--offline", "--quiet"], cwd=tmp_path, check=True, timeout=250
    )
    with passing(guest) as seconds:
        for line in inside(guest, tmp_path / "target/debug/reader").splitlines():
            cpu, ticks = line.split()
            seconds.append((cpu, int(ticks) / HZ))


DS_IDENTIFY = Path("/usr/lib/cloud-init/ds-identify")


@pytest.mark.skipif(
    not DS_IDENTIFY.exists(),
    reason="cloud-init is not here, and to install it changes how a machine boots;"
    " files/test_sys_dmi.py has the asset tag by which it knows Azure",
)
@pytest.mark.parametrize(
    ("profile", "found"),
    [
        ("azure-d64", "datasource_list: [ Azure, None ]"),
        ("hyperv-gen2", None),
        ("hyperv-gen1", None),
    ],
)
def test_against_cloud_inits_ds_identify(mount_guest, window, tmp_path, profile, found) -> None:
    """Azure is told from plain Hyper-V by the chassis."""
    detect_virt = tmp_path / "systemd-detect-virt"  # asks CPUID, which is the real machine's
    detect_virt.write_text("#!/bin/sh\necho microsoft\n")
    detect_virt.chmod(0o755)
    (tmp_path / "etc").mkdir()
    paths = {
        "PATH_RUN": tmp_path,
        "PATH_RUN_CI": tmp_path / "ci",
        "PATH_ETC_CLOUD": tmp_path / "etc",
        "PATH_VAR_LIB_CLOUD": tmp_path / "var",
    }
    done = window(
        mount_guest("--profile", profile, "--clock", "manual"),
        *("sh", "-c", f"PATH={tmp_path}:$PATH exec {DS_IDENTIFY} --force"),
        **{name: str(path) for name, path in paths.items()},
    )
    says = (tmp_path / "ci/cloud.cfg").read_text()
    assert (done.returncode == 0) == (found is not None), done.stderr
    assert ("Azure" in says) == (found is not None)
    assert found is None or found in says
