# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Published reference numbers (results/paper.json): loading, checking, finding.

An entry is one number as one source gives it. Kinds: `absolute` (a value of one system), `ratio`
(how many times better `system` is than `versus`), `range` (two ends: of a ratio when `versus` is
set, else of a value). Sources that disagree name each other in `conflicts_with` and are all kept.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import UserError
from plots import systems

PATH = Path(__file__).resolve().parent.parent / "results" / "paper.json"
KINDS = ("absolute", "ratio", "range")
FIGURES = re.compile(r"[HTB][0-9]+|calibration|queue|headline")

# The shortest bucket of a slowdown figure, whatever its upper bound in bytes is in that run.
SHORTEST = "shortest 10 %"

X = float | str | None


@dataclass(frozen=True)
class Entry:
    id: str
    figure: str
    kind: str
    metric: str
    system: str
    versus: str | None
    x: X  # None: not stated by the source, so it stands beside every x
    value: float | tuple[float, float]
    unit: str
    source: str
    conflicts_with: tuple[str, ...] = ()
    versus_alternatives: tuple[str, ...] = ()
    bound: str = ""  # "up to": the source gives an upper end only
    note: str = ""

    @property
    def is_ratio(self) -> bool:
        return self.versus is not None

    @property
    def ends(self) -> tuple[float, float]:
        return self.value if isinstance(self.value, tuple) else (self.value, self.value)

    def digits(self) -> str:
        """The value without its unit, as its source gives it: 11.8, 1.4–3.6."""
        ends = dict.fromkeys(self.ends)
        return "–".join(f"{v:d}" if self.unit == "year" else systems.plain(v) for v in ends)

    def text(self) -> str:
        """The value with its unit: 11.8 µs, 1.4–3.6×, up to 3.6×."""
        digits = self.digits()
        if self.unit == "year":
            return digits
        glue = "" if self.unit == "x" else " "
        return f"{self.bound} {digits}{glue}{systems.unit(self.unit)}".strip()


def matches(asked: X, stated: X) -> bool:
    """Whether a measured x is the source's. Sources round ('1 K'), hence the 5 %."""
    if stated is None:
        return True
    if isinstance(asked, (int, float)) and isinstance(stated, (int, float)):
        return abs(asked - stated) <= 0.05 * abs(stated)
    return asked == stated


@dataclass(frozen=True)
class Statement:
    """What a source says about a figure without a number."""

    figure: str
    source: str
    text: str


@dataclass(frozen=True)
class Paper:
    entries: tuple[Entry, ...] = ()
    statements: tuple[Statement, ...] = ()
    sources: dict[str, dict[str, str]] = field(default_factory=dict)

    def lookup(self, figure: str, system: str, metric: str, x: X) -> float | None:
        """The value of one system; None when there is none, or sources disagree about it."""
        found = {e.value for e in self.values(figure, system, metric, x) if e.kind == "absolute"}
        return found.pop() if len(found) == 1 else None

    def values(self, figure: str, system: str, metric: str, x: X = None) -> list[Entry]:
        """Values and ranges of values (no ratios) of a system at an x."""
        return [
            e
            for e in self.entries
            if (e.figure, e.system, e.metric) == (figure, system, metric)
            and not e.is_ratio
            and matches(x, e.x)
        ]

    def absolutes(self, figure: str) -> list[Entry]:
        return [e for e in self.entries if e.figure == figure and not e.is_ratio]

    def ratios(self, figure: str) -> list[Entry]:
        return [e for e in self.entries if e.figure == figure and e.is_ratio]

    def said(self, figure: str) -> list[Statement]:
        return [s for s in self.statements if s.figure == figure]


def _entry(raw: object, sources: dict) -> Entry:
    if not isinstance(raw, dict):
        raise ValueError("an entry is not an object")
    known = set(Entry.__dataclass_fields__)
    if extra := set(raw) - known:
        raise ValueError(f"unknown field {sorted(extra)[0]!r}")
    needed = {"id", "figure", "kind", "metric", "system", "versus", "x", "value", "unit", "source"}
    if absent := needed - set(raw):
        raise ValueError(f"field {sorted(absent)[0]!r} is missing")
    for name in ("id", "figure", "kind", "metric", "system", "unit", "source"):
        if not isinstance(raw[name], str) or not raw[name]:
            raise ValueError(f"field {name!r} is not a text")
    if raw["kind"] not in KINDS:
        raise ValueError(f"kind {raw['kind']!r} is none of {', '.join(KINDS)}")
    if not FIGURES.fullmatch(raw["figure"]):
        raise ValueError(f"figure {raw['figure']!r} is not known")
    if raw["source"] not in sources:
        raise ValueError(f"source {raw['source']!r} is not in the list of sources")
    ends = raw["value"] if isinstance(raw["value"], list) else [raw["value"]]
    if not all(type(v) in (int, float) and v > 0 for v in ends):
        raise ValueError("value is not a positive number, or two of them")
    if len(ends) != (2 if raw["kind"] == "range" else 1) or ends != sorted(ends):
        raise ValueError("a range has two ends in rising order, every other kind has one value")
    if raw["kind"] == "ratio" and not raw["versus"]:
        raise ValueError("a ratio needs 'versus'")
    if raw["kind"] == "absolute" and raw["versus"]:
        raise ValueError("an absolute value has no 'versus'")
    if (raw["unit"] == "x") != bool(raw["versus"]):
        raise ValueError("unit 'x' and 'versus' belong together")
    if raw["x"] is not None and type(raw["x"]) not in (int, float, str):
        raise ValueError("x is neither a number, a text nor null")
    values = dict(raw)
    values["value"] = tuple(ends) if raw["kind"] == "range" else ends[0]
    for name in ("conflicts_with", "versus_alternatives"):
        values[name] = tuple(raw.get(name, ()))
    return Entry(**values)


def load(path: Path = PATH) -> Paper:
    """Reads and checks the file; UserError names the file and the line or entry at fault."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"the reference numbers cannot be read: {error.strerror}", path) from error
    except json.JSONDecodeError as error:
        raise UserError(f"not JSON: {error.msg}", f"{path}:{error.lineno}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 text: {error.reason}", path) from error
    if not isinstance(raw, dict) or raw.get("version") != 1:
        raise UserError("not a file of reference numbers of version 1", path)
    entries: list[Entry] = []
    try:
        for item in raw.get("entries", []):
            entries.append(_entry(item, raw.get("sources", {})))
    except ValueError as error:
        name = item.get("id") if isinstance(item, dict) else None
        where = f"{path}, entry {name or len(entries)}"
        raise UserError(f"bad reference number: {error}", where) from error
    ids = [e.id for e in entries]
    by_id = {e.id: e for e in entries}
    if len(by_id) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise UserError(f"reference number {twice!r} stands twice", path)
    for one in entries:
        for other in one.conflicts_with:
            if other not in by_id or one.id not in by_id[other].conflicts_with:
                raise UserError(f"conflict of {one.id!r} with {other!r} is not mutual", path)
    statements = tuple(Statement(**s) for s in raw.get("statements", []))
    return Paper(tuple(entries), statements, raw.get("sources", {}))


@functools.cache
def default() -> Paper:
    return load()


def lookup(figure: str, system: str, metric: str, x: X) -> float | None:
    """For the `paper` column of a row: an absolute value, or None."""
    return default().lookup(figure, system, metric, x)


def ratios(figure: str) -> list[Entry]:
    """The published ratios, and ranges of ratios, of a figure."""
    return default().ratios(figure)
