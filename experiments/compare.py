# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Rows of the newest run of each figure, for `./run compare`."""

from __future__ import annotations

from experiments import registry, store
from harness.errors import UserError

FIELDS = (
    *("figure", "system", "metric", "x", "unit", "value", "spread", "n"),
    *("paper", "valid", "run", "samples"),
)
FLAGS = ("pooled", "unfinished")  # absent = false


def rows_of(run: store.Run, ids: list[str] | None = None) -> tuple[list[dict], list[UserError]]:
    """(rows, damaged files) of one run; damage in one figure does not hide the others."""
    rows: list[dict] = []
    problems: list[UserError] = []
    for figure, state in run.meta["figures"].items():
        if state["status"] != "done" or (ids and figure not in ids):
            continue
        try:
            rows += _rows(run, figure)
        except UserError as error:
            problems.append(error)
    return rows, problems


def _rows(run: store.Run, figure: str) -> list[dict]:
    path = run.figure_dir(figure) / "data.json"
    try:
        return [
            {**{field: row[field] for field in FIELDS}, **{f: row.get(f, False) for f in FLAGS}}
            for row in run.data(figure)["rows"]
        ]
    except (KeyError, TypeError) as error:
        raise UserError(f"a row lacks the field {error}", path) from error


def newest(names: list[str], run_name: str | None) -> tuple[list[dict], list[UserError]]:
    """Rows over the newest run of each figure; the committed sample serves where there is none."""
    ids = [f.id for f in registry.pick(names)]
    if run_name:
        return rows_of(store.find(run_name), ids)
    problems: list[UserError] = []
    candidates = store.runs(problems)
    if (store.RESULTS / store.SAMPLE / "run.json").is_file() and not candidates:
        candidates.append(store.find(store.SAMPLE))
    if not candidates:
        hint = "`./run reproduce --scale smoke` makes a first one"
        raise UserError("there are no results yet", store.results_root(), hint)
    rows: list[dict] = []
    for figure in ids:
        for run in candidates:
            if run.meta["figures"].get(figure, {}).get("status") == "done":
                found, damaged = rows_of(run, [figure])
                rows += found
                problems += damaged
                break
    return rows, problems
