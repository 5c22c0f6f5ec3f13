"""System calls inside a run are the guest's, whoever runs it and whatever the program is."""

from __future__ import annotations

import os
import shlex
import subprocess

import pytest

from .runs import FAKEPROC, built

AROUND = "system calls and uevents are not the guest's: they are those of the run around this one"
WITHIN = shlex.join([*FAKEPROC, "run"])

# What a program asks the kernel, and no file: CPUs it may use, after taking CPU 6 for
# itself, and what the machine is.
ASK_C = """\
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(void) {
    cpu_set_t set; struct utsname name; struct sysinfo info; unsigned cpu, node;
    sched_getaffinity(0, sizeof set, &set); printf("%d ", CPU_COUNT(&set));
    CPU_ZERO(&set); CPU_SET(9, &set);
    printf("%s ", sched_setaffinity(0, sizeof set, &set) ? strerror(errno) : "moved");
    CPU_ZERO(&set); CPU_SET(6, &set); CPU_SET(9, &set);
    printf("%d ", sched_setaffinity(0, sizeof set, &set));
    sched_getaffinity(0, sizeof set, &set); printf("%d ", CPU_COUNT(&set));
    syscall(SYS_getcpu, &cpu, &node, 0); printf("%u ", cpu);
    uname(&name); sysinfo(&info);
    printf("%s %s %ld\\n", name.release, name.machine, info.totalram / 1024 * info.mem_unit);
}
"""
ANSWER = "8 Invalid argument 0 1 6 6.10.0-rc2 x86_64 33554432\n"

ASK_GO = """\
package main

import ("fmt"; "runtime"; "syscall")

func main() {
    var name syscall.Utsname
    syscall.Uname(&name)
    release := ""
    for _, c := range name.Release { if c == 0 { break }; release += string(rune(c)) }
    fmt.Println(runtime.NumCPU(), release)
}
"""

# Threads that are there when another one's mask changes, and what each has then.
THREADS = """
import os, threading
os.sched_setaffinity(0, {1, 2})
seen, go = {}, threading.Event()
def first():
    go.wait(); seen[1] = sorted(os.sched_getaffinity(0))
def second():
    os.sched_setaffinity(0, {3}); seen[2] = sorted(os.sched_getaffinity(0)); go.set()
both = [threading.Thread(target=first), threading.Thread(target=second)]
for thread in both: thread.start()
for thread in both: thread.join()
print(seen[1], seen[2], sorted(os.sched_getaffinity(0)))
"""

MANY = """
import os, threading
seen, barrier = [], threading.Barrier(200)
def ask():
    barrier.wait()
    for _ in range(5): seen.append(len(os.sched_getaffinity(0)))
threads = [threading.Thread(target=ask) for _ in range(200)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(seen) // 5, set(seen))
"""


@pytest.mark.parametrize("linking", [(), ("-static",)], ids=["dynamic", "static"])
def test_a_c_program_asks_the_guest(any_run, programs, linking) -> None:
    program = built(programs, "ask.c", ASK_C, "gcc", *linking)
    assert any_run.shell(str(program)) == ANSWER


def test_a_go_program_asks_the_guest(any_run, programs) -> None:
    program = built(programs, "ask.go", ASK_GO, "go", "build")
    assert any_run.shell(str(program)) == "8 6.10.0-rc2\n"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("nproc", "8"),
        ("taskset -c 6 nproc", "1"),
        ("taskset -c 6,9 nproc", "1"),
        ("taskset -c 2-4 sh -c 'nproc; nproc'", "3\n3"),
        ("taskset -pc 2-5,7 $$ >/dev/null; nproc; taskset -pc $$ | sed 's/.*: //'", "5\n2-5,7"),
        # Handed down to what a shell has left behind.
        ("taskset -c 2-4 sh -c '(read x <in; nproc >out) &'; echo >in; cat out", "3"),
        # What was there before the change keeps what it had.
        ("(read x <in; nproc >out) & taskset -pc 1 $$ >/dev/null; echo >in; cat out; nproc",
         "8\n1"),
        ("uname -srm", "Linux 6.10.0-rc2 x86_64"),
        ("uname -v", "#1 SMP PREEMPT_DYNAMIC Mon Jun  3 05:09:26 UTC 2024"),
        ("stat -f -c %T /sys /proc/interrupts /proc/irq/../stat", "sysfs\nproc\nproc"),
        ("cd /sys/devices; stat -f -c %T .", "sysfs"),
        ("stat -f -c %T /proc/self", "proc"),
        ("getconf _NPROCESSORS_ONLN", "8"),
        ("getconf _PHYS_PAGES", "8388608"),
    ],
)  # fmt: skip
def test_tools_ask_the_guest(any_run, script, said) -> None:
    setup = "directory=$(mktemp -d); trap 'rm -r $directory' EXIT; cd $directory; mkfifo in out"
    assert any_run.shell(f"{setup}; {script}") == f"{said}\n"


def test_a_cpu_that_is_not_there_is_refused(any_run) -> None:
    done = any_run("taskset", "-c", "9", "nproc")
    assert done.returncode == 1
    assert "Invalid argument" in done.stderr


def test_a_cpu_that_goes_is_no_longer_counted(any_run) -> None:
    options = ["--kernel=6.18", "--clock=manual"]
    out = any_run.shell("chcpu -d 7 >/dev/null; nproc; chcpu -e 7 >/dev/null; nproc", options)
    assert out == "7\n8\n"


def test_a_thread_whose_last_cpu_goes_may_use_them_all(run) -> None:
    script = (
        "taskset -pc 7 $$ >/dev/null; nproc; chcpu -d 7 >/dev/null; nproc; "
        "chcpu -e 7 >/dev/null; nproc"
    )
    assert run.shell(script, ["--kernel=6.18", "--clock=manual"]) == "1\n7\n8\n"


def test_isolated_cpus_are_not_for_everybody(run, tmp_path) -> None:
    profile = tmp_path / "isolated.toml"
    text = subprocess.run([*FAKEPROC, "profiles", "show", "hyperv-gen2"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout  # fmt: skip
    profile.write_text(f"{text}\n[cpus.isolated]\ndomain = [6, 7]\n")
    assert run.shell("nproc; nproc --all", [f"--profile={profile}"]) == "6\n8\n"


def test_free_and_uptime_agree_with_proc(any_run) -> None:
    out = any_run.shell(
        "busybox free | awk '/Mem:/ {print $2, $4}'; "
        "awk '/MemTotal|MemFree/ {printf \"%s \", $2}' /proc/meminfo; echo; "
        "busybox uptime; cut -d ' ' -f 1 /proc/uptime",
        ["--clock=manual"],
    )
    by_call, by_file, uptime, seconds = out.splitlines()
    assert by_call.split() == by_file.split()
    hours, minutes = divmod(int(float(seconds)) // 60, 60)
    assert f"up {hours:2d}:{minutes:02d}" in uptime


def test_an_arm64_guest_says_so(run) -> None:
    out = run.shell("uname -m; nproc", ["--profile=hyperv-arm64"])
    assert out.splitlines()[0] == "aarch64"


def test_threads_have_masks_of_their_own(any_run) -> None:
    assert any_run.shell(f"/usr/bin/python3 -c '{THREADS}'") == "[1, 2] [3] [1, 2]\n"


def test_every_guest_answers_for_itself(run) -> None:
    options = ["--profile=azure-d64"]
    with run.started("echo ready; read x; nproc", options, stdin=subprocess.PIPE) as other:
        assert run.shell("nproc") == "8\n"
        assert other.communicate("\n")[0] == "64\n"


def test_a_window_on_a_mounted_guest_answers_too(any_run) -> None:
    with any_run.started('echo ready; echo "$FAKEPROC"; read x', stdin=subprocess.PIPE) as first:
        options = ["--mount", first.stdout.readline().strip()]
        assert any_run.shell("nproc; uname -r", options) == "8\n6.10.0-rc2\n"


def test_the_hosts_system_calls_on_demand(any_run) -> None:
    out = any_run.shell("nproc; uname -r", ["--syscalls=host"])
    assert out == f"{len(os.sched_getaffinity(0))}\n{os.uname().release}\n"


def test_a_run_within_a_run_says_what_it_cannot(any_run) -> None:
    inner = any_run("sh", "-c", f"{WITHIN} -- nproc")
    assert inner.stdout == "8\n"
    assert inner.stderr == f"fakeproc: {AROUND}\n"
    strict = any_run("sh", "-c", f"{WITHIN} --strict -- nproc")
    assert (strict.returncode, strict.stdout) == (1, "")
    assert strict.stderr == f"fakeproc: {AROUND}\n"


def test_a_debugger_works_as_ever(any_run) -> None:
    done = any_run("strace", "-f", "-e", "trace=sched_getaffinity", "nproc")
    assert done.stdout == "8\n"
    assert "sched_getaffinity(0, " in done.stderr


def test_two_hundred_threads_ask_at_once(run) -> None:
    assert run.shell(f"/usr/bin/python3 -c '{MANY}'") == "200 {8}\n"


def test_a_program_that_is_killed_while_it_asks_disturbs_nobody(run) -> None:
    script = (
        "for i in 1 2 3 4 5 6 7 8 9 10; do "
        "/usr/bin/python3 -c 'import os\nwhile 1: os.sched_getaffinity(0)' & sleep 0.0$i; "
        "kill -9 $!; done; nproc"
    )
    assert run.shell(script) == "8\n"
