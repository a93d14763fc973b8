# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The comparison table of the terminal. Needs nothing but Python, so that `compare` stays quick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from plots import systems
from plots.data import Rows, x_key
from plots.paper import Paper
from plots.ratios import compare

_HEAD = ("figure", "system", "metric", "x", "median", "spread", "n", "paper", "unit", "")
_RIGHT = {3, 4, 5, 6, 7}


def table(rows: Iterable[dict], paper: Paper | None = None) -> str:
    """Rows, as `compare` flattens them, side by side with the published values.

    With `paper`, the ratios that a figure's sources give follow its rows.
    """
    rows = sorted(rows, key=_order)
    if not rows:
        return "no results"
    blocks = []
    for figure in dict.fromkeys(r["figure"] for r in rows):
        blocks.append([_cells(r) for r in rows if r["figure"] == figure])
    widths = [max(len(c[i]) for b in (*blocks, [_HEAD]) for c in b) for i in range(len(_HEAD))]
    rule = "  ".join("-" * w for w in widths).rstrip()
    out = [_line(_HEAD, widths), rule]
    for number, block in enumerate(blocks):
        if number:
            out.append("")
        out += [_line(cells, widths) for cells in block]
        if paper is not None:
            figure = block[0][0]
            out += _ratio_lines([r for r in rows if r["figure"] == figure], paper, figure)
    return "\n".join(out)


def _order(row: dict) -> tuple:
    names = list(systems.METRICS)
    metric = names.index(row["metric"]) if row["metric"] in names else len(names)
    order = list(systems.SYSTEMS)
    system = order.index(row["system"]) if row["system"] in order else len(order)
    return (_figure_key(row["figure"]), metric, row["metric"], x_key(row["x"]), system)


def _figure_key(figure: str) -> tuple[int, str, int]:
    """H before T before B before the named ones; H2 before H10."""
    head, digits = figure[:1], figure[1:]
    if digits.isdigit():
        return ("HTB".find(head) % 9, head, int(digits))
    return (9, figure, 0)


def _cells(row: dict) -> tuple[str, ...]:
    value = row["value"]
    flag = "" if row["valid"] else "INVALID"
    if row.get("unfinished"):
        flag = "requests never ended"
    elif value is None:
        flag = "too few samples"
    elif row.get("pooled"):
        flag = "all repetitions pooled"
    x = row["x"]
    return (
        row["figure"],
        row["system"],
        row["metric"],
        f"{x:g}" if isinstance(x, float) else "" if x is None else str(x),
        systems.number(value),
        systems.number(row["spread"]) if row.get("spread") is not None else "–",
        str(row["n"]),
        systems.plain(row["paper"]) if row.get("paper") is not None else "",
        systems.unit(row["unit"]),
        flag,
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        c.rjust(w) if i in _RIGHT else c.ljust(w)
        for i, (c, w) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _ratio_lines(rows: list[dict], paper: Paper, figure: str) -> list[str]:
    out = []
    for one in compare(Rows({"rows": rows}), paper, figure):
        entry = one.entry
        metric = systems.metric(entry.metric).label
        what = f"{systems.label(entry.system)} vs. {systems.label(one.versus)}, {metric}"
        mine = f"measured {one.text()}" if one.measured else one.verdict()
        tail = f" ({one.verdict()})" if one.measured else ""
        out.append(f"    {what}: {mine}, paper {entry.text()}{tail}")
    return out
