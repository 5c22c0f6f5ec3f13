"""`fakeproc kernels`."""

# ruff: noqa: PLC0415

from __future__ import annotations

import click

from fakeproc.cli.options import example, print_table

__all__ = ["kernels"]


@click.command(
    epilog=example("fakeproc kernels", "fakeproc mount --kernel 6.12 /tmp/guest"),
)
def kernels() -> None:
    """List the kernels that --kernel takes: a version, and what was done with the series."""
    from fakeproc.profiles.kernels import KERNELS

    rows = [(name, version, series) for name, (version, series) in KERNELS.items()]
    print_table(("name", "version", "series"), rows)
