"""The names of a scenario: `{nic.irq}` is a number of the machine that is played on.

`{NAME.guid}`, `{NAME.relid}`, `{NAME.irq}` and `{NAME.cpu}` are of the first
device of a class, and of its primary channel; `{NAME.2.relid}` is of its third
channel.  `{last_cpu}` is the highest CPU online, `{cpus}` is how many are,
`{idle_cpu}` is the highest CPU online that no channel interrupts, and
`{last_offline_cpu}` the highest CPU that is present and offline.
They are looked up when the step is made.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.play.target import Target

__all__ = ["PlayError", "expand", "idle_cpus", "state_of"]

_PLACE = re.compile(r"\{([a-z_][a-z0-9_]*)(?:\.(\d{1,4}))?(?:\.(guid|relid|irq|cpu|channels))?\}")
_KEYS = {"irq": "irq", "relid": "relid", "cpu": "target_cpu"}


class PlayError(Exception):
    """A scenario that cannot be played on this machine; the message says why."""


def state_of(target: Target) -> dict[str, Any]:
    """What host/state.json says."""
    found: dict[str, Any] = json.loads(target.read("/host/state.json"))
    return found


def expand(text: str, names: dict[str, str], target: Target) -> str:
    """A text with its names replaced.  Raises PlayError."""
    if "{" not in text:
        return text
    state = state_of(target)
    return _PLACE.sub(lambda place: _value(place, names, state), text)


def _value(place: re.Match[str], names: dict[str, str], state: dict[str, Any]) -> str:
    name, index, key = place.groups()
    if name in _OF_THE_MACHINE:
        return _OF_THE_MACHINE[name](state)
    if name not in names or key is None:
        raise PlayError(f"{place.group()}: the scenario gives no such name in [names]")
    devices = state["vmbus"]["devices"]
    found = next(
        ((guid, d["channels"]) for guid, d in devices.items() if d["type"] == names[name]), None
    )
    if found is None:
        raise PlayError(f"{place.group()}: the machine has no device of class {names[name]}")
    guid, channels = found
    if key == "guid":
        return str(guid)
    if key == "channels":
        return str(len(channels))
    number = int(index or 0)
    if number >= len(channels):
        raise PlayError(f"{place.group()}: the device has {len(channels)} channels")
    value = channels[number][_KEYS[key]]
    if value is None:
        raise PlayError(f"{place.group()}: on this kernel the channel has no {key}")
    return str(value)


def _idle_cpu(state: dict[str, Any]) -> str:
    idle = idle_cpus(state)
    if not idle:
        raise PlayError("{idle_cpu}: a channel interrupts every CPU")
    return str(idle[-1])


def idle_cpus(state: dict[str, Any]) -> list[int]:
    """The CPUs online, but for the first, that no channel interrupts."""
    devices = state["vmbus"]["devices"].values()
    busy = {channel["target_cpu"] for device in devices for channel in device["channels"]}
    return [cpu for cpu in state["cpus"]["online"] if cpu and cpu not in busy]


def _offline(state: dict[str, Any]) -> list[int]:
    return [cpu for cpu in state["cpus"]["present"] if cpu not in state["cpus"]["online"]]


_OF_THE_MACHINE: dict[str, Callable[[dict[str, Any]], str]] = {
    "last_cpu": lambda state: str(state["cpus"]["online"][-1]),
    "cpus": lambda state: str(len(state["cpus"]["online"])),
    "idle_cpu": _idle_cpu,
    "last_offline_cpu": lambda state: str((_offline(state) or [-1])[-1]),
}
