# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""B2: years from a transport's proposal to its arrival in the mainline kernel, as published."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from plots import style
from plots.paper import Entry, Paper

LAST_YEAR = 2025  # of the sources; a transport that had not landed stays open beyond it


@style.figure
def draw(data: dict, paper: Paper | None = None) -> Figure:
    entries = paper.absolutes("B2") if paper else []
    names = list(dict.fromkeys(e.system for e in entries))
    if not names:
        sheet = style.Sheet(data)
        sheet.empty(sheet.axes[0], "No reference numbers are at hand for this figure.")
        return sheet.finish()
    sheet = style.Sheet(data, height=0.45 + 0.3 * len(names))
    axes = sheet.axes[0]
    for at, name in enumerate(names):
        begin = [e for e in entries if (e.system, e.metric) == (name, "proposed")]
        end = [e for e in entries if (e.system, e.metric) == (name, "landed")]
        _bar(axes, at, begin, end)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(2008, LAST_YEAR + 2.6)
    axes.set_xticks(range(2008, LAST_YEAR + 1, 2))
    axes.set_xlabel("Year")
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    sources = "; ".join(dict.fromkeys(e.source for e in entries))
    sheet.note(
        f"Published, not measured: {sources}. Pale ends: years about which a source is vague."
    )
    for one in (e for e in entries if e.conflicts_with):
        sheet.note(f"Sources disagree: {one.system} {one.metric} {one.text()} [{one.source}].")
    return sheet.finish(footed=False)


def _bar(axes: Axes, at: int, begin: list[Entry], end: list[Entry]) -> None:
    starts = [v for e in begin for v in e.ends]
    stops = [v for e in end for v in e.ends]
    solid = (max(starts), min(stops) if stops else LAST_YEAR)
    whole = (min(starts), max(stops) if stops else LAST_YEAR)
    colour = "#0072b2" if stops else "#d55e00"
    axes.barh(at, whole[1] - whole[0], 0.5, whole[0], color=colour, alpha=0.3, linewidth=0)
    axes.barh(at, solid[1] - solid[0], 0.5, solid[0], color=colour, linewidth=0)
    if stops:
        least, most = solid[1] - solid[0], whole[1] - whole[0]
        text = f"{least:g} years" if least == most else f"{least:g}–{most:g} years"
    else:
        axes.plot(LAST_YEAR, at, marker=">", color=colour, markersize=8, clip_on=False)
        text = "not landed"
    axes.annotate(
        text,
        (whole[1], at),
        xytext=(8 if not stops else 4, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
    )
