"""`fakeproc cost`."""

# ruff: noqa: PLC0415 - `fakeproc --help` imports nothing that only a machine needs

from __future__ import annotations

import click

from fakeproc.cli.options import example, json_option, print_rows

__all__ = ["cost"]

CHANNELS = (1, 4, 16)
STEP_COLUMNS = ("for each", "step", "function", "kind", "before", "after", "patch", "only")
SAYS = """\
The counts say which work the series adds to the interrupt path. They do not say how long a
processor takes for it: the cycles are assumed, for caches that hold everything and locks that
nobody contends for. So they can show that something is negligible or not, and where to measure;
they cannot replace the measurement."""


@click.command(epilog=example("fakeproc cost", "fakeproc cost --steps"))
@click.option("--steps", is_flag=True, help="List the steps that are counted.")
@json_option
def cost(steps: bool, as_json: bool) -> None:
    """Count the steps of the interrupt path without the series and with it.

    For 1, 4 and 16 channels whose flags one interrupt finds, on x86 and arm64,
    in steps, assumed cycles, and nanoseconds at the clock rate of the default
    profile of each architecture.
    """
    if steps:
        print_rows(STEP_COLUMNS, _steps(), as_json)
        return
    columns = ("", "channels", "", "steps", "cycles", "ns", "more ns a channel")
    names = ("architecture", "channels", "kernel", "steps", "cycles", "ns", "more_ns_a_channel")
    print_rows(names if as_json else columns, _costs(), as_json)
    if not as_json:
        click.echo(f"\n{SAYS}")


def _steps() -> list[tuple[str, ...]]:
    from fakeproc.guest.hv.interrupt_path import STEPS

    return [
        (
            step.per,
            step.what,
            step.function,
            step.kind,
            str(step.before),
            str(step.after),
            str(int(step.patch)) if step.patch else "",
            step.only or "",
        )
        for step in STEPS
    ]


def _costs() -> list[tuple[str, ...]]:
    from fakeproc.guest.hv import interrupt_path as path
    from fakeproc.profiles import load
    from fakeproc.series import SERIES

    rows: list[tuple[str, ...]] = []
    for architecture, profile in (("x86", "hyperv-gen2"), ("arm64", "hyperv-arm64")):
        arm64, khz = architecture == "arm64", load(profile).cpus.khz
        for channels in CHANNELS:
            for name in ("absent", "as meant"):
                found = path.cost(SERIES[name], channels, arm64=arm64)
                more = path.extra_cost(SERIES[name], SERIES["absent"], channels, khz, arm64=arm64)
                rows.append(
                    (
                        architecture,
                        str(channels),
                        "without the series" if name == "absent" else "with it",
                        str(found.steps),
                        str(found.cycles),
                        f"{found.cycles * 1_000_000 / khz:.0f}",
                        f"{more / channels:.0f}" if name != "absent" else "",
                    )
                )
    return rows
