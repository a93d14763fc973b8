# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""T1, T2: a rate against the message size."""

from __future__ import annotations

from matplotlib.figure import Figure

from plots import bars, style, systems
from plots.data import Rows
from plots.paper import Paper
from plots.ratios import targets


@style.figure
def draw(data: dict, paper: Paper | None = None) -> Figure:
    return sweep(data, paper, style.axis_label("Message size", "bytes"))


def sweep(data: dict, paper: Paper | None, label: str) -> Figure:
    """Rates against any logarithmic x; one panel per metric that was measured."""
    rows = Rows(data)
    metrics = [m for m in ("goodput", "throughput") if m in rows.metrics()]
    sheet = style.Sheet(data, columns=max(len(metrics), 1))
    if not metrics:
        sheet.empty(sheet.axes[0], style.nothing(rows))
        return sheet.finish()
    for axes, metric in zip(sheet.axes, metrics, strict=True):
        style.lines(sheet, axes, rows, metric)
        drawn = list(targets(rows, paper, data["figure"], metric))
        for goal in drawn:
            look = style.hollow(goal.system)
            axes.plot([goal.x] * 2, [goal.low, goal.high], **look)
        if drawn:
            bars.note_targets(sheet, drawn)
        shown = rows.of(metric=metric)
        style.size_axis(axes, sorted({r.x for r in shown}))
        axes.set_ylabel(style.axis_label(systems.metric(metric).label, shown[0].unit))
        axes.set_ylim(bottom=0)
        style.thousands(axes)
        style.counted(axes, label, shown)
    for said in paper.said(data["figure"]) if paper else ():
        sheet.note(f"Published without values: {said.text} [{said.source}]")
    sheet.note(style.invalid_note(rows))
    return sheet.finish()
