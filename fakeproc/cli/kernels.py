"""`fakeproc kernels`."""

# ruff: noqa: PLC0415

from __future__ import annotations

import click

from fakeproc.cli.options import example, json_option, print_rows

__all__ = ["kernels"]


@click.command(
    epilog=example("fakeproc kernels", "fakeproc mount --kernel 6.12 /tmp/guest"),
)
@json_option
def kernels(as_json: bool) -> None:
    """List the kernels that --kernel takes: a version, and what was done with the series."""
    from fakeproc.profiles.kernels import KERNELS

    rows = [(name, version, series) for name, (version, series) in KERNELS.items()]
    print_rows(("name", "version", "series"), rows, as_json)
