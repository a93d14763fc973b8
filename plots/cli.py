# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""`./run plot [RUN] [ID...]`: figures and report again from stored results, without measuring."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness import console
from harness.errors import UserError
from plots import data as stored
from plots import paper as reference
from plots import report
from plots.families import FAMILIES, render

RESULTS = Path(__file__).resolve().parent.parent / "results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="*",
        metavar="RUN|ID",
        help="a run (a name under results/ or a folder; default: the newest one), then the"
        " figures to draw (default: all that it has)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where plots/ and index.html go (default: into the run's own folder)",
    )


def main(args: argparse.Namespace, catalogue: Iterable[Mapping] = ()) -> int:
    """0, or 1 when the data of any figure is missing or damaged; the others are drawn all the same.

    `catalogue` names the figures that exist beyond those of the run (id, title, pending).
    """
    run, wanted = resolve(args.what)
    problems = draw_run(run, wanted, args.out, catalogue=catalogue)
    for problem in problems:
        console.warn(str(problem))
    console.info(f"report: {(args.out or run) / 'index.html'}")
    return 1 if problems else 0


def resolve(words: list[str]) -> tuple[Path, list[str]]:
    """The run's folder and the figures that are asked for."""
    words = list(words)
    run = None
    if words and (found := _run_folder(words[0])):
        run = found
        words.pop(0)
    elif words and _canonical(words[0]) is None:
        raise UserError(
            f"{words[0]!r} is neither a stored run nor a figure",
            _root(),
            f"runs: {', '.join(_run_names()) or 'none yet'}; figures: {', '.join(FAMILIES)}",
        )
    run = run or newest_run()
    wanted = []
    for word in words:
        name = word if (run / word / "data.json").exists() else _canonical(word)
        if name is None:
            raise UserError(f"there is no figure {word!r}", hint=f"one of {', '.join(FAMILIES)}")
        wanted.append(name)
    return run, wanted


def draw_run(
    run: Path,
    wanted: Iterable[str] = (),
    out: Path | None = None,
    *,
    catalogue: Iterable[Mapping] = (),
) -> list[UserError]:
    """Draws a run's figures (all, or those wanted) and its index.html; returns what went wrong.

    A fault costs its own figure only, and the page tells of it.
    """
    out = out or run
    paper = reference.default()
    wanted = list(wanted)
    faults: dict[str, str] = {}
    problems: list[UserError] = []
    for name in wanted or _drawable(run):
        try:
            for path in render(run / name / "data.json", out / "plots", paper):
                if path.suffix == ".png":
                    console.info(f"{name}: {path}")
        except UserError as error:
            faults[name] = str(error)
            text = f"figure {name} was not drawn: {error.what}"
            problems.append(UserError(text, error.where, error.hint))
    try:
        stored.load_run(run / "run.json")
    except stored.DataError as error:
        text = f"the report lacks the run's description: {error.what}"
        problems.append(UserError(text, error.where, error.hint))
    report.write(run, out, paper=paper, catalogue=catalogue, problems=faults)
    return problems


def newest_run() -> Path:
    """The run that was created last; UserError when there is none."""

    def created(run: Path) -> tuple[str, str]:
        try:
            return (str(stored.load_run(run / "run.json").get("created") or ""), run.name)
        except stored.DataError:
            return ("", run.name)

    runs = [_root() / name for name in _run_names()]
    if not runs:
        raise UserError("there are no stored results", _root(), "make some: ./run reproduce")
    # The committed sample is somebody else's run: it counts only when there is no other.
    own = [r for r in runs if r.name != "sample"]
    return max(own or runs, key=created)


def _root() -> Path:
    """$ETRAN_RESULTS, else results/ of the checkout."""
    return Path(os.environ.get("ETRAN_RESULTS") or RESULTS)


def _run_names() -> list[str]:
    return sorted(p.parent.name for p in _root().glob("*/run.json"))


def _run_folder(word: str) -> Path | None:
    for path in (_root() / word, Path(word)):
        if path.is_dir() and ((path / "run.json").exists() or any(path.glob("*/data.json"))):
            return path
    return None


def _canonical(word: str) -> str | None:
    return next((name for name in FAMILIES if name.lower() == word.lower()), None)


def _drawable(run: Path) -> list[str]:
    """Figures with data, and those whose data ought to be there."""
    names = {p.parent.name for p in run.glob("*/data.json")}
    try:
        figures = stored.load_run(run / "run.json")["figures"]
        names |= {n for n, f in figures.items() if f.get("status") == "done"}
    except stored.DataError:
        pass  # told by draw_run
    order = list(FAMILIES)
    return sorted(names, key=lambda n: (order.index(n) if n in order else len(order), n))
