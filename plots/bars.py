# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Bars of systems, alone or in groups, with the published value hatched beside the measured one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from plots import style, systems
from plots.data import Row, Rows, X
from plots.paper import Entry, Paper
from plots.ratios import Target, targets


@dataclass(frozen=True)
class Group:
    """One cluster of bars: a metric at an x."""

    label: str
    metric: str
    x: X


@dataclass
class _Slot:
    """What a group shows of one system, from left to right."""

    system: str
    row: Row | None
    quoted: Entry | None
    goal: Target | None

    @property
    def bars(self) -> int:
        own = self.row is not None or self.goal is not None
        return max(own + (self.quoted is not None), 1)


@dataclass
class Drawn:
    rows: list[Row] = field(default_factory=list)
    quoted: list[Entry] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    top: float = 0.0


def _slots(rows: Rows, paper: Paper | None, figure: str, group: Group) -> list[_Slot]:
    goals = {t.system: t for t in targets(rows, paper, figure, group.metric) if t.x == group.x}
    quoted: dict[str, Entry] = {}
    for entry in paper.absolutes(figure) if paper else ():
        if entry in paper.values(figure, entry.system, group.metric, group.x):
            quoted.setdefault(entry.system, entry)
    measured = [n for n in rows.systems(group.metric) if rows.get(n, group.metric, group.x)]
    return [
        _Slot(n, rows.get(n, group.metric, group.x), quoted.get(n), goals.get(n))
        for n in systems.ordered([*measured, *quoted, *goals])
    ]


def draw(
    sheet: style.Sheet,
    axes: Axes,
    rows: Rows,
    paper: Paper | None,
    figure: str,
    groups: Sequence[Group],
) -> Drawn:
    """Draws the groups; a single group names its systems on the axis, several use the legend."""
    content = [_slots(rows, paper, figure, g) for g in groups]
    alone = len(groups) == 1
    gap = 0.9 if alone else 0.12  # between systems, in bars
    widths = [sum(s.bars for s in c) + gap * (len(c) - 1) for c in content]
    bar = 1 / (max(widths, default=0) + 1)  # a group and the space beside it are 1 wide
    if alone:
        bar = min(bar, 1 / 8)
    columns = axes.get_subplotspec().get_gridspec().ncols
    inches = bar * (style.WIDTH - 0.7 * columns) / columns / len(groups)
    drawn = Drawn()
    pen = _Pen(axes, bar, inches < 0.27, drawn)
    ticks = []
    for at, (slots, width) in enumerate(zip(content, widths, strict=True)):
        x = at - width * bar / 2 + bar / 2
        for slot in slots:
            ticks.append(x + (slot.bars - 1) * bar / 2)
            own = slot.row is not None or slot.goal is not None
            if slot.row is not None:
                pen.measured(slot.row, x)
            if slot.quoted is not None:
                pen.published(slot.quoted, x + bar * own)
            # Between narrow bars a mark hides more than the hatched bar beside it leaves to say.
            if slot.goal is not None and not (pen.upright and slot.quoted):
                pen.goal(slot.goal, x + 0.3 * bar * (slot.row is not None))
            x += bar * (slot.bars + gap)
    if alone:
        labels = [
            systems.label(s.system) + ("" if s.row else "\n(not measured)") for s in content[0]
        ]
        axes.set_xticks(ticks, labels)
        half = max(widths[0] * bar / 2 + bar, 0.3)
        axes.set_xlim(-half, half)
    else:
        axes.set_xticks(range(len(groups)), [g.label for g in groups])
        axes.set_xlim(-0.5, len(groups) - 0.5)
        for name in systems.ordered(s.system for c in content for s in c):
            look = systems.system(name)
            sheet.legend(Patch(facecolor=look.colour, linewidth=0), look.label)
    axes.tick_params(axis="x", length=0)
    if drawn.quoted:
        sheet.legend(style.PAPER_BAR, "published")
        sheet.cite(drawn.quoted)
    note_targets(sheet, drawn.targets)
    if drawn.top:
        axes.set_ylim(0, drawn.top * (1.3 if pen.upright else 1.14))
    return drawn


def note_targets(sheet: style.Sheet, drawn: Sequence[Target]) -> None:
    """Legend and sources of published ratios that were applied to a measured baseline."""
    if drawn:
        against = " or ".join(systems.label(v) for v in systems.ordered(t.versus for t in drawn))
        sheet.legend(style.TARGET_MARK, f"published ratio × our {against}")
        sheet.cite([t.entry for t in drawn])


@dataclass
class _Pen:
    axes: Axes
    bar: float
    upright: bool  # bars too narrow for numbers side by side
    drawn: Drawn

    def measured(self, row: Row, x: float) -> None:
        colour = systems.system(row.system).colour
        self.axes.bar(x, row.value, self.bar * 0.92, color=colour, linewidth=0)
        low, high = row.ends
        if high > low:
            self.axes.errorbar(
                x, row.value, yerr=style.errors([row]), color="#222222", elinewidth=0.9, capsize=2
            )
        self._label(x, high, row.value, "black")
        self.drawn.rows.append(row)

    def published(self, entry: Entry, x: float) -> None:
        low, high = entry.ends
        self.axes.bar(
            x,
            (low + high) / 2,
            self.bar * 0.88,
            facecolor="white",
            edgecolor=systems.system(entry.system).colour,
            hatch="//////",
            linewidth=0.9,
        )
        self._label(x, high, (low + high) / 2, style.GREY)
        self.drawn.quoted.append(entry)

    def goal(self, goal: Target, x: float) -> None:
        colour = systems.system(goal.system).colour
        ends = [goal.low, goal.high]
        self.axes.plot([x, x], ends, color=colour, linewidth=1.0, zorder=4)
        mark = {"marker": "o", "markerfacecolor": "white", "markeredgecolor": "#222222"}
        self.axes.plot(
            [x, x], ends, linestyle="none", markeredgewidth=1.1, markersize=6, zorder=5, **mark
        )
        self.drawn.targets.append(goal)
        self.drawn.top = max(self.drawn.top, goal.high)

    def _label(self, x: float, y: float, value: float, colour: str) -> None:
        self.axes.annotate(
            systems.number(value),
            (x, y),
            xytext=(0, 2.5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=6.5,
            color=colour,
            rotation=90 if self.upright else 0,
        )
        self.drawn.top = max(self.drawn.top, y)
