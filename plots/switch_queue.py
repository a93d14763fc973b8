# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""queue: the switch's output queue over time, one panel per system, with the marking threshold."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from plots import style, systems
from plots.data import Rows, counts, curves
from plots.paper import Paper


@style.figure
def draw(data: dict, paper: Paper | None = None) -> Figure:
    rows = Rows(data)
    over_time = curves(data, "timeseries")
    names = systems.ordered(c["system"] for c in over_time)
    if not names:
        sheet = style.Sheet(data)
        sheet.empty(sheet.axes[0], style.nothing(rows))
        return sheet.finish()
    settings = data.get("settings") or {}
    mark, full = settings.get("ecn_k_bytes"), settings.get("buffer_bytes")
    sheet = style.Sheet(data, rows=len(names), height=0.55 + 1.05 * len(names))
    top = max(y for c in over_time for y in c["ys"])
    end = max(x for c in over_time for x in c["xs"])
    ms = end > 5000
    highest = max(top, (mark or 0) / 1000)  # K is always in sight
    if full and full / 1000 < 1.3 * top:
        highest = max(highest, full / 1000)
    for axes, name in zip(sheet.axes, names, strict=True):
        look = systems.system(name)
        # One repetition: the picture is of the shape; the numbers below are over all of them.
        curve = next(c for c in over_time if c["system"] == name)
        xs = [x / 1000 if ms else x for x in curve["xs"]]
        axes.fill_between(xs, curve["ys"], step="post", color=look.colour, alpha=0.25, linewidth=0)
        axes.step(xs, curve["ys"], where="post", color=look.colour, linewidth=0.8)
        _line(axes, mark, "K", (0, (4, 2)))
        if full and full / 1000 < 1.3 * top:
            _line(axes, full, "buffer", (0, (1, 1.5)))
        axes.set_title(look.label + _summary(rows, name), fontsize=7.5, pad=3)
        axes.set_ylabel("Queue (kB)")
        axes.set_xlim(0, end / 1000 if ms else end)
        axes.set_ylim(0, highest * 1.08)
        if axes is not sheet.axes[-1]:
            axes.set_xticklabels([])
    sheet.axes[-1].set_xlabel(style.axis_label("Time", "ms" if ms else "us"))
    if behind := counts(r for r in rows.drawable if r.metric.startswith("queue")):
        sheet.note(f"Curves: one repetition; percentiles: {behind} of the queue.")
    sheet.note(style.invalid_note(rows))
    return sheet.finish()


def _line(axes: Axes, size: float | None, name: str, dash: tuple) -> None:
    """A level of the queue with its name beside the panel."""
    if not size:
        return
    axes.axhline(size / 1000, color="black", linewidth=0.9, linestyle=dash)
    axes.annotate(
        f"{name} = {size / 1000:g} kB",
        (1.005, size / 1000),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=7,
        annotation_clip=False,
    )


def _summary(rows: Rows, name: str) -> str:
    words = []
    for metric in ("queue_p50", "queue_p99"):
        if found := rows.of(name, metric):
            text = systems.metric(metric).label.removeprefix("Queue ")
            words.append(f"{text} {systems.number(found[0].value)} kB")
    return " – " + ", ".join(words) if words else ""
