# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""calibration: what primitive operations cost in virtual time and natively on this host.

Rows have metric `cost`, the operation's name as x and systems `native` and `virtual`.
"""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from plots import style, systems
from plots.data import Rows
from plots.paper import Paper


@style.figure
def draw(data: dict, paper: Paper | None = None) -> Figure:
    rows = Rows(data)
    operations = [x for x in rows.xs("cost") if isinstance(x, str)]
    # In the order of the file, which is the order of the experiment.
    first = {r.x: i for i, r in reversed(list(enumerate(rows.drawable)))}
    operations.sort(key=lambda x: first[x])
    if not operations:
        sheet = style.Sheet(data)
        sheet.empty(sheet.axes[0], style.nothing(rows))
        return sheet.finish()
    sheet = style.Sheet(data, height=0.75 + 0.24 * len(operations))
    axes = sheet.axes[0]
    for at, operation in enumerate(operations):
        pair = [rows.get(name, "cost", operation) for name in ("native", "virtual")]
        points = [r for r in pair if r is not None and r.value > 0]
        axes.plot([r.value for r in points], [at] * len(points), color="#bbbbbb", linewidth=1)
        for row in points:
            low, high = row.ends
            axes.errorbar(
                row.value,
                at,
                xerr=[[max(row.value - low, 0)], [max(high - row.value, 0)]],
                **style.line_style(row.system, linestyle="none", markersize=6),
            )
        if len(points) == 2:
            axes.annotate(
                f"{systems.number(points[1].value / points[0].value)}×",
                (1.01, at),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=7,
                annotation_clip=False,
            )
    axes.annotate(
        "virtual /\nnative",
        (1.01, -0.45),
        xycoords=("axes fraction", "data"),
        va="bottom",
        fontsize=6.5,
        color=style.GREY,
        annotation_clip=False,
    )
    for name in rows.systems("cost"):
        sheet.legend(
            Line2D([], [], **style.line_style(name, linestyle="none")), systems.label(name)
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: systems.plain(value))
    axes.set_yticks(range(len(operations)), [str(o) for o in operations])
    axes.set_ylim(len(operations) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    style.counted(axes, style.axis_label("Cost of one operation", "ns"), rows.of(metric="cost"))
    sheet.note(
        "Native costs are those of this host and differ from host to host; virtual ones do not."
    )
    sheet.note(style.invalid_note(rows))
    return sheet.finish()
