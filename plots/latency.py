# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""H1, T6: round-trip times of one message at a time, as percentiles and as a distribution."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from plots import bars, style, systems
from plots.data import Rows, curves, x_key
from plots.paper import Paper

PERCENTILES = ("p50", "p99", "p999")


@style.figure
def draw(data: dict, paper: Paper | None = None) -> Figure:
    return percentiles(data, paper, "Round-trip time")


def percentiles(data: dict, paper: Paper | None, name: str) -> Figure:
    """Percentiles of some latency, and the tail of its distribution where one is stored."""
    rows = Rows(data)
    tails = curves(data, "cdf")
    # Of several sizes the smallest: one line per system is all that a panel can hold.
    smallest = min((c.get("x") for c in tails), key=x_key, default=None)
    tails = [c for c in tails if c.get("x") == smallest]
    sheet = style.Sheet(data, columns=2 if tails else 1, width_ratios=[1.35, 1] if tails else [1])
    metrics = [m for m in PERCENTILES if m in rows.metrics()]
    if not metrics:
        sheet.empty(sheet.axes[0], style.nothing(rows))
    elif len(rows.xs(*metrics)) == 1:
        _bars(sheet, sheet.axes[0], rows, paper, data, metrics)
        sheet.axes[0].set_ylabel(style.axis_label(name, "us"))
    else:
        _lines(sheet, sheet.axes[0], rows, paper, data, metrics)
    if tails:
        _tail(sheet, sheet.axes[1], tails)
        label = style.axis_label(name, "us")
        if len(rows.xs(*metrics)) > 1 and isinstance(smallest, (int, float)):
            label += f" at {systems.sized(smallest, data.get('x_unit') or 'B')}"
        each = (
            "one line per repetition"
            if len({c.get("rep") for c in tails}) > 1
            else "one repetition"
        )
        sheet.axes[1].set_xlabel(f"{label}\n{each}")
    for said in paper.said(data["figure"]) if paper else ():
        sheet.note(f"Published without values: {said.text} [{said.source}]")
    sheet.note(style.invalid_note(rows))
    return sheet.finish()


def _bars(
    sheet: style.Sheet, axes: Axes, rows: Rows, paper: Paper | None, data: dict, metrics: list[str]
) -> None:
    x = rows.xs(*metrics)[0]
    groups = [bars.Group(systems.metric(m).label, m, x) for m in metrics]
    drawn = bars.draw(sheet, axes, rows, paper, data["figure"], groups)
    style.counted(axes, "Percentile" if len(groups) > 1 else "Median", drawn.rows)


def _lines(
    sheet: style.Sheet, axes: Axes, rows: Rows, paper: Paper | None, data: dict, metrics: list[str]
) -> None:
    """Several message sizes: P50 solid, P99 thin; percentiles beyond stay in the table."""
    style.lines(sheet, axes, rows, "p50")
    if "p99" in metrics:
        style.lines(sheet, axes, rows, "p99", linewidth=0.8, markersize=3.5, alpha=0.75)
        sheet.legend(Line2D([], [], color=style.GREY, linewidth=1.4), "P50")
        sheet.legend(Line2D([], [], color=style.GREY, linewidth=0.8), "P99 (thin)")
    quoted = []
    for entry in paper.absolutes(data["figure"]) if paper else ():
        if entry.metric in ("p50", "p99") and isinstance(entry.x, (int, float)):
            axes.plot(entry.x, sum(entry.ends) / 2, **style.hollow(entry.system))
            quoted.append(entry)
    if quoted:
        sheet.legend(style.PAPER_MARK, "published")
        sheet.cite(quoted)
    xs = [x for x in rows.xs(*metrics) if isinstance(x, (int, float)) and x > 0]
    style.size_axis(axes, xs + [e.x for e in quoted])
    axes.set_ylabel(style.axis_label("Round-trip time", "us"))
    axes.set_ylim(bottom=0)
    shown = [r for r in rows.drawable if r.metric in ("p50", "p99")]
    style.counted(axes, style.axis_label("Message size", "bytes"), shown)


def _tail(sheet: style.Sheet, axes: Axes, tails: list[dict]) -> None:
    """The complement of the distribution, so that the tail is as visible as the middle."""
    floor = 1.0
    for name in systems.ordered(c["system"] for c in tails):
        look = systems.system(name)
        for curve in (c for c in tails if c["system"] == name):
            left = [max(1 - y, 0) for y in curve["ys"]]
            axes.step(
                [curve["xs"][0], *curve["xs"]],
                [1, *left],
                where="post",
                color=look.colour,
                linestyle=look.dash,
                linewidth=1.1,
            )
            floor = min([floor, *(v for v in left if v > 0)])
        sheet.legend(Line2D([], [], color=look.colour, linestyle=look.dash), look.label)
    axes.set_yscale("log")
    axes.set_xscale("log")
    axes.set_ylim(floor / 1.5, 1.15)
    highest = max(x for c in tails for x in c["xs"])
    lowest = min(x for c in tails for x in c["xs"])
    axes.set_xlim(lowest / 1.05, highest * 1.08)
    for share, text in ((0.5, "P50"), (0.01, "P99"), (0.001, "P99.9")):
        if share >= floor / 1.5:
            axes.axhline(share, color="#aaaaaa", linewidth=0.6, linestyle=(0, (2, 2)), zorder=1)
            axes.annotate(
                text,
                (1, share),
                xycoords=("axes fraction", "data"),
                xytext=(0, 1),
                textcoords="offset points",
                ha="right",
                va="bottom",
                fontsize=6.5,
                color=style.GREY,
            )
    from matplotlib.ticker import FixedLocator, NullLocator

    ticks = [m * 10.0**e for e in range(-1, 7) for m in (1, 1.5, 2, 3, 5, 7)]
    shown = [t for t in ticks if lowest / 1.05 <= t <= highest * 1.08]
    if len(shown) > 7:
        shown = [t for t in shown if str(f"{t:e}")[0] in "125" and "1.5" not in f"{t:e}"]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylabel("Fraction taking longer")
