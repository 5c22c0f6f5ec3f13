"""The report: one HTML file that needs no network, and its pictures as SVG."""

from __future__ import annotations

import html
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import altair as alt
import vl_convert

from fakeproc.lab.cell import Result
from fakeproc.lab.measures import MEASURES
from fakeproc.lab.schema import Laboratory
from fakeproc.lab.tables import KEYS, Mean, compared, keys_of, means, read_cells

__all__ = ["write"]

_WIDE = 46 * 16  # pixels of a picture's data
_MAX_BANDS = 64  # CPUs that a heat map shows each on its own
_COLUMNS = tuple(measure for measure in MEASURES if measure != "interrupts")

_PAGE = Template(Path(__file__).with_name("report.html").read_text())


def write(
    laboratory: Laboratory, results: Sequence[Result], directory: Path, baseline: Path | None
) -> Path:
    """Write report.html and pictures/*.svg; returns the page's path.  Raises OSError."""
    pictures = _pictures(results)
    (directory / "pictures").mkdir(parents=True, exist_ok=True)
    for name, (_, spec) in pictures.items():
        svg = vl_convert.vegalite_to_svg(spec)
        (directory / "pictures" / f"{name}.svg").write_text(svg)
    figures = [
        f"<figure><figcaption>{html.escape(title)}</figcaption>"
        f'<div id="picture{at}"></div></figure>'
        for at, (title, _) in enumerate(pictures.values())
    ]
    old = read_cells(baseline) if baseline else {}
    body = _tables(directory / "cells.csv", old) + "\n".join(figures) + _journals(results)
    page = directory / "report.html"
    draw = "".join(
        f'vegaEmbed("#picture{at}", {_script(spec)}, {{actions: false}});\n'
        for at, (_, spec) in enumerate(pictures.values())
    )
    page.write_text(
        _PAGE.substitute(
            title=html.escape(laboratory.description.splitlines()[0]),
            said=_said(laboratory, results),
            body=body,
            script=vl_convert.javascript_bundle(draw),
        )
    )
    return page


def _script(spec: dict[str, Any]) -> str:
    """A specification within a script, which nothing in it can end."""
    return json.dumps(spec).replace("</", "<\\/")


def _said(laboratory: Laboratory, results: Sequence[Result]) -> str:
    return (
        f"{len(results)} cells of {laboratory.guest_time_s:g} seconds of guest time each, looked "
        f"at every {laboratory.sample_s:g} seconds; {len(laboratory.seeds)} seeds. An interval is "
        "that of 95 % confidence over the seeds."
    )


def _tables(cells: Path, old: Mapping[tuple[str, ...], dict[str, list[float]]]) -> str:
    """A table for each machine, kernel and traffic: a row for each tool."""
    groups: dict[tuple[str, ...], dict[str, dict[str, Mean]]] = defaultdict(dict)
    before: dict[tuple[str, ...], dict[str, Mean]] = {key: means(it) for key, it in old.items()}
    for key, values in read_cells(cells).items():
        groups[key[:-1]][key[-1]] = means(values)
    parts = []
    for group, tools in groups.items():
        heads = "".join(f"<th>{name}</th>" for name in ("tool", *_COLUMNS))
        rows = "".join(
            _row(tool, found, before.get((*group, tool))) for tool, found in tools.items()
        )
        title = html.escape(", ".join(group))
        parts.append(f"<h2>{title}</h2>\n<table><tr>{heads}</tr>\n{rows}</table>\n")
    return "".join(parts)


def _row(tool: str, found: Mapping[str, Mean], before: Mapping[str, Mean] | None) -> str:
    cells = []
    for measure in _COLUMNS:
        verdict = compared(found[measure], before[measure], measure) if before else ""
        was = f" ({verdict}: was {before[measure]})" if before and verdict else ""
        cells.append(f'<td class="{verdict}">{found[measure]}{was}</td>')
    return f"<tr><td>{html.escape(tool)}</td>{''.join(cells)}</tr>\n"


def _journals(results: Sequence[Result]) -> str:
    names = [html.escape(result.name) for result in results]
    items = "".join(f'<li><a href="journals/{it}.journal">{it}</a></li>' for it in names)
    return f"<h2>Journals</h2>\n<p>fakeproc replay plays them.</p>\n<ul>{items}</ul>\n"


def _pictures(results: Sequence[Result]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name, title and specification of each picture: of the first seed of each experiment."""
    seed = min(result.cell.seed for result in results)
    groups: dict[tuple[str, ...], list[Result]] = defaultdict(list)
    for result in results:
        if result.cell.seed == seed:
            cell = result.cell
            groups[(cell.machine.name, cell.kernel, cell.traffic.name)].append(result)
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for key, members in groups.items():
        title = ", ".join(key)
        found[f"load - {' - '.join(key)}"] = (f"Load by CPU over time: {title}", _heat(members))
    found["fairness"] = ("Jain's index of each tool, over all seeds", _fairness(results))
    return found


def _heat(members: Sequence[Result]) -> dict[str, Any]:
    """CPU by time, as hot as it is loaded: a panel a tool."""
    rows = [
        {
            "tool": result.cell.tool.name,
            "time": sample.time_s,
            "CPU": cpu,
            "interrupts": count,
        }
        for result in members
        for sample in result.samples
        for cpu, count in sample.by_cpu.items()
        if cpu < _MAX_BANDS
    ]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_rect()
        .encode(
            x=alt.X("time:O", title="seconds", axis=alt.Axis(labelOverlap=True)),
            y=alt.Y("CPU:O", title="CPU"),
            color=alt.Color("interrupts:Q", scale=alt.Scale(scheme="inferno"), title="interrupts"),
            tooltip=["tool:N", "time:Q", "CPU:O", "interrupts:Q"],
        )
        .properties(width=_WIDE // min(len(members), 2) - 60, height=220)
        .facet(facet=alt.Facet("tool:N", title=None), columns=2)
    )
    spec: dict[str, Any] = chart.to_dict()
    return spec


def _fairness(results: Sequence[Result]) -> dict[str, Any]:
    tools = len({result.cell.tool.name for result in results})
    header = alt.Header(labelAngle=0, labelAlign="left")
    rows = [
        keys_of(result) | {measure: getattr(result.measures, measure) for measure in MEASURES}
        for result in results
    ]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_tick(thickness=2)
        .encode(
            x=alt.X("jain:Q", title="Jain's index (1 is even)", scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("tool:N", title=None),
            color=alt.Color("kernel:N", title="kernel"),
            tooltip=[*(f"{key}:N" for key in KEYS), "jain:Q"],
        )
        .properties(width=_WIDE - 160, height=24 * tools)
        .facet(row=alt.Row("machine:N", title=None, header=header))
    )
    spec: dict[str, Any] = chart.to_dict()
    return spec
