# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""From the generators' result files to the rows of a figure.

The format of a result file is defined by workloads/common/result.h; a file that is missing, cannot
be read or lacks a field is a UserError that names it.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from experiments.model import Metric
from experiments.timetable import Block, Plan
from harness.errors import UserError

RESULT_VERSION = 1
NS_PER_US = 1000.0


def samples_needed(quantile: float) -> int:
    """A quantile needs ten samples beyond it to mean something."""
    return round(10 / (1 - quantile))


@dataclass
class Histogram:
    """Sparse latency histogram: value in ns -> count; `missing` requests never ended."""

    counts: dict[int, int]
    missing: int = 0

    @classmethod
    def merged(cls, parts: Iterable[Iterable[tuple[int, int]]], missing: int = 0) -> "Histogram":
        total: dict[int, int] = {}
        for part in parts:
            for value, count in part:
                total[value] = total.get(value, 0) + count
        return cls(total, missing)

    @classmethod
    def of(cls, entries: Iterable[dict]) -> "Histogram":
        """The union of `latency` entries of result files."""
        entries = list(entries)
        return cls.merged((e["hdr"] for e in entries), sum(e.get("unfinished", 0) for e in entries))

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def quantile_us(self, q: float) -> float | None:
        """The q-quantile in microseconds; None when there are too few samples for it, or when it
        lies among the requests that never ended."""
        if not self.enough(q):
            return None
        total = self.count + self.missing
        rank, seen = max(1, -(-int(q * total * 1_000_000) // 1_000_000)), 0
        for value in sorted(self.counts):
            seen += self.counts[value]
            if seen >= rank:
                return value / NS_PER_US
        return None

    def enough(self, q: float) -> bool:
        """Whether there are samples enough for the q-quantile to mean something."""
        return self.count + self.missing >= (samples_needed(q) if q > 0.5 else 1)

    @classmethod
    def union(cls, histograms: Iterable["Histogram"]) -> "Histogram":
        all_of = list(histograms)
        return cls.merged((h.counts.items() for h in all_of), sum(h.missing for h in all_of))

    def cdf(self, most_points: int = 400) -> tuple[list[float], list[float]]:
        """(values in us, cumulative fraction), thinned for plotting but with both ends."""
        total, seen = self.count, 0
        xs: list[float] = []
        ys: list[float] = []
        for value in sorted(self.counts):
            seen += self.counts[value]
            xs.append(value / NS_PER_US)
            ys.append(seen / total)
        stride = max(1, len(xs) // most_points)
        keep = sorted({*range(0, len(xs), stride), len(xs) - 1}) if xs else []
        return [xs[i] for i in keep], [ys[i] for i in keep]


@dataclass(frozen=True)
class Merged:
    """All client results of one block (one point, one system, one repetition)."""

    block: Block
    results: tuple[dict, ...]

    def histogram(self, name: str = "all") -> Histogram:
        return Histogram.of(e for r in self.results for e in r["latency"] if e["name"] == name)

    def total(self, field: str) -> float:
        return sum(r[field] for r in self.results)

    @property
    def operations(self) -> int:
        return int(self.total("ops"))


@dataclass(frozen=True)
class Session:
    """One repetition of a figure: its plan and the results of its blocks."""

    plan: Plan
    blocks: tuple[Merged, ...]
    directory: Path
    zero_ns: int  # T0 on the switch's clock

    @property
    def sample_hash(self) -> str:
        """A hash over every latency sample that every client of the session took."""
        words = [r["sample_hash"] for m in self.blocks for r in m.results]
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def read_result(path: Path) -> dict:
    try:
        result = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError("a client left no result", path, "its output is beside it") from None
    except (OSError, ValueError) as error:
        raise UserError(f"a result file cannot be read: {error}", path) from error
    if not isinstance(result, dict) or result.get("version") != RESULT_VERSION:
        raise UserError(f"not a result of version {RESULT_VERSION}", path)
    for field in ("ops", "throughput", "goodput", "errors", "latency", "sample_hash"):
        if field not in result:
            raise UserError(f"the result lacks the field {field!r}", path)
    if result["errors"]:
        raise UserError(f"the client counted {result['errors']} errors", path)
    return result


def node_dir(directory: Path, node: int) -> Path:
    return directory / f"node{node}"


def session(plan: Plan, directory: Path, zero_ns: int) -> Session:
    merged = []
    for block in plan.blocks:
        results = tuple(read_result(node_dir(directory, n) / f) for n, f in block.clients)
        merged.append(Merged(block, results))
    return Session(plan, tuple(merged), directory, zero_ns)


def rows(plan_figure, sessions: list[Session], paper) -> list[dict]:
    """Median and spread over repetitions, one row per system, metric and point.

    A percentile for which no repetition has enough samples alone is taken from all repetitions
    together, if that is enough; such a row is `pooled` and has no spread. A row is `unfinished`
    when in some repetition the percentile lies among requests that never ended.

    paper(figure, system, metric, x) -> the paper's absolute value or None.
    """
    if plan_figure.rows is not None:
        per_session = [plan_figure.rows(s) for s in sessions]
    else:
        per_session = [_metric_rows(plan_figure.metrics, s) for s in sessions]
    keyed: dict[tuple, list[dict]] = {}
    for raw in (r for one in per_session for r in one):
        keyed.setdefault((raw["system"], raw["metric"], raw["x"], raw["unit"]), []).append(raw)
    out = []
    for (system, metric, x, unit), found in keyed.items():
        values = [r["value"] for r in found if r["value"] is not None]
        complete = len(values) == len(sessions)
        row = {
            "figure": plan_figure.id,
            "system": system,
            "metric": metric,
            "x": x,
            "unit": unit,
            "value": statistics.median(values) if values else None,
            "spread": max(values) - min(values) if values else None,
            "n": len(values),
            "low": min(values, default=None),
            "high": max(values, default=None),
            "paper": paper(plan_figure.id, system, metric, x),
            "valid": complete and all(r.get("valid", True) for r in found),
            "samples": min((r["samples"] for r in found), default=0),
        }
        if any(r.get("unfinished") for r in found):
            row["unfinished"] = True
        elif not complete and len(found) == len(sessions):
            row |= _pooled(found)
        out.append(row)
    return out


def _pooled(found: list[dict]) -> dict:
    """What the repetitions of one point say together, where each alone has too few samples."""
    if not all("histogram" in r for r in found):
        return {}
    value = Histogram.union(r["histogram"] for r in found).quantile_us(found[0]["quantile"])
    if value is None:
        return {}
    return {
        "value": value,
        "spread": None,
        "n": len(found),
        "low": None,
        "high": None,
        "valid": all(r.get("valid", True) for r in found),
        "samples": sum(r["samples"] for r in found),
        "pooled": True,
    }


def _metric_rows(metrics: tuple[Metric, ...], one: Session) -> list[dict]:
    out = []
    for merged in one.blocks:
        for metric in metrics:
            at = {
                "system": merged.block.system.id,
                "metric": metric.name,
                "x": merged.block.point.x,
                "unit": metric.unit,
            }
            if metric.quantile is not None:
                out.append(at | quantile_row(merged.histogram(), metric.quantile))
            else:
                value, samples = metric.take(merged)
                out.append({**at, "value": value, "samples": samples})
    return out


def quantile_row(histogram: Histogram, q: float) -> dict:
    """The part of a repetition's row that concerns a percentile, with what pooling needs."""
    value = histogram.quantile_us(q)
    return {
        "value": value,
        "samples": histogram.count,
        "unfinished": value is None and histogram.enough(q),
        "histogram": histogram,
        "quantile": q,
    }


def quantile(name: str, q: float) -> Metric:
    return Metric(name, "us", quantile=q)


P50 = quantile("p50", 0.50)
P99 = quantile("p99", 0.99)
P999 = quantile("p999", 0.999)
THROUGHPUT = Metric("throughput", "requests/s", lambda m: (m.total("throughput"), m.operations))
GOODPUT = Metric("goodput", "Gbit/s", lambda m: (m.total("goodput"), m.operations))


def latency_cdfs(one: Session) -> list[dict]:
    """Series for the latency figures: one CDF per system and point."""
    out = []
    for merged in one.blocks:
        xs, ys = merged.histogram().cdf()
        out.append(
            {
                "kind": "cdf",
                "system": merged.block.system.id,
                "x": merged.block.point.x,
                "xs": xs,
                "ys": ys,
                "x_label": "round-trip time (us)",
                "y_label": "fraction of requests",
                "rep": one.plan.repetition,
            }
        )
    return out
