"""Who starts whom, and who cleans up.

The front forks the supervisor, and the supervisor the command and the daemon.
The kernel signals each of them when its parent ends, however that ends:

- the front is killed: the supervisor ends the command, whatever it has
  started, and the daemon;
- the supervisor is killed: the command is killed, the daemon ends by itself,
  and what is left falls to the front, which ends it;
- the daemon is killed: the command gets ENOTCONN, as from a dead disk.

The mounts of a private guest are in a mount namespace that the supervisor made,
and those of the window in one that the command made.  They end with the last
process in them.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from fakeproc.mount.processes import adopt_orphans, die_with_parent
from fakeproc.run.binds import open_window
from fakeproc.run.descendants import end_descendants
from fakeproc.run.handover import hand_over
from fakeproc.run.mounted_guest import Guest, GuestError
from fakeproc.run.namespace import NamespaceError
from fakeproc.run.parts import Parts
from fakeproc.run.search_path import search_path
from fakeproc.run.shell import shell
from fakeproc.run.signals import Mask, attend, end_as, release_signals
from fakeproc.shell_words import shown

__all__ = ["run"]

_ENDING = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}

# As sh and env end.
_FAILURE = 1
_CANNOT_EXECUTE = 126
_NOT_FOUND = 127


def run(guest: Guest, words: Sequence[str], parts: Parts, mask: Mask) -> int:
    """Run a command on a guest, or a shell; returns its status as waitpid gives it.

    Signals are held since before the guest was made, which a signal would leave
    behind; `mask` is what `hold_signals` returned.  They stay held: this process
    is only to end now.
    """
    early = _ending_already()
    if early is not None:
        guest.clear()
        return early
    adopt_orphans()
    front = os.getpid()
    supervisor = _child(lambda: _supervise(front, guest, words, mask, parts))
    status = attend(supervisor, stopped=lambda: os.kill(front, signal.SIGSTOP))
    end_descendants()
    guest.clear()
    return 0 if status is None else status


def _ending_already() -> signal.Signals | None:
    """The signal that came before there was a command; the terminal sent it to nobody else."""
    for signum in sorted(signal.sigpending() & _ENDING):
        if signal.getsignal(signum) is not signal.SIG_IGN:
            return signal.Signals(signum)
    return None


def _child(work: Callable[[], None]) -> int:
    """Do some work in a child process, and end it there."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    try:
        work()
    except (GuestError, NamespaceError) as error:
        _say(str(error))
    except BaseException as error:  # noqa: BLE001 - must not become a second front
        _say(f"internal error (please report): {error!r}")
    finally:
        os._exit(_FAILURE)


def _say(sentence: str) -> None:
    with suppress(OSError):
        os.write(2, f"fakeproc: {sentence}\n".encode())


def _supervise(
    front: int, guest: Guest, words: Sequence[str], mask: Mask, parts: Parts
) -> NoReturn:
    adopt_orphans()
    guest.surround()
    die_with_parent(signal.SIGHUP)

    def is_alone() -> bool:
        return os.getppid() != front

    def stop_the_front() -> None:
        # Not ourselves: who is stopped cannot clean up.
        if not is_alone():
            os.kill(front, signal.SIGSTOP)

    # The command is there from the beginning, so that what the terminal sends
    # meanwhile finds it; it waits for the guest.
    waiting, starting = os.pipe()

    def command() -> None:
        os.close(starting)
        if os.read(waiting, 1):
            _become(guest, words, mask, parts)

    child = _child(command)
    os.close(waiting)
    try:
        guest.start(mask)
        with suppress(BrokenPipeError):  # it has been killed
            os.write(starting, b"!")
    finally:
        os.close(starting)
    status = attend(child, stopped=stop_the_front, lost=is_alone)
    end_descendants(spared=None if guest.daemon is None else guest.daemon.pid)
    try:
        guest.end()
    except GuestError as error:
        _say(str(error))
    if is_alone():
        guest.clear()
    end_as(0 if status is None else status)


def _become(guest: Guest, words: Sequence[str], mask: Mask, parts: Parts) -> NoReturn:
    """Open the window, and execute the program."""
    supervisor = os.getppid()
    try:
        guest.enter()
        open_window(guest.mountpoint, host_writable=parts.host_writable)
    except OSError as error:
        raise GuestError(_why_closed(guest, error)) from error
    die_with_parent(signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(_FAILURE)
    environment = {
        **os.environ,
        "PATH": search_path(os.environ.get("PATH")),
        "FAKEPROC": str(guest.mountpoint),
        # Its files are no sysfs, by which libudev would otherwise judge them.
        "SYSTEMD_DEVICE_VERIFY_SYSFS": "0",
    }
    arguments = list(words) or shell(environment, guest.profile)
    _restore_dispositions()
    release_signals(mask)
    for missing in hand_over(guest.mountpoint, parts):
        if parts.strict:
            raise GuestError(missing)
        _say(missing)
    _execute(arguments, environment)


def _why_closed(guest: Guest, error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"you may not look into {shown(guest.mountpoint)} ({error.strerror}): it was mounted "
            "without --allow-other"
        )
    return (
        f"cannot bind the files of {shown(guest.mountpoint)} over /proc and /sys: "
        f"{error.filename}: {error.strerror}"
    )


def _restore_dispositions() -> None:
    """Undo what Python has changed; what was ignored at first (by nohup) stays ignored."""
    for signum in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(signum, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _execute(arguments: list[str], environment: dict[str, str]) -> NoReturn:
    program = arguments[0]
    try:
        if not program:  # not a search for it in each directory of PATH
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        os.execvpe(program, arguments, environment)  # noqa: S606 - the user's own command
    except FileNotFoundError as error:
        _say(f"{shown(program)}: {error.strerror}")
        os._exit(_NOT_FOUND)
    except OSError as error:
        if error.errno == errno.ENOEXEC:  # a script that names no interpreter
            path = shutil.which(program) or program
            os.execve("/bin/sh", ["sh", path, *arguments[1:]], environment)  # noqa: S606
        _say(f"{shown(program)}: {error.strerror}")
        os._exit(_CANNOT_EXECUTE)
