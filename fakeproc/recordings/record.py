"""Record what tools look at under /proc and /sys of a machine, as one archive.

This file is complete in itself and needs nothing but Python 3.6 or later: copy it to the
machine in question, and run it there as any user:

    python3 record.py -o machine.tar.gz

`fakeproc record` runs this very file.  Host names, serial numbers, UUIDs, MAC and IP addresses
are replaced, each one always by the same, unless --keep-names asks for them.
"""

import argparse
import errno
import io
import json
import os
import re
import stat
import sys
import tarfile
from typing import Any, Dict, Iterator, List, Match, Optional, Pattern, Tuple

__all__ = ["TOP", "Names", "Root", "main", "record"]

MAX_FILE = 64 << 20  # bytes of one file
MAX_TOTAL = 256 << 20  # bytes of all files
MAX_FILES = 200000
TOP = "fakeproc-recording"  # the archive's directory

# Files of /proc, and directories of which all files are taken.
PROC = (
    "interrupts softirqs stat cpuinfo meminfo vmstat zoneinfo buddyinfo version cmdline uptime "
    "loadavg swaps devices misc modules filesystems schedstat diskstats partitions irq "
    "bus/pci/devices net/dev sys/kernel/osrelease sys/kernel/ostype sys/kernel/hostname"
).split()
SYS = (
    "devices/system devices/cpu_core devices/cpu_atom devices/virtual/dmi/id kernel/irq kernel/mm "
    "hypervisor bus class firmware/memmap firmware/dmi module/hv_vmbus"
).split()
# Of all other devices: what says which they are and where their interrupts go.
DEVICE = re.compile(
    r"/(?:class|class_id|device|device_id|vendor|subsystem_vendor|subsystem_device|revision|irq|"
    r"numa_node|local_cpus|local_cpulist|modalias|uevent|enable|config|address|operstate|mtu|speed|"
    r"driver|subsystem|size|state|id|cpu|relid|channel_vp_mapping|monitor_id|server_monitor_.*|"
    r"client_monitor_.*|dev|removable|ro|model|type|rev|queue/\w+|msi_irqs/\d+|"
    r"channels/\d+/\w+|queues/.*)$"
)
# What is slow to read, or does something when it is.
NEVER = re.compile(r"/(?:vpd|rom|resource\d.*|trace_pipe|rescan|remove|reset|uevent_seqnum)$")
CONFIG_BYTES = 64  # of a PCI function's configuration; the serial number stands behind

SERIAL_TABLES = re.compile(r"/firmware/dmi/tables/\w+$")  # binary, with all serial numbers in it
SERIAL_FILE = re.compile(r"(?:serial|product_uuid|asset_tag|wwid|unique_id)$")
AZURE = "7783-7084-3265-9085-8269-3286-77"  # every VM of Azure has this asset tag
UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
MAC = re.compile(r"\b[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}\b")
IPV4 = re.compile(r"(?<![\w.:-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.-])")
IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F:]*[0-9a-fA-F](?![\w:.])")
# In one pass, so that nothing is replaced twice.
PRIVATE = re.compile(
    "(?P<uuid>%s)|(?P<mac>%s)|(?P<ip>%s)|(?P<ip6>%s)"
    % (UUID.pattern, MAC.pattern, IPV4.pattern, IPV6.pattern)
)
FORMS = {
    "uuid": "00000000-0000-4000-8000-%012x",
    "mac": "02:00:00:00:00:%02x",
    "ip": "192.0.2.%d",
    "ip6": "2001:db8::%x",
}
NO_ADDRESS = {"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "127.0.0.1", "255.255.255.255"}


class Names:
    """What is replaced, each by the same wherever it stands; `kept` are UUIDs that name a class."""

    def __init__(self, host: str, kept: Optional[List[str]] = None) -> None:
        self.kept = {word.lower() for word in kept or []}
        self._new = {}  # type: Dict[str, str]
        self.counts = {}  # type: Dict[str, int]
        short = host.split(".", maxsplit=1)[0]
        words = sorted({host, short} - {"", "localhost"}, key=len, reverse=True)
        pattern = "|".join(map(re.escape, words))
        self._host = re.compile(r"(?<![\w-])(?:%s)(?![\w-])" % pattern) if words else None

    def replaced(self, path: str, text: str) -> str:
        """A file's text, or a path, without what identifies the machine."""
        if SERIAL_FILE.search(path) and text.strip() and AZURE not in text:
            return self._name("serial", text.strip(), "serial-%d") + "\n"
        if self._host is not None:
            text = self._sub("host", self._host, "host-%d", text)
        return self._sub("", PRIVATE, "", text)

    def _sub(self, kind: str, pattern: Pattern[str], form: str, text: str) -> str:
        def new(match: Match[str]) -> str:
            word = match.group()
            if word.lower() in self.kept or word.lower() in NO_ADDRESS:
                return word
            found = kind or match.lastgroup or ""
            return self._name(found, word.lower(), form or FORMS[found])

        return pattern.sub(new, text)

    def _name(self, kind: str, word: str, form: str) -> str:
        if word not in self._new:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            self._new[word] = form % self.counts[kind]
        return self._new[word]


class Root:
    """Where proc and sys are: a directory of this machine.  Paths are relative to it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def _of(self, below: str) -> str:
        return os.path.join(self.path, below)

    def is_link(self, below: str) -> bool:
        """Whether a path is a symbolic link itself."""
        return os.path.islink(self._of(below))

    def is_directory(self, below: str) -> bool:
        """Whether a path is a directory, and no link to one."""
        return os.path.isdir(self._of(below)) and not self.is_link(below)

    def exists(self, below: str) -> bool:
        """Whether there is anything, a link that leads nowhere included."""
        return os.path.lexists(self._of(below))

    def names(self, below: str) -> List[str]:
        """The entries of a directory, sorted; none of one that cannot be looked into."""
        try:
            return sorted(os.listdir(self._of(below)))
        except OSError:
            return []

    def readlink(self, below: str) -> str:
        """Where a link leads.  Raises OSError."""
        return os.readlink(self._of(below))

    def read(self, below: str, most: int) -> bytes:
        """A file's first bytes.  Raises OSError: EACCES where it is only to be written."""
        descriptor = os.open(self._of(below), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "no regular file")
            return file.read(most)

    def host_name(self) -> str:
        """What the machine is called; nothing where that is not known."""
        try:
            return _read(self, "proc/sys/kernel/hostname").decode("utf-8", "replace").strip()
        except OSError:  # a dump without it: nothing in there is known to be its name
            return os.uname().nodename if self.path == "/" else ""


def _walk(root: Root, below: str) -> Iterator[str]:
    """Files, links and empty directories below one, or the file itself; links are not followed."""
    if not root.is_directory(below):
        if root.exists(below):
            yield below
        return
    directories = []
    names = root.names(below)
    if not names:
        yield below
    for name in names:
        path = "%s/%s" % (below, name)
        if root.is_directory(path):
            directories.append(path)
        else:
            yield path
    for path in directories:
        yield from _walk(root, path)


def chosen(root: Root) -> Iterator[str]:
    """What is recorded, each path once."""
    seen = set()
    for below in ["proc/" + name for name in PROC] + ["sys/" + name for name in SYS]:
        for path in _walk(root, below):
            if path not in seen and not NEVER.search(path):
                seen.add(path)
                yield path
    for path in _walk(root, "sys/devices"):
        if path not in seen and DEVICE.search(path) and not NEVER.search(path):
            yield path


def _read(root: Root, path: str) -> bytes:
    """A file's bytes.  Raises OSError, EFBIG for one that is too long."""
    data = root.read(path, CONFIG_BYTES if path.endswith("/config") else MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return data


def _classes(root: Root, paths: List[str]) -> List[str]:
    """The GUIDs of classes of VMBus devices, which every machine has in common."""
    found = []
    for path in paths:
        if path.endswith("/class_id"):
            try:
                found += UUID.findall(_read(root, path).decode("ascii", "replace"))
            except OSError:  # the manifest says so when it is recorded
                continue
    return found


def _add_directory(archive: Any, path: str) -> None:
    info = tarfile.TarInfo("%s/%s" % (TOP, path))
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    archive.addfile(info)


def record(
    root: Root, archive: Any, keep_names: bool, more: Optional[Dict[str, bytes]] = None
) -> Tuple[int, Dict[str, str]]:
    """Put a machine into an archive: how many files, and why some could not be read.

    `archive` takes members as a TarFile does (`addfile`); `more` are files beside proc and sys.
    """
    paths = list(chosen(root))
    names = None if keep_names else Names(root.host_name(), _classes(root, paths))
    unreadable = {}  # type: Dict[str, str]
    total = number = 0
    for path in paths:
        shown = names.replaced("", path) if names else path
        info = tarfile.TarInfo("%s/%s" % (TOP, shown))
        try:
            if root.is_link(path):
                target = root.readlink(path)
                if target.startswith("/"):
                    raise OSError(errno.EXDEV, "a link to " + target)
                info.type, info.mode = tarfile.SYMTYPE, 0o777
                info.linkname = names.replaced("", target) if names else target
                archive.addfile(info)
                continue
            if names and SERIAL_TABLES.search(path):
                raise OSError(errno.EPERM, "has serial numbers in it")
            if root.is_directory(path):
                _add_directory(archive, shown)
                continue
            data = _read(root, path)
        except OSError as error:
            unreadable[shown] = error.strerror or str(error)
            _add_directory(archive, os.path.dirname(shown))  # which may have nothing else
            continue
        if names and b"\0" not in data:
            data = names.replaced(path, data.decode("utf-8", "surrogateescape")).encode(
                "utf-8", "surrogateescape"
            )
        total, number = total + len(data), number + 1
        if total > MAX_TOTAL or number > MAX_FILES:
            raise OSError(
                errno.EFBIG, "more than %d MiB or %d files" % (MAX_TOTAL >> 20, MAX_FILES)
            )
        info.size, info.mode = len(data), 0o444
        archive.addfile(info, io.BytesIO(data))
    manifest = {
        "format": "fakeproc recording 1",
        "files": number,
        "unreadable": unreadable,
        "replaced": None if names is None else names.counts,
    }
    beside = {"manifest.json": json.dumps(manifest, indent=1, sort_keys=True).encode()}
    beside.update(more or {})
    for name, data in sorted(beside.items()):
        info = tarfile.TarInfo("%s/%s" % (TOP, name))
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return number, unreadable


def main(arguments: Optional[List[str]] = None) -> int:
    """Run from the command line: 0, 1 for a failure, 2 for a usage error."""
    parser = argparse.ArgumentParser(description="Record this machine's /proc and /sys.")
    parser.add_argument("-o", "--output", default="machine.tar.gz", help="the archive to write")
    parser.add_argument("--root", default="/", help="where proc and sys are, if not in /")
    parser.add_argument("--keep-names", action="store_true", help="replace nothing")
    options = parser.parse_args(arguments)
    try:
        with open(options.output, "xb") as file:
            try:
                with tarfile.open(fileobj=file, mode="w:gz") as archive:
                    number, unreadable = record(Root(options.root), archive, options.keep_names)
                if not number:
                    raise OSError(errno.ENOENT, "no proc and sys to be read", options.root)
            except BaseException:
                os.unlink(options.output)
                raise
    except OSError as error:
        where = "%s: " % (error.filename or options.output)
        sys.stderr.write("record: %s%s\n" % (where, error.strerror or error))
        return 1
    sys.stderr.write(
        "%s: %d files; %d could not be read, as its manifest.json says\n"
        % (options.output, number, len(unreadable))
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
