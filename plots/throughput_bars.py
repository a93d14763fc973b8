# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""H2, H3, H4, T5: one rate per system, at one or several settings."""

from __future__ import annotations

from matplotlib.figure import Figure

from plots import bars, style, systems
from plots.data import Rows
from plots.paper import Paper


@style.figure
def draw(data: dict, paper: Paper | None = None) -> Figure:
    rows = Rows(data)
    metric = next((m for m in ("goodput", "throughput") if m in rows.metrics()), None)
    if data["figure"] != "H2" and "throughput" in rows.metrics():
        metric = "throughput"
    sheet = style.Sheet(data)
    axes = sheet.axes[0]
    if metric is None:
        sheet.empty(axes, style.nothing(rows))
        return sheet.finish()
    xs = rows.xs(metric)
    name = data.get("x_label") or ""
    bytes_axis = data.get("x_unit") in ("B", "bytes")
    texts = [systems.sized(x, "B") if bytes_axis else _text(x) for x in xs]
    groups = [bars.Group(t, metric, x) for t, x in zip(texts, xs, strict=True)]
    drawn = bars.draw(sheet, axes, rows, paper, data["figure"], groups)
    unit = next(r.unit for r in drawn.rows)
    axes.set_ylabel(style.axis_label(systems.metric(metric).label, unit))
    style.thousands(axes)
    label = style.axis_label(name, "" if bytes_axis else data.get("x_unit") or "") if name else ""
    if len(xs) == 1:
        unit = "" if bytes_axis else data.get("x_unit") or ""
        label = (
            style.axis_label(f"{name}: {texts[0]} {unit}".strip(), "")
            if name and xs[0] is not None
            else ""
        )
    style.counted(axes, label, drawn.rows)
    sheet.note(style.invalid_note(rows))
    return sheet.finish()


def _text(x: object) -> str:
    return f"{x:,g}" if isinstance(x, (int, float)) else "" if x is None else str(x)
