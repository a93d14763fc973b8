# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""B1: lines of code by part, as published and as counted in this tree.

Rows have metric `lines`, system `artifact` and the part as x; parts named as in the reference
numbers (kernel, eBPF, daemon, libraries, total) stand beside them.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from plots import style, systems
from plots.data import Rows
from plots.paper import Paper

_HATCH = {"facecolor": "white", "hatch": "//////"}


@style.figure
def draw(data: dict, paper: Paper | None = None) -> Figure:
    rows = Rows(data)
    entries = paper.absolutes("B1") if paper else []
    parts = list(dict.fromkeys([*(e.x for e in entries), *rows.xs("lines")]))
    if not parts:
        sheet = style.Sheet(data)
        sheet.empty(sheet.axes[0], style.nothing(rows))
        return sheet.finish(footed=False)
    grey, ours = systems.system("etran").colour, systems.system("artifact").colour
    bars = []  # per part: (value, look)
    for part in parts:
        found = [
            (e.ends[0], {"color": grey} if _counted(e.source) else _HATCH)
            for e in entries
            if e.x == part
        ]
        if row := rows.get("artifact", "lines", part):
            found.append((row.value, {"color": ours, "edgecolor": ours}))
        bars.append(found)

    sheet = style.Sheet(data, height=0.55 + 0.1 * len(parts) + 0.15 * sum(map(len, bars)))
    axes = sheet.axes[0]
    at, middles = 0.0, []
    for found in bars:
        middles.append(at + (len(found) - 1) / 2)
        for value, look in found:
            axes.barh(at, value, 0.86, **{"edgecolor": grey, "linewidth": 0.8, **look})
            _label(axes, value, at)
            at += 1
        at += 0.7
    if any(not _counted(e.source) for e in entries):
        sheet.legend(style.PAPER_BAR, "eTran, published")
    if any(_counted(e.source) for e in entries):
        sheet.legend(Patch(facecolor=grey), "eTran, counted by us in its repository")
    if rows.of(metric="lines"):
        sheet.legend(Patch(facecolor=ours), "this artifact, counted")
    axes.set_yticks(middles, [str(p) for p in parts])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(at - 0.9, -0.8)
    axes.set_xlim(0, max(v for found in bars for v, _ in found) * 1.12)
    axes.set_xlabel("Lines of code")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    if entries:
        sheet.note("Sources: " + "; ".join(dict.fromkeys(e.source for e in entries)) + ".")
    for said in paper.said("B1") if paper else ():
        sheet.note(f"{said.text} [{said.source}]")
    return sheet.finish(footed=False)


def _counted(source: str) -> bool:
    return "counted by us" in source


def _label(axes: Axes, x: float, y: float) -> None:
    axes.annotate(
        f"{x:,.0f}",
        (x, y),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=6.5,
    )
