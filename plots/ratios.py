# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Ratios between measured systems, beside the published ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from plots import systems
from plots.data import Row, Rows, X
from plots.paper import SHORTEST, Entry, Paper, matches

# Requests/s and Gbit/s differ by a constant factor at a given size, so their ratios are the same.
_TWIN = {"throughput": "goodput", "goodput": "throughput"}


@dataclass(frozen=True)
class Comparison:
    """One published ratio and what was measured for it."""

    entry: Entry
    versus: str
    measured: tuple[float, float] | None  # smallest and largest over the xs that apply
    at: tuple[X, ...]  # those xs
    missing: tuple[str, ...]  # systems without a measurement

    def text(self) -> str:
        return "" if self.measured is None else systems.span(*self.measured) + "×"

    def verdict(self) -> str:
        """How the measured ratio stands to the published one, in words."""
        if self.measured is None:
            if self.missing:
                return "not measured: " + ", ".join(map(systems.label, self.missing))
            return "no point in common"
        low, high = self.measured
        paper_low, paper_high = self.entry.ends
        if (paper_low > 1 and high <= 1) or (paper_high < 1 and low >= 1):
            return "opposite order"
        if paper_low != paper_high:
            inside = low >= paper_low and high <= paper_high
            touch = high >= paper_low and low <= paper_high
            return "within the range" if inside else "overlaps" if touch else "same order"
        if low == high:
            return f"same order, {systems.number(low / paper_low, 2)} of the published"
        return "same order" if low > 1 or paper_low < 1 else "order depends on x"


def _metric(rows: Rows, entry: Entry) -> str:
    twin = _TWIN.get(entry.metric)
    return twin if twin in rows.metrics() and entry.metric not in rows.metrics() else entry.metric


def _xs(rows: Rows, metric: str, stated: X) -> list[X]:
    xs = rows.xs(metric)
    return xs[:1] if stated == SHORTEST else [x for x in xs if matches(x, stated)]


def quotient(better: str, mine: Row, other: Row) -> float | None:
    """How many times better `mine` is than `other`."""
    up, down = (other, mine) if better == "lower" else (mine, other)
    return up.value / down.value if down.value else None


def compare(rows: Rows, paper: Paper, figure: str) -> list[Comparison]:
    """Every published ratio of a figure, against each baseline that the source may have meant."""
    found = []
    for entry in paper.ratios(figure):
        metric = _metric(rows, entry)
        have = set(rows.systems(metric))
        against = [v for v in (entry.versus, *entry.versus_alternatives) if v in have]
        for versus in against or [entry.versus]:
            measured, at = [], []
            for x in _xs(rows, metric, entry.x):
                mine, other = rows.get(entry.system, metric, x), rows.get(versus, metric, x)
                if mine and other:
                    value = quotient(systems.metric(metric).better, mine, other)
                    if value is not None:
                        measured.append(value)
                        at.append(x)
            ends = (min(measured), max(measured)) if measured else None
            missing = tuple(s for s in (entry.system, versus) if s not in have)
            found.append(Comparison(entry, versus, ends, tuple(at), missing))
    return found


@dataclass(frozen=True)
class Target:
    """Where a system would stand if the paper's ratio held on our baseline."""

    entry: Entry
    versus: str
    system: str
    metric: str
    x: X
    low: float
    high: float


def targets(rows: Rows, paper: Paper | None, figure: str, metric: str) -> Iterator[Target]:
    """Targets of one metric; of several baselines the first that was measured counts."""
    if paper is None:
        return
    seen = set()
    for entry in paper.ratios(figure):
        if (
            _metric(rows, entry) != metric
            or entry.bound
            or entry.conflicts_with
            and _later(entry, paper)
        ):
            continue
        have = rows.systems(metric)
        versus = next((v for v in (entry.versus, *entry.versus_alternatives) if v in have), None)
        for x in _xs(rows, metric, entry.x) if versus else ():
            base = rows.get(versus, metric, x)
            if base is None or not base.value or (entry.system, x) in seen:
                continue
            seen.add((entry.system, x))
            ends = [
                base.value / r if systems.metric(metric).better == "lower" else base.value * r
                for r in entry.ends
            ]
            yield Target(entry, versus, entry.system, metric, x, min(ends), max(ends))


def _later(entry: Entry, paper: Paper) -> bool:
    """Of conflicting entries about one point only the first in the file is drawn."""
    ids = [e.id for e in paper.entries]
    same = [e for e in paper.entries if e.id in entry.conflicts_with and e.figure == entry.figure]
    return any(ids.index(e.id) < ids.index(entry.id) for e in same)
