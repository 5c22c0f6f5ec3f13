"""Two states of guests in words: what a person wants to know of the way from one to the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakeproc.api.state import Channel, Counts, Cpus, Device, State

__all__ = ["in_words"]

_MACHINE = (
    ("profile", "profile"),
    ("kernel_release", "kernel"),
    ("series", "series"),
    ("protocol", "VMBus protocol"),
    ("last_pick", "CPU that was picked last for a channel"),
    ("modifychannels_sent", "moves that the host was sent"),
    ("modifychannels_completed", "moves that the host has acknowledged"),
)
_CPUS = (
    ("possible", "CPUs possible"),
    ("present", "CPUs present"),
    ("online", "CPUs online"),
    ("default_smp_affinity", "default affinity"),
)
_OF_A_CHANNEL = {
    "target_cpu": "interrupts CPU",
    "host_target_vp": "is sent by the host to CPU",
    "state": "state",
    "irq": "IRQ",
}


def in_words(before: State, now: State) -> list[str]:
    """A line for each thing that is different; none where nothing is."""
    parts = (_machine, _irqs, _rows, _devices)
    return [line for part in parts for line in part(before, now)]


def _machine(before: State, now: State) -> Iterator[str]:
    for name, words in _MACHINE:
        yield from _changed(words, getattr(before, name), getattr(now, name))
    for name, words in _CPUS:
        yield from _changed(words, _list(getattr(before, name)), _list(getattr(now, name)))


def _irqs(before: State, now: State) -> Iterator[str]:
    for number, was, here in _pairs(before.irqs, now.irqs):
        name = f"IRQ {number} ({', '.join((here or was).actions) or 'not requested'})"
        if was is None or here is None:
            yield f"{name}: {'new' if was is None else 'gone'}"
            continue
        for key in ("affinity", "effective_affinity", "affinity_hint"):
            words = f"{name}: {key.replace('_', ' ')}"
            yield from _changed(words, _list(getattr(was, key)), _list(getattr(here, key)))
        for key in ("chip", "hwirq", "actions"):
            yield from _changed(f"{name}: {key}", getattr(was, key), getattr(here, key))
        yield from _counted(name, was.counts, here.counts)


def _rows(before: State, now: State) -> Iterator[str]:
    for row, was, here in _pairs(before.arch, now.arch):
        yield from _counted(row, was or {}, here or {})


def _devices(before: State, now: State) -> Iterator[str]:
    for guid, was, here in _pairs(before.devices, now.devices):
        name = f"{(here or was).type} {guid}"
        if was is None or here is None:
            yield f"{name}: {'new' if was is None else 'gone'}"
            continue
        yield from _changed(f"{name}: driver", was.driver, here.driver)
        yield from _channels(name, was, here)


def _channels(name: str, before: Device, now: Device) -> Iterator[str]:
    def by_relid(device: Device) -> dict[int, Channel]:
        return {channel.relid: channel for channel in device.channels}

    for relid, was, here in _pairs(by_relid(before), by_relid(now)):
        words = f"{name}: channel {relid}"
        if was is None or here is None:
            yield f"{words}: {'new' if was is None else 'gone'}"
            continue
        for field in fields(here):
            old, new = getattr(was, field.name), getattr(here, field.name)
            if old == new or field.name in ("relid", "interrupts", "sent", "events"):
                continue
            shown = _OF_A_CHANNEL.get(field.name, field.name.replace("_", " "))
            yield f"{words}: {shown} {_shown(old)} -> {_shown(new)}"
        lost = (here.sent - was.sent) - (here.interrupts - was.interrupts)
        if lost:
            yield f"{words}: {lost} more interrupts were sent than handled"


def _pairs(before: Mapping[Any, Any], now: Mapping[Any, Any]) -> Iterator[tuple[Any, Any, Any]]:
    for key in {**before, **now}:
        if before.get(key) != now.get(key):
            yield key, before.get(key), now.get(key)


def _counted(name: str, before: Counts, now: Counts) -> Iterator[str]:
    changes = {cpu: now.get(cpu, 0) - before.get(cpu, 0) for cpu in sorted({*before, *now})}
    for words, sign in (("more", 1), ("fewer", -1)):
        counts = [(cpu, sign * by) for cpu, by in changes.items() if sign * by > 0]
        if counts:
            where = ", ".join(f"{by} on CPU {cpu}" for cpu, by in counts)
            yield f"{name}: {sum(by for _, by in counts)} {words} interrupts: {where}"


def _changed(words: str, before: object, now: object) -> Iterator[str]:
    if before != now:
        yield f"{words}: {_shown(before)} -> {_shown(now)}"


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def _list(cpus: Cpus) -> str:
    """CPUs as the kernel lists them: `0-3,7`."""
    runs: list[list[int]] = []
    for cpu in cpus:
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs) or "none"
