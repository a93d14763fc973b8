# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""H5 to H8: slowdown, and the raw round-trip time, against message size in a mix of sizes.

x is the cumulative fraction of messages, labelled with sizes, as is usual for these workloads:
each step covers the share of messages in its bucket. Slowdown depends on the best possible time
that it is divided by; the raw time beside it does not.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from plots import bars, style, systems
from plots.data import Row, Rows, curves
from plots.paper import Paper
from plots.ratios import Target, targets

PANELS = (
    ("Slowdown", "", (("slowdown_p50", "p50"), ("slowdown_p99", "p99"))),
    ("Round-trip time", "us", (("p50", "p50"), ("p99", "p99"))),
)
_LOOK = {"p50": {"linewidth": 0.9, "linestyle": (0, (3, 1.4))}, "p99": {"linewidth": 1.5}}


@style.figure
def draw(data: dict, paper: Paper | None = None) -> Figure:
    rows = Rows(_with_series(data))
    if not rows.drawable:
        sheet = style.Sheet(data)
        sheet.empty(sheet.axes[0], style.nothing(rows))
        return sheet.finish()
    sheet = style.Sheet(data, columns=2, height=2.3)
    axis = _fractions(rows, data)
    goals: list[Target] = []
    for axes, (name, unit, metrics) in zip(sheet.axes, PANELS, strict=True):
        shown = [r for m, _ in metrics for r in rows.of(metric=m) if r.x in axis]
        if not shown:
            what = "No valid slowdown" if not unit else "No valid raw round-trip time"
            sheet.empty(axes, f"{what} is stored for this figure.")
            continue
        goals += _panel(sheet, axes, rows, paper, data, axis, metrics)
        axes.set_ylabel(style.axis_label(name, unit))
        style.counted(axes, "Message size (bytes), by share of messages", shown)
    for text, look in (("P99", "p99"), ("P50", "p50")):
        sheet.legend(Line2D([], [], color=style.GREY, **_LOOK[look]), text)
    bars.note_targets(sheet, goals)
    if paper is not None and paper.ratios(data["figure"]):
        sheet.cite(paper.ratios(data["figure"]))
    sheet.note(style.invalid_note(rows))
    return sheet.finish()


def _with_series(data: dict) -> dict:
    """Curves that have no rows of their own count as rows without a spread."""
    have = {(r["system"], r["metric"]) for r in data.get("rows", ())}
    extra = []
    for curve in curves(data, "slowdown"):
        metric = curve.get("metric", "slowdown_p99")
        if (curve["system"], metric) in have:
            continue
        for size, value in zip(curve.get("labels", ()), curve["ys"], strict=False):
            extra.append(
                {
                    "system": curve["system"],
                    "metric": metric,
                    "x": size,
                    "unit": "x" if metric.startswith("slowdown") else "us",
                    "value": value,
                    "valid": True,
                }
            )
    return {**data, "rows": [*data.get("rows", ()), *extra]}


def _fractions(rows: Rows, data: dict) -> dict[float, tuple[float, float]]:
    """Size -> the share of messages at which its bucket begins and ends."""
    ends: dict[float, float] = {}
    for curve in data.get("series") or ():
        if curve["kind"] == "slowdown":
            ends.update(zip(curve.get("labels", ()), curve["xs"], strict=False))
    sizes = [x for x in rows.xs() if isinstance(x, (int, float))]
    if not all(s in ends for s in sizes):
        ends = {s: (i + 1) / len(sizes) for i, s in enumerate(sizes)}  # equal shares: deciles
    begin, found = 0.0, {}
    for size in sorted(ends):
        found[size] = (begin, ends[size])
        begin = ends[size]
    return found


def _panel(
    sheet: style.Sheet,
    axes: Axes,
    rows: Rows,
    paper: Paper | None,
    data: dict,
    axis: dict[float, tuple[float, float]],
    metrics: tuple[tuple[str, str], ...],
) -> list[Target]:
    values: list[float] = []
    drawn: list[Target] = []
    for metric, look in metrics:
        for name in rows.systems(metric):
            points = [r for r in rows.of(name, metric) if r.x in axis]
            _steps(axes, points, axis, name, look)
            values += [v for r in points for v in (r.value, *r.ends) if v > 0]
            sheet.legend(
                Line2D([], [], color=systems.system(name).colour, linewidth=2), systems.label(name)
            )
        goals = [t for t in targets(rows, paper, data["figure"], metric) if t.entry.x is not None]
        for goal in goals:
            begin, end = axis[goal.x]
            axes.plot((begin + end) / 2, goal.low, **style.hollow(goal.system, marker="o"))
            values.append(goal.low)
        drawn += goals
    if not metrics[0][0].startswith("p"):
        axes.axhline(1, color="#aaaaaa", linewidth=0.8, zorder=1)
        values.append(1)
    if values:
        axes.set_ylim(min(values) / 1.3, max(values) * 1.5)
        style.plain_log(axes)
    axes.set_xlim(0, 1)
    sizes = sorted(axis)
    shown = sizes if len(sizes) <= 11 else _deciles(sizes, axis)
    axes.set_xticks([axis[s][1] for s in shown], [systems.size(s) for s in shown])
    axes.tick_params(axis="x", labelsize=6.5, pad=1.5)
    if len(shown) > 6:
        for text in axes.get_xticklabels():
            text.set(rotation=40, ha="right", rotation_mode="anchor")
    return drawn


def _deciles(sizes: list[float], axis: dict[float, tuple[float, float]]) -> list[float]:
    """The first size at or beyond each tenth of the messages."""
    found: list[float] = []
    for tenth in range(1, 11):
        size = next((s for s in sizes if axis[s][1] >= tenth / 10 - 1e-9), sizes[-1])
        if size not in found:
            found.append(size)
    return found


def _steps(
    axes: Axes, points: list[Row], axis: dict[float, tuple[float, float]], name: str, look: str
) -> None:
    colour = systems.system(name).colour
    xs: list[float] = []
    ys: list[float] = []
    for row in points:
        begin, end = axis[row.x]
        xs += [begin, end]
        ys += [row.value] * 2
        low, high = row.ends
        if high > low and end - begin > 0.03:
            axes.errorbar(
                (begin + end) / 2,
                row.value,
                yerr=style.errors([row]),
                color=colour,
                elinewidth=0.8,
                capsize=1.5,
            )
    axes.plot(xs, ys, color=colour, solid_joinstyle="miter", **_LOOK[look])
