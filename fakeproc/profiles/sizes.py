"""The same machine with more or fewer CPUs."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from fakeproc.profiles import ProfileError
from fakeproc.profiles.boot_parameters import boot_parameters
from fakeproc.profiles.schema import Cpus, Isolation, Profile

__all__ = ["with_cpus"]


def with_cpus(profile: Profile, number: int) -> Profile:
    """The same machine with so many CPUs, all of them online.

    What the profile counts on CPUs that are not there any more is left out.
    Raises ProfileError where the CPUs do not divide into its packages and nodes,
    or where the command line names one that is not there any more.
    """
    old = profile.cpus
    if len(old.possible_cpus) == len(old.present_cpus) == number and not old.offline:
        return profile
    if old.groups or profile.nodes:
        raise ProfileError(f"{profile.name} says where each of its CPUs is: it has no other number")
    isolated = Isolation(
        managed_irq=_below(old.isolated.managed_irq, number),
        domain=_below(old.isolated.domain, number),
    )
    changes: dict[str, Any] = {
        "possible": number,
        "present": None,
        "offline": frozenset(),
        "isolated": isolated,
    }
    try:
        cpus = Cpus.model_validate({**dict(old), **changes})
        boot_parameters(profile.kernel.cmdline, number)
    except ValidationError as error:
        why = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise ProfileError(f"{profile.name} with {number} CPUs: {why}") from error
    except ValueError as error:
        raise ProfileError(f"{profile.name} with {number} CPUs: {error}") from error
    return profile.model_copy(
        update={
            "cpus": cpus,
            "arch": {label: _counts(counts, number) for label, counts in profile.arch.items()},
            "irqs": tuple(
                irq.model_copy(
                    update={
                        "affinity": None if irq.affinity is None else _below(irq.affinity, number),
                        "effective": _below(irq.effective, number) if irq.effective else None,
                        "counts": _counts(irq.counts, number),
                    }
                )
                for irq in profile.irqs
            ),
            "vmbus": profile.vmbus.model_copy(
                update={
                    "devices": tuple(
                        device.model_copy(
                            update={
                                "counts": _counts(device.counts, number),
                                "subchannels": tuple(
                                    sub.model_copy(update={"counts": _counts(sub.counts, number)})
                                    for sub in device.subchannels
                                ),
                            }
                        )
                        for device in profile.vmbus.devices
                    )
                }
            ),
        }
    )


def _below(cpus: frozenset[int], number: int) -> frozenset[int]:
    return frozenset(cpu for cpu in cpus if cpu < number)


def _counts(counts: dict[int, int], number: int) -> dict[int, int]:
    return {cpu: count for cpu, count in counts.items() if cpu < number}
