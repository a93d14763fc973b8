# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Stored results as plots and report read them: data.json and run.json, checked on the way in.

Every fault raises DataError, whose `where` is file:line. The format is in plots/README.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from plots import systems

X = float | str | None

ROW_FIELDS = (
    "figure",
    "system",
    "metric",
    "x",
    "unit",
    "value",
    "spread",
    "n",
    "paper",
    "valid",
    "run",
    "samples",
)
SERIES_KINDS = ("cdf", "timeseries", "slowdown")


class DataError(UserError):
    """A result file that is missing or damaged."""


@dataclass(frozen=True)
class Row:
    """One measured point: value = median over n repetitions, spread = max - min over them."""

    system: str
    metric: str
    x: X
    unit: str
    value: float | None  # None: too few samples for this percentile
    spread: float | None
    n: int
    samples: int | None  # the smallest number of samples behind any repetition's value
    paper: float | None
    valid: bool
    low: float | None  # smallest and largest repetition
    high: float | None
    unfinished: bool  # in some repetition the percentile lies among requests that never ended

    @property
    def ends(self) -> tuple[float, float]:
        """Where the error bar ends; centred when only the spread is known."""
        assert self.value is not None
        if self.low is not None and self.high is not None:
            return self.low, self.high
        half = (self.spread or 0) / 2
        return self.value - half, self.value + half


class Rows:
    """The rows of a figure, by what a plot asks for. `drawable` rows are valid and have a value."""

    def __init__(self, data: dict):
        self.all = [_row(raw) for raw in data.get("rows", ())]
        self.drawable = [r for r in self.all if r.valid and r.value is not None]
        self._at = {(r.system, r.metric, r.x): r for r in self.drawable}

    def get(self, system: str, metric: str, x: X) -> Row | None:
        return self._at.get((system, metric, x))

    def of(self, system: str | None = None, metric: str | None = None) -> list[Row]:
        """Drawable rows in rising x."""
        found = [
            r
            for r in self.drawable
            if (system is None or r.system == system) and (metric is None or r.metric == metric)
        ]
        return sorted(found, key=lambda r: x_key(r.x))

    def systems(self, *metrics: str) -> list[str]:
        return systems.ordered(
            r.system for r in self.drawable if not metrics or r.metric in metrics
        )

    def metrics(self) -> set[str]:
        return {r.metric for r in self.drawable}

    def xs(self, *metrics: str) -> list[X]:
        found = {r.x for r in self.drawable if not metrics or r.metric in metrics}
        return sorted(found, key=x_key)


def curves(data: dict, kind: str) -> list[dict]:
    """The series of a kind that may be shown: not empty, nor of a system without a valid row."""
    rows = data.get("rows", ())
    invalid = {r["system"] for r in rows} - {r["system"] for r in rows if r["valid"]}
    return [
        s
        for s in data.get("series") or ()
        if s["kind"] == kind and s["xs"] and s.get("valid", True) and s["system"] not in invalid
    ]


def x_key(x: X) -> tuple[int, float, str]:
    """Sorts numbers before texts, and no x first."""
    if x is None:
        return (0, 0.0, "")
    return (1, float(x), "") if isinstance(x, (int, float)) else (2, 0.0, str(x))


def _row(raw: dict) -> Row:
    return Row(
        system=raw["system"],
        metric=raw["metric"],
        x=raw["x"],
        unit=raw["unit"],
        value=raw["value"],
        spread=raw.get("spread"),
        n=raw.get("n") or 0,
        samples=raw.get("samples"),
        paper=raw.get("paper"),
        valid=raw["valid"],
        low=raw.get("low"),
        high=raw.get("high"),
        unfinished=raw.get("unfinished", False),
    )


def counts(rows: Iterable[Row]) -> str:
    """How much is behind some points: '5 repetitions × ≥ 9,800 samples'."""
    rows = [r for r in rows if r.value is not None]
    if not rows:
        return ""
    n = sorted({r.n for r in rows})
    times = f"{n[0]}" if len(n) == 1 else f"{n[0]}–{n[-1]}"
    text = f"n = {times} repetition{'' if n[-1] == 1 else 's'}"
    samples = [r.samples for r in rows if r.samples]
    if samples:
        least = min(samples)
        text += f" × {'≥ ' if max(samples) != least else ''}{least:,} sample"
        text += "" if max(samples) == 1 else "s"
    return text


def conditions(settings: dict) -> str:
    """What a number means nothing without: kind of time, speed, nodes, window, repetitions."""
    parts = []
    mode = settings.get("time_mode")
    if mode == "virtual":
        ns = settings.get("ns_per_insn")
        parts.append("emulated, virtual time" + (f" ({ns:g} ns/instruction)" if ns else ""))
    elif mode == "real":
        parts.append("emulated in real time: NOT a timing result")
    elif mode:
        parts.append("real machines" if mode == "wallclock" else f"{mode} time")
    if nodes := settings.get("nodes"):
        parts.append(f"{nodes} nodes")
    if rate := settings.get("rate_mbps"):
        parts.append(f"{rate / 1000:g} Gbit/s")
    if latency := settings.get("latency_ns"):
        parts.append(f"{latency / 1000:g} µs/link")
    if window := milliseconds(settings.get("window_us")):
        parts.append(f"{window} window")
    if times := settings.get("repetitions"):
        parts.append(
            "1 repetition" if times == 1 else f"medians of {times} repetitions, bars: spread"
        )
    if scale := settings.get("scale"):
        parts.append(str(scale))
    return " · ".join(parts)


def milliseconds(us: float | list[float] | None) -> str:
    """A window, or the range of the windows of a figure's points."""
    ends = us if isinstance(us, list) else [us] if us else []
    if not ends:
        return ""
    return "–".join(f"{v / 1000:g}" for v in dict.fromkeys((min(ends), max(ends)))) + " ms"


def read_json(path: Path) -> tuple[object, str]:
    """The parsed file and its text; DataError with file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError("the result file is missing", path, "run the figure again") from error
    except OSError as error:
        raise DataError(f"the result file cannot be read: {error.strerror}", path) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(f"the result file is not UTF-8 text: {error.reason}", f"{path}:{line}")
    if not text.strip():
        raise DataError("the result file is empty", f"{path}:1", "run the figure again")
    try:
        return json.loads(text), text
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}"
        raise DataError(f"the result file is damaged: {error.msg}", where, "run the figure again")


def _lines_of(text: str, name: str) -> list[int]:
    """The line on which each element of the top-level list `name` begins."""
    decoder = json.JSONDecoder()
    at = text.find("[", text.find(f'"{name}"')) + 1
    lines = []
    while at:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at >= len(text) or text[at] == "]":
            break
        lines.append(text.count("\n", 0, at) + 1)
        at = decoder.raw_decode(text, at)[1]
    return lines


def _number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _row_fault(row: object, figure: str) -> str | None:
    if not isinstance(row, dict):
        return "is not an object"
    for name in ROW_FIELDS:
        if name not in row:
            return f"has no field {name!r}"
    for name in ("system", "metric"):
        if not isinstance(row[name], str) or not row[name]:
            return f"has no usable {name!r}"
    if row["figure"] != figure:
        return f"belongs to figure {row['figure']!r}"
    if not isinstance(row["valid"], bool):
        return "has a 'valid' that is neither true nor false"
    if row["x"] is not None and not isinstance(row["x"], str) and not _number(row["x"]):
        return "has an 'x' that is neither a number, a text nor null"
    for name in ("value", "spread", "n", "samples", "paper", "low", "high"):
        if row.get(name) is not None and not _number(row[name]):
            return f"has a {name!r} that is not a finite number"
    return None


def _series_fault(item: object) -> str | None:
    if not isinstance(item, dict):
        return "is not an object"
    if item.get("kind") not in SERIES_KINDS:
        return f"has kind {item.get('kind')!r}, not one of {', '.join(SERIES_KINDS)}"
    if not isinstance(item.get("system"), str):
        return "has no 'system'"
    for name in ("xs", "ys"):
        values = item.get(name)
        if not isinstance(values, list) or not all(v is None or _number(v) for v in values):
            return f"has no list of numbers {name!r}"
    if len(item["xs"]) != len(item["ys"]):
        return "has lists 'xs' and 'ys' of different lengths"
    if "labels" in item and len(item["labels"]) != len(item["xs"]):
        return "has lists 'xs' and 'labels' of different lengths"
    return None


def load(path: Path) -> dict:
    """A figure's data.json, checked; DataError names the line of the first fault."""
    raw, text = read_json(path)
    if not isinstance(raw, dict) or raw.get("version") != 1:
        raise DataError("not a result file of version 1", f"{path}:1")
    for name in ("figure", "title"):
        if not isinstance(raw.get(name), str):
            raise DataError(f"the result file has no {name!r}", f"{path}:1")
    for name, fault in (
        ("rows", lambda row: _row_fault(row, raw["figure"])),
        ("series", _series_fault),
    ):
        items = raw.get(name)
        if items is None and name == "series":
            continue
        if not isinstance(items, list):
            raise DataError(f"the result file has no list {name!r}", f"{path}:1")
        for number, item in enumerate(items):
            if why := fault(item):
                line = _lines_of(text, name)[number]
                raise DataError(f"{name}[{number}] {why}", f"{path}:{line}")
    return raw


def load_run(path: Path) -> dict:
    """A run's run.json."""
    raw, _ = read_json(path)
    if not isinstance(raw, dict) or raw.get("version") != 1:
        raise DataError("not a run of version 1", f"{path}:1")
    if not isinstance(raw.get("figures"), dict):
        raise DataError("the run has no 'figures'", f"{path}:1")
    return raw
