# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The look shared by all figures: fonts, sizes, the sheet around the panels, deterministic files.

No pyplot and no global state: a figure is drawn and saved inside `context()`, which starts from
matplotlib's own defaults, so that a user's matplotlibrc changes nothing.
"""

from __future__ import annotations

import contextlib
import functools
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LOAD_NO_HINTING
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from plots import systems
from plots.data import Row, Rows, conditions, counts
from plots.paper import Entry, Paper

RC = {
    "backend": "agg",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 2.0,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "lines.markeredgewidth": 0.9,
    "errorbar.capsize": 2,
    "hatch.linewidth": 0.7,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # TrueType: what conferences' format checkers accept
    "ps.fonttype": 42,
    "svg.hashsalt": "etran",
}

GREY = "#666666"
WIDTH = 6.4  # inches; two columns of a conference paper are 7
_NOTE, _FOOT = 6.5, 6.2  # points


@contextlib.contextmanager
def context() -> Iterator[None]:
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def figure(draw: Callable[[dict, Paper | None], Figure]) -> Callable[[dict, Paper | None], Figure]:
    """Decorates a module's draw(data, paper), so that it needs no setting up by its caller."""

    @functools.wraps(draw)
    def wrapped(data: dict, paper: Paper | None = None) -> Figure:
        with context():
            return draw(data, paper)

    return wrapped


def save(fig: Figure, stem: Path) -> list[Path]:
    """Writes stem.png and stem.pdf without a date or version in them: same data, same bytes."""
    png, pdf = stem.with_suffix(".png"), stem.with_suffix(".pdf")
    with context():
        fig.savefig(png, metadata={"Software": None})
        fig.savefig(pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return [png, pdf]


class Sheet:
    """A figure with a title and legend above its panels, notes and the footer below them.

    Panels keep the size they are asked for, however long the notes get. Call finish() last.
    """

    def __init__(
        self,
        data: dict,
        columns: int = 1,
        rows: int = 1,
        height: float = 2.1,
        width: float = WIDTH,
        **grid: object,
    ):
        self._data = data
        self._width, self._panels = width, height
        self.fig = Figure(figsize=(width, height), layout="constrained")
        axes = self.fig.subplots(rows, columns, squeeze=False, gridspec_kw=grid or None)
        self.axes: list[Axes] = list(axes.flat)
        self._notes: list[str] = []
        self._cited: list[Entry] = []
        self._legend: list[tuple[Artist, str]] = []

    def legend(self, handle: Artist, text: str) -> None:
        if text not in (t for _, t in self._legend):
            self._legend.append((handle, text))

    def cite(self, entries: Sequence[Entry]) -> None:
        """Names the sources of published values that the figure shows."""
        for entry in entries:
            if entry not in self._cited:
                self._cited.append(entry)

    def note(self, text: str) -> None:
        if text and text not in self._notes:
            self._notes.append(text)

    def empty(self, axes: Axes, why: str) -> None:
        """Says in a panel why it shows nothing."""
        columns = axes.get_subplotspec().get_gridspec().ncols
        axes.set_axis_off()
        axes.text(
            0.5,
            0.5,
            textwrap.fill(why, 46 // columns),
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=GREY,
            fontsize=9,
        )

    def _legend_lines(self) -> list[list[tuple[Artist, str]]]:
        """The legend's entries in lines that fit, in their order."""
        lines: list[list[tuple[Artist, str]]] = []
        size, left = RC["legend.fontsize"], 0.0
        for entry in self._legend:
            need = text_width(entry[1], size) + size * 4.0  # handle, its gap, the column gap
            if need > left:
                lines.append([])
                left = (self._width - 0.1) * 72
            lines[-1].append(entry)
            left -= need
        return lines

    def _wrap(self, text: str, points: float) -> str:
        """Breaks a text into lines that fit the sheet."""
        lines, room = [""], (self._width - 0.16) * 72
        for word in text.split(" "):
            longer = f"{lines[-1]} {word}".strip()
            if text_width(longer, points) <= room:
                lines[-1] = longer
            else:
                lines.append(word)
        return "\n".join(lines)

    def finish(self, footed: bool = True) -> Figure:
        """Adds what stands around the panels; `footed` is off for figures nobody measured."""
        title = f"{self._data['figure']}  {self._data['title']}"
        notes = [cite(self._cited), disagreement(self._cited), *self._notes]
        notes = "\n".join(self._wrap(n, _NOTE) for n in notes if n)
        foot = self._wrap(conditions(self._data.get("settings") or {}), _FOOT) if footed else ""
        lines = self._legend_lines()

        line = 0.158
        top = 0.27 + line * len(lines) + (0.05 if lines else 0)
        foot_height = 0.115 * (foot.count("\n") + 1) + 0.05 if foot else 0.03
        note_height = 0.128 * (notes.count("\n") + 1) + 0.06 if notes else 0
        bottom = foot_height + note_height + 0.03
        height = self._panels + top + bottom
        self.fig.set_size_inches(self._width, height)

        self.fig.text(
            0.08 / self._width,
            1 - 0.07 / height,
            title,
            fontsize=9,
            fontweight="bold",
            va="top",
        )
        for number, entries in enumerate(lines):
            self.fig.legend(
                [handle for handle, _ in entries],
                [text for _, text in entries],
                loc="upper left",
                bbox_to_anchor=(0.05 / self._width, 1 - (0.25 + line * number) / height),
                ncol=len(entries),
                columnspacing=1.4,
                handletextpad=0.5,
                borderaxespad=0,
                borderpad=0.1,
            )
        if notes:
            self.fig.text(
                0.08 / self._width,
                (foot_height + 0.02) / height,
                notes,
                fontsize=_NOTE,
                color="#333333",
                va="bottom",
                linespacing=1.25,
            )
        self.fig.text(
            0.08 / self._width,
            0.04 / height,
            foot,
            fontsize=_FOOT,
            color=GREY,
            va="bottom",
            linespacing=1.2,
        )
        self.fig.get_layout_engine().set(
            rect=(0, bottom / height, 1, 1 - (top + bottom) / height), w_pad=0.08, h_pad=0.03
        )
        return self.fig


def text_width(text: str, points: float) -> float:
    """The width of a line of text, in points."""
    font = get_font(findfont(FontProperties(family=RC["font.family"])))
    font.set_size(points, 72)
    font.set_text(text, 0.0, flags=LOAD_NO_HINTING)
    return font.get_width_height()[0] / 64


def line_style(name: str, **extra: object) -> dict:
    look = systems.system(name)
    return {
        "color": look.colour,
        "marker": look.marker,
        "linestyle": look.dash,
        "markeredgecolor": "white",
        "markeredgewidth": 0.5,
        "markersize": 5.5,
        **extra,
    }


def hollow(name: str, **extra: object) -> dict:
    """A published value: the system's marker, not filled."""
    look = systems.system(name)
    return {
        "color": look.colour,
        "marker": look.marker,
        "markerfacecolor": "white",
        "markeredgecolor": look.colour,
        "markeredgewidth": 1.1,
        "markersize": 6.5,
        "linestyle": "none",
        "zorder": 4,
        **extra,
    }


def errors(rows: Sequence[Row]) -> list[list[float]]:
    """yerr of matplotlib's errorbar()."""
    return [
        [max(r.value - r.ends[0], 0) for r in rows],
        [max(r.ends[1] - r.value, 0) for r in rows],
    ]


def lines(sheet: Sheet, axes: Axes, rows: Rows, metric: str, **extra: object) -> None:
    """One line with error bars per system, and its legend entry."""
    for name in rows.systems(metric):
        points = rows.of(name, metric)
        look = line_style(name, **extra)
        axes.errorbar(
            [p.x for p in points],
            [p.value for p in points],
            yerr=errors(points),
            elinewidth=0.9,
            **look,
        )
        sheet.legend(Line2D([], [], **line_style(name)), systems.label(name))


def counted(axes: Axes, label: str, rows: Sequence[Row]) -> None:
    """The label of an x axis, with the number of repetitions and samples behind its points."""
    text = counts(rows)
    axes.set_xlabel(f"{label}\n{text}" if text and label else label or text)


def axis_label(name: str, unit: str) -> str:
    name = name[:1].upper() + name[1:]
    return f"{name} ({systems.unit(unit)})" if unit else name


def size_axis(axes: Axes, xs: Sequence[float]) -> None:
    """A logarithmic axis of message sizes or counts with the measured ones as ticks."""
    axes.set_xscale("log", base=2)
    shown = list(xs) if len(xs) <= 12 else list(xs)[::2]
    axes.set_xticks(shown, [systems.size(x) for x in shown])
    axes.set_xticks([], minor=True)
    low, high = min(xs), max(xs)
    axes.set_xlim(low / 1.25, high * 1.25)


def thousands(axes: Axes) -> None:
    """Ticks of large numbers as 500 k, 1.5 M."""
    axes.yaxis.set_major_formatter(lambda value, _: systems.plain(value))


def plain_log(axes: Axes) -> None:
    """A logarithmic y axis whose ticks read 1, 2, 5, 10 instead of powers."""
    from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator

    low, high = axes.get_ylim()
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    decades = high / low if low > 0 else 1e9
    if decades < 1e3:
        ticks = [m * 10.0**e for e in range(-3, 10) for m in (1, 2, 5)]
        axes.yaxis.set_major_locator(FixedLocator([t for t in ticks if low <= t <= high]))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(LogLocator(base=10, numticks=12))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(lambda value, _: systems.plain(value))


def cite(entries: Sequence[Entry]) -> str:
    """One sentence of published values, by source."""
    by_source: dict[str, list[str]] = {}
    for e in entries:
        said = f"{systems.label(e.system)} {e.text()}"
        if e.is_ratio:
            said += f" vs. {systems.label(e.versus)}"
        words = []
        if e.metric not in ("throughput", "goodput", "lines", "proposed", "landed"):
            words.append(systems.metric(e.metric).label.split()[0])
        if isinstance(e.x, str):
            words.append(e.x)
        elif e.x is not None:
            unit = "connections" if e.figure == "T3" else "B"
            words.append(systems.sized(e.x, unit))
        if words:
            said += f" ({', '.join(words)})"
        by_source.setdefault(e.source, []).append(said)
    parts = [f"{', '.join(said)} [{source}]" for source, said in by_source.items()]
    return "Published: " + "; ".join(parts) + "." if parts else ""


def disagreement(entries: Sequence[Entry]) -> str:
    if any(e.conflicts_with for e in entries):
        return "Sources disagree about some of these (see the report); none is preferred."
    return ""


def invalid_note(rows: Rows) -> str:
    """What was measured but must not be shown."""
    bad = sum(not r.valid and r.value is not None for r in rows.all)
    lost = sum(r.value is None and r.unfinished for r in rows.all)
    few = sum(r.value is None and not r.unfinished for r in rows.all)
    words = []
    if bad:
        words.append(f"{bad} invalid point{'s' if bad > 1 else ''} not drawn (see the table)")
    if few:
        words.append(f"{few} percentile{'s' if few > 1 else ''} with too few samples not drawn")
    if lost:
        words.append(f"{lost} percentile{'s' if lost > 1 else ''} among requests that never ended")
    return ("; ".join(words) + ".").capitalize() if words else ""


def nothing(rows: Rows) -> str:
    """Why a figure has nothing to show."""
    if not rows.all:
        return "No results are stored for this figure."
    if not any(r.valid for r in rows.all) and any(r.value is not None for r in rows.all):
        return f"All {len(rows.all)} results of this figure are marked invalid: none is drawn."
    return "No result of this figure has a value that can be drawn."


PAPER_BAR = Patch(facecolor="white", edgecolor=GREY, hatch="//////", linewidth=0.8)
PAPER_MARK = Line2D([], [], **hollow("linux-tcp", marker="o", color=GREY, markeredgecolor=GREY))
TARGET_MARK = Line2D(
    [],
    [],
    marker="o",
    linestyle="none",
    markerfacecolor="none",
    markeredgecolor=GREY,
    markeredgewidth=1.0,
    markersize=6,
)
