"""uevent files: `lib/kobject_uevent.c`, what may be written to them."""

from __future__ import annotations

import re
from errno import EINVAL
from typing import TYPE_CHECKING

from fakeproc.files.tree import Attributes

if TYPE_CHECKING:
    from fakeproc.files.tree import Group

__all__ = ["plain_uevent", "synthetic_uevent"]

ACTIONS = frozenset({"add", "remove", "change", "move", "online", "offline", "bind", "unbind"})

# A UUID, then any number of KEY=value; letters and digits as Latin-1 knows them (isalnum()).
_ALNUM = rb"[0-9A-Za-z\xc0-\xd6\xd8-\xf6\xf8-\xff]+"
_ARGUMENTS = re.compile(
    rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?: %(word)b=%(word)b)*+"
    % {b"word": _ALNUM}
)
_VARIABLES = 64  # UEVENT_NUM_ENVP
_BUFFER = 2048  # UEVENT_BUFFER_SIZE

PLAIN = Attributes[object]()


def synthetic_uevent(data: bytes) -> str:
    """The action that a write to a uevent file asks for (`kobject_synth_uevent`).

    Raises OSError EINVAL for an unknown action, and for arguments that are not
    a UUID with KEY=value behind it, or more of them than an event can hold.
    """
    text = data[:-1] if data[-1:] in {b"\n", b"\0"} else data
    action, blank, arguments = text.partition(b" ")
    word = action.decode("latin-1")
    if word not in ACTIONS:
        raise OSError(EINVAL, "unknown uevent action string")
    if blank and not _ARGUMENTS.fullmatch(arguments):
        raise OSError(EINVAL, "incorrect uevent action arguments")
    # They reach user space as SYNTH_UUID=… and SYNTH_ARG_…, each with a NUL behind it.
    uuid, *variables = arguments.split(b" ")
    size = len(b"SYNTH_UUID=\0") + len(uuid)
    size += sum(len(b"SYNTH_ARG_\0") + len(variable) for variable in variables)
    if len(variables) >= _VARIABLES or size > _BUFFER:
        raise OSError(EINVAL, "more uevent action arguments than an event can hold")
    return word


@PLAIN.show
def uevent_show(_device: object) -> str:
    """Nothing: the device's events carry no variables of its own."""
    return ""


@PLAIN.store
def uevent_store(_device: object, data: bytes) -> None:
    """A synthetic uevent; OSError EINVAL for an unknown action."""
    synthetic_uevent(data)


def plain_uevent(owner: object) -> Group:
    """The uevent file of a device whose events carry no variables of its own."""
    return PLAIN.on(owner)
