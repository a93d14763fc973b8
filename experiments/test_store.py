# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""experiments.store and compare: runs on disk, damage, what is newest."""

import json

import pytest

from experiments import compare, store
from harness.errors import UserError


@pytest.fixture(autouse=True)
def private_results(tmp_path, monkeypatch):
    monkeypatch.setenv("ETRAN_RESULTS", str(tmp_path))
    monkeypatch.setattr(store, "RESULTS", tmp_path)


def row(figure, value, run):
    fixed = {"metric": "p50", "x": 32, "unit": "us", "spread": 0.1, "n": 5, "paper": None}
    return {
        **fixed,
        **{"figure": figure, "system": "linux-tcp", "value": value, "valid": True},
        **{"run": run, "samples": 1000},
    }


def make_run(created, values):
    figures = {f: {"status": "done"} for f in values}
    run = store.Run.create("quick", {"created": created, "status": "done", "figures": figures})
    for figure, value in values.items():
        data = {"version": 1, "rows": [row(figure, value, run.name)]}
        store.write_json(run.figure_dir(figure) / "data.json", data)
    return run


def test_newest__per_figure_not_per_run():
    make_run("2026-01-01", {"H1": 1.0, "H2": 2.0})
    make_run("2026-01-02", {"H1": 3.0})
    rows, problems = compare.newest([], None)
    assert {r["figure"]: r["value"] for r in rows} == {"H1": 3.0, "H2": 2.0}
    assert problems == []


def test_newest__damaged_file_is_named_and_hides_nothing_else():
    run = make_run("2026-01-01", {"H1": 1.0, "H2": 2.0})
    path = run.figure_dir("H1") / "data.json"
    path.write_text(path.read_text()[:40])
    rows, problems = compare.newest([], None)
    assert [r["figure"] for r in rows] == ["H2"]
    assert len(problems) == 1 and str(path) in str(problems[0])


def test_newest__nothing_yet():
    with pytest.raises(UserError, match="no results yet"):
        compare.newest([], None)


def test_find__unknown_run_lists_the_known():
    run = make_run("2026-01-01", {"H1": 1.0})
    assert store.find("latest").name == run.name
    with pytest.raises(UserError, match=run.name):
        store.find("nothing")


def test_write_json__replaces_in_one_step(tmp_path):
    path = tmp_path / "x.json"
    store.write_json(path, {"version": 1})
    with pytest.raises(TypeError):
        store.write_json(path, {"bad": object()})
    assert json.loads(path.read_text()) == {"version": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_lock__second_writer_is_refused():
    run = make_run("2026-01-01", {})
    with run.lock(), pytest.raises(UserError, match="another process"):
        with store.Run.load(run.directory).lock():
            pass
