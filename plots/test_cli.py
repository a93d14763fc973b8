# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
import argparse
import json

import pytest

from harness.errors import UserError
from plots import cli, sample_run

FEW = ("H2", "T3")


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("ETRAN_RESULTS", str(tmp_path / "results"))
    figures = {n: f for n, f in sample_run.all_figures().items() if n in FEW}
    for name, created in (("old", "2026-01-01"), ("new", "2026-02-01"), ("sample", "2026-03-01")):
        run = sample_run.write(tmp_path / "results" / name, figures)
        made = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps({**made, "created": created}))
    return tmp_path / "results"


def plot(*words):
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.main(parser.parse_args(words))


def test_main__draws_the_newest_run(results):
    assert plot() == 0
    assert sorted(p.name for p in (results / "new" / "plots").iterdir()) == [
        "H2.pdf",
        "H2.png",
        "T3.pdf",
        "T3.png",
    ]
    assert (results / "new" / "index.html").exists()
    assert not (results / "old" / "plots").exists()


def test_main__run_and_figures_by_name(results):
    assert plot("old", "t3") == 0
    assert [p.name for p in sorted((results / "old" / "plots").iterdir())] == ["T3.pdf", "T3.png"]


def test_main__figures_alone_and_out(results, tmp_path):
    assert plot("H2", "--out", str(tmp_path / "out")) == 0
    assert (tmp_path / "out" / "plots" / "H2.png").exists()
    assert not (results / "new" / "plots").exists()


def test_main__run_by_folder(results):
    assert plot(str(results / "old"), "H2") == 0


def test_main__damaged_figure_costs_itself_only(results, capsys):
    (results / "new" / "H2" / "data.json").write_text('{"version": 1,\n\n"figure"}')
    assert plot() == 1
    said = capsys.readouterr().err
    assert "figure H2 was not drawn" in said and "data.json:3" in said
    assert (results / "new" / "plots" / "T3.png").exists()
    assert "data.json:3" in (results / "new" / "index.html").read_text()


def test_main__missing_data_of_a_finished_figure(results, capsys):
    (results / "new" / "H2" / "data.json").unlink()
    assert plot() == 1
    assert "missing" in capsys.readouterr().err


def test_main__damaged_run_description(results, capsys):
    (results / "new" / "run.json").write_text("{")
    assert plot("new") == 1
    assert "run.json:1" in capsys.readouterr().err
    assert (results / "new" / "plots" / "T3.png").exists()


@pytest.mark.parametrize("words", [("nonesuch",), ("new", "H99")])
def test_main__unknown_run_or_figure(results, words):
    with pytest.raises(UserError) as caught:
        plot(*words)
    assert words[-1] in caught.value.what and "H1" in caught.value.hint


def test_main__no_results(results, monkeypatch, tmp_path):
    monkeypatch.setenv("ETRAN_RESULTS", str(tmp_path / "none"))
    with pytest.raises(UserError, match="no stored results"):
        plot()


def test_newest_run__sample_only_when_alone(results):
    assert cli.newest_run().name == "new"
    for name in ("old", "new"):
        (results / name / "run.json").unlink()
    assert cli.newest_run().name == "sample"
