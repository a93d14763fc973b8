# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""T4: request latency of the key-value store, at one load or against the load."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from plots import bars, style, systems
from plots.data import Rows
from plots.latency import percentiles
from plots.paper import Paper
from plots.ratios import targets

PERCENTILES = ("p50", "p99")


@style.figure
def draw(data: dict, paper: Paper | None = None) -> Figure:
    rows = Rows(data)
    metrics = [m for m in PERCENTILES if m in rows.metrics()]
    if not metrics:
        sheet = style.Sheet(data)
        sheet.empty(sheet.axes[0], style.nothing(rows))
        return sheet.finish()
    if len(rows.xs(*metrics)) == 1:
        return percentiles(data, paper, "Request latency")
    sheet = style.Sheet(data, columns=len(metrics))
    for axes, metric in zip(sheet.axes, metrics, strict=True):
        _lines(sheet, axes, rows, paper, data, metric)
        axes.set_ylabel(style.axis_label(f"{systems.metric(metric).label} of requests", "us"))
    for said in paper.said(data["figure"]) if paper else ():
        sheet.note(f"Published without values: {said.text} [{said.source}]")
    sheet.note(style.invalid_note(rows))
    return sheet.finish()


def _lines(
    sheet: style.Sheet, axes: Axes, rows: Rows, paper: Paper | None, data: dict, metric: str
) -> None:
    style.lines(sheet, axes, rows, metric)
    drawn = list(targets(rows, paper, data["figure"], metric))
    # One mark per system, at the lightest load: beyond it the baseline saturates by itself.
    lightest = [t for t in drawn if t.x == rows.xs(metric)[0]]
    for goal in lightest:
        axes.plot([goal.x] * 2, [goal.low, goal.high], **style.hollow(goal.system))
    bars.note_targets(sheet, lightest)
    if lightest:
        sheet.note("The published ratios, whose load is not stated, stand at the lightest load.")
    shown = rows.of(metric=metric)
    values = [r.value for r in shown] + [t.low for t in lightest]
    if min(values) > 0 and max(values) / min(values) > 12:
        axes.set_ylim(min(values) / 1.4, max(values) * 1.4)
        style.plain_log(axes)
    else:
        axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda value, _: systems.plain(value))
    label = style.axis_label(data.get("x_label") or "Offered load", data.get("x_unit") or "")
    style.counted(axes, label, shown)
