# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""results/<run>/index.html: one page with every figure of a run, its numbers and the paper's.

The page needs no network and no script; it refers to nothing but files beside it. It is made from
what is stored: a figure whose data is damaged is reported as such, the others are not affected.
"""

from __future__ import annotations

import os
import shlex
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from plots import data as stored
from plots import paper as reference
from plots import systems
from plots.data import DataError, Row, Rows, x_key
from plots.families import FAMILIES
from plots.paper import Entry, Paper
from plots.ratios import Comparison, compare
from plots.table import table

__all__ = ["table", "write"]

TEMPLATES = Path(__file__).with_name("templates")

STATUS = {
    "done": "done",
    "failed": "failed",
    "pending": "pending",
    "running": "interrupted",  # the page is written after a run: nothing is running any more
    "not run": "not run",
    "damaged": "damaged data",
}


@dataclass
class Cell:
    value: str = ""
    spread: str = ""
    paper: str = ""
    flag: str = ""


@dataclass
class Line:
    """A line of a figure's table: one metric at one x, a cell per system."""

    metric: str
    x: str
    unit: str
    cells: list[Cell]
    count: str


@dataclass
class Section:
    id: str
    title: str
    status: str = "not run"
    seconds: float | None = None
    pending: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: list[tuple[str, str]] = field(default_factory=list)
    output: str = ""
    problem: str = ""
    plot: str = ""
    plot_size: tuple[int, int] = (0, 0)
    pdf: str = ""
    conditions: str = ""
    x_label: str = ""
    columns: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    ratios: list[Comparison] = field(default_factory=list)
    said: list[reference.Statement] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)

    @property
    def status_text(self) -> str:
        text = STATUS.get(self.status, self.status)
        if self.status == "pending" and self.pending:
            text += ": " + ", ".join(map(systems.label, self.pending))
        return text

    @property
    def css(self) -> str:
        return self.status.replace(" ", "-")


def write(
    run_dir: Path,
    out_dir: Path | None = None,
    *,
    paper: Paper | None = None,
    catalogue: Iterable[Mapping] = (),
    problems: Mapping[str, str] | None = None,
) -> Path:
    """Writes out_dir/index.html (default: the run's own folder) and returns its path.

    Plots are expected in out_dir/plots/. `catalogue` (objects with id, title, pending) adds the
    figures that this run left out; `problems` are faults found while drawing, by figure.
    """
    import jinja2

    out_dir = out_dir or run_dir
    paper = paper or reference.default()
    problems = dict(problems or {})
    run_problem = ""
    try:
        run = stored.load_run(run_dir / "run.json")
    except DataError as error:
        run, run_problem = {"figures": {}}, str(error)
    sections = [
        _section(name, run, run_dir, out_dir, paper, known, problems.get(name, ""))
        for name, known in _figures(run, run_dir, catalogue).items()
    ]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals.update(
        label=systems.label,
        metric=lambda name: systems.metric(name).label,
        at=_at,
        style=(TEMPLATES / "style.css").read_text(encoding="utf-8"),
    )
    text = environment.get_template("report.html.j2").render(
        name=str(run.get("run") or run_dir.name),
        run_problem=run_problem,
        facts=_facts(run),
        real=(run.get("settings") or {}).get("time_mode") == "real",
        sections=sections,
        totals=_totals(sections),
        headline=paper.ratios("headline"),
        sources=paper.sources,
    )
    out_dir.mkdir(parents=True, exist_ok=True)
    page = out_dir / "index.html"
    partial = out_dir / ".index.html.part"
    partial.write_text(text, encoding="utf-8")
    partial.replace(page)
    return page


def _figures(run: dict, run_dir: Path, catalogue: Iterable[Mapping]) -> dict[str, Mapping]:
    """Every figure that there is something to say about, in the order of the paper's figures."""
    known: dict[str, Mapping] = {str(c["id"]): c for c in catalogue}
    names = set(run["figures"]) | set(known)
    names |= {p.parent.name for p in run_dir.glob("*/data.json")}
    order = list(FAMILIES)
    ordered = sorted(names, key=lambda n: (order.index(n) if n in order else len(order), n))
    return {name: known.get(name, {}) for name in ordered}


def _section(
    name: str,
    run: dict,
    run_dir: Path,
    out_dir: Path,
    paper: Paper,
    known: Mapping,
    problem: str,
) -> Section:
    state = run["figures"].get(name) or {}
    section = Section(
        id=name,
        title=str(state.get("title") or known.get("title") or ""),
        status=str(state.get("status") or "not run"),
        seconds=state.get("seconds"),
        pending=list(state.get("pending") or known.get("pending") or ()),
        notes=[str(n) for n in state.get("notes") or known.get("notes") or ()],
        said=paper.said(name),
    )
    _add_error(section, state.get("error"))
    data_file = run_dir / name / "data.json"
    # Only these are bound to have left data; whatever the others left is shown all the same.
    if data_file.exists() or section.status == "done":
        try:
            data = stored.load(data_file)
        except DataError as error:
            section.status, section.problem = "damaged", str(error)
        else:
            section.title = section.title or data["title"]
            if section.status == "not run":
                section.status = "done"  # run.json is gone, the figure's data is not
            _add_numbers(section, data, paper)
            section.problem = problem
            section.conditions = stored.conditions(data.get("settings") or {})
            if data.get("sample_hash"):
                section.conditions += f" · hash over all samples {data['sample_hash']}"
    if not section.lines:
        _add_numbers(section, {"rows": []}, paper)
    _add_files(section, run_dir, out_dir)
    return section


def _add_error(section: Section, error: object) -> None:
    if not error:
        return
    if not isinstance(error, Mapping):
        section.error.append(("error", str(error)))
        return
    for key, value in error.items():
        if value in (None, "", []):
            continue
        if key in ("output", "stdout", "stderr"):
            section.output += str(value).rstrip() + "\n"
        elif isinstance(value, (list, tuple)):
            section.error.append((key, shlex.join(map(str, value))))
        else:
            section.error.append((key, str(value)))


def _add_numbers(section: Section, data: dict, paper: Paper) -> None:
    rows = Rows(data)
    section.x_label = " ".join(filter(None, (data.get("x_label"), _paren(data.get("x_unit")))))
    quoted = [e for e in paper.absolutes(section.id) if e.unit != "year"]
    keys = {(r.metric, r.x) for r in rows.all}
    for entry in quoted:  # published values without a measured point get lines of their own
        if not any(m == entry.metric and reference.matches(x, entry.x) for m, x in keys):
            keys.add((entry.metric, entry.x))
    columns = systems.ordered([*(r.system for r in rows.all), *(e.system for e in quoted)])
    section.columns = columns
    metrics = list(systems.METRICS)

    def order(key: tuple) -> tuple:
        metric, x = key
        return (metrics.index(metric) if metric in metrics else len(metrics), metric, x_key(x))

    for metric, x in sorted(keys, key=order):
        found = {r.system: r for r in rows.all if (r.metric, r.x) == (metric, x)}
        units = [r.unit for r in found.values()] or [e.unit for e in quoted if e.metric == metric]
        section.lines.append(
            Line(
                metric=systems.metric(metric).label,
                x=_x(x, data.get("x_unit")),
                unit=systems.unit(units[0]),
                cells=[
                    _cell(found.get(c), paper.values(section.id, c, metric, x)) for c in columns
                ],
                count=_count(found.values()),
            )
        )
    section.ratios = compare(rows, paper, section.id)


def _count(rows: Iterable[Row]) -> str:
    """Repetitions × samples, short enough for a narrow column."""
    text = stored.counts(rows).removeprefix("n = ")
    for word in (" repetitions", " repetition", " samples", " sample"):
        text = text.replace(word, "")
    return text


def _paren(unit: str | None) -> str:
    return f"({systems.unit(unit)})" if unit else ""


def _x(x: stored.X, unit: str | None) -> str:
    if x is None:
        return ""
    if isinstance(x, str):
        return x
    return f"{x:,g}" if x < 1e6 and unit not in ("B", "bytes") else f"{x:,.0f}"


def _cell(row: Row | None, published: list[Entry]) -> Cell:
    cell = Cell(paper=", ".join(dict.fromkeys(e.digits() for e in published)))
    if row is None:
        return cell
    if row.value is None:
        cell.flag = "requests never ended" if row.unfinished else "too few samples"
    else:
        cell.value = systems.number(row.value)
        if row.spread is not None:
            cell.spread = systems.number(row.spread)
        if not row.valid:
            cell.flag = "invalid"
    if row.paper is not None and not published:
        cell.paper = systems.plain(row.paper)
    return cell


def _add_files(section: Section, run_dir: Path, out_dir: Path) -> None:
    png = out_dir / "plots" / f"{section.id}.png"
    # A plot left from before the data was damaged would say something that nobody can check.
    if png.is_file() and section.status != "damaged":
        section.plot, section.plot_size = f"plots/{quote(png.name)}", _png_size(png)
        if png.with_suffix(".pdf").is_file():
            section.pdf = f"plots/{quote(section.id)}.pdf"
    for name, text in (
        ("data.json", "rows and series"),
        ("record.json", "record of the run"),
        ("raw", "raw outputs"),
    ):
        path = run_dir / section.id / name
        if path.exists():
            link = quote(os.path.relpath(path, out_dir)) + ("/" if path.is_dir() else "")
            section.links.append((text, link))


def _png_size(path: Path) -> tuple[int, int]:
    with path.open("rb") as file:
        head = file.read(24)
    return struct.unpack(">II", head[16:24]) if len(head) == 24 else (0, 0)


def _facts(run: dict) -> list[tuple[str, str]]:
    """What a reader must know of how the run was made."""
    settings = dict(run.get("settings") or {})
    git = run.get("git") or {}
    revision = str(git.get("revision") or "")[:12]
    facts = [
        ("run", run.get("run")),
        ("created", run.get("created")),
        ("scale", run.get("scale") or settings.pop("scale", None)),
        ("time mode", settings.pop("time_mode", None)),
        ("ns per instruction", settings.pop("ns_per_insn", None)),
        ("nodes", settings.pop("nodes", None)),
        ("line rate", _quantity(settings.pop("rate_mbps", None), 1000, "Gbit/s")),
        ("link latency", _quantity(settings.pop("latency_ns", None), 1000, "µs")),
        ("ECN threshold K", _quantity(settings.pop("ecn_k_bytes", None), 1000, "kB")),
        ("buffer", _quantity(settings.pop("buffer_bytes", None), 1000, "kB")),
        ("window", stored.milliseconds(settings.pop("window_us", None))),
        ("seed", run.get("seed")),
    ]
    for name in ("scale", "queue_trace", "pcap"):  # said elsewhere, or nothing about the numbers
        settings.pop(name, None)
    facts += [(k.replace("_", " "), _flat(v)) for k, v in settings.items()]
    facts += [
        ("machine", _flat(run.get("machine"))),
        ("kernel", _flat(run.get("kernel"))),
        ("QEMU", _flat(run.get("qemu"))),
        ("git revision", revision + (" with local changes" if git.get("dirty") else "")),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "", {}, [])]


def _quantity(value: object, divisor: float, unit: str) -> str | None:
    return f"{value / divisor:g} {unit}" if isinstance(value, (int, float)) else value


def _flat(value: object) -> object:
    if isinstance(value, Mapping):
        return ", ".join(f"{k.replace('_', ' ')}: {_flat(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(str(_flat(v)) for v in value)
    return value


def _totals(sections: list[Section]) -> list[tuple[str, str, int]]:
    """(css class, words, count) of each status that occurs."""
    found = []
    for status, text in STATUS.items():
        if count := sum(s.status == status for s in sections):
            found.append((status.replace(" ", "-"), text, count))
    return found


def _at(one: Comparison) -> str:
    """At which x a published ratio was compared."""
    stated = one.entry.x
    if stated is not None:
        return _x(stated, None)
    if len(one.at) > 1:
        return f"{_x(one.at[0], None)} … {_x(one.at[-1], None)}"
    return _x(one.at[0], None) if one.at else "not stated"
