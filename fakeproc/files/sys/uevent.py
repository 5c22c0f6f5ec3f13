"""uevent files: `lib/kobject_uevent.c`, what may be written to them."""

from __future__ import annotations

import re
from errno import EINVAL
from typing import NamedTuple

__all__ = ["SyntheticUevent", "synthetic_uevent"]

ACTIONS = frozenset({"add", "remove", "change", "move", "online", "offline", "bind", "unbind"})

# A UUID, then any number of KEY=value; letters and digits as Latin-1 knows them (isalnum()).
_ALNUM = rb"[0-9A-Za-z\xc0-\xd6\xd8-\xf6\xf8-\xff]+"
_ARGUMENTS = re.compile(
    rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?: %(word)b=%(word)b)*+"
    % {b"word": _ALNUM}
)
_UEVENT_NUM_ENVP = 64  # include/linux/kobject.h
_UEVENT_BUFFER_SIZE = 2048


class SyntheticUevent(NamedTuple):
    """What a write to a uevent file asks for: an action, and what user space adds to it."""

    action: str
    variables: dict[str, str]


def synthetic_uevent(data: bytes) -> SyntheticUevent:
    """The event that a write to a uevent file asks for (`kobject_synth_uevent`).

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
    if not blank:
        return SyntheticUevent(word, {"SYNTH_UUID": "0"})
    # They reach user space as SYNTH_UUID=… and SYNTH_ARG_…, each with a NUL behind it.
    uuid, *variables = arguments.split(b" ")
    size = len(b"SYNTH_UUID=\0") + len(uuid)
    size += sum(len(b"SYNTH_ARG_\0") + len(variable) for variable in variables)
    if len(variables) >= _UEVENT_NUM_ENVP or size > _UEVENT_BUFFER_SIZE:
        raise OSError(EINVAL, "more uevent action arguments than an event can hold")
    sent = {"SYNTH_UUID": uuid.decode("latin-1")}
    for variable in variables:
        key, _, value = variable.decode("latin-1").partition("=")
        sent[f"SYNTH_ARG_{key}"] = value
    return SyntheticUevent(word, sent)
