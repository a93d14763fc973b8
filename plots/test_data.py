# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
import json

import pytest

from plots import data as stored
from plots import sample_run
from plots.data import DataError, Rows
from plots.sample_run import row


def store(tmp_path, made):
    path = tmp_path / "data.json"
    path.write_text(json.dumps(made, indent=1))
    return path


def test_load__sample_is_valid(tmp_path):
    for name, made in sample_run.all_figures().items():
        assert stored.load(store(tmp_path, made))["figure"] == name


@pytest.mark.parametrize(
    "text, line, words",
    [
        ("", 1, "empty"),
        ("  \n", 1, "empty"),
        ('{"version": 1,\n "rows": [\n', 3, "damaged"),
        ("[]", 1, "version 1"),
        ('{"version": 2}', 1, "version 1"),
        ('{"version": 1, "figure": "H1"}', 1, "no 'title'"),
        ('{"version": 1, "figure": "H1", "title": "t"}', 1, "no list 'rows'"),
        ('{"version": 1, "figure": "H1", "title": "t", "rows": {}}', 1, "no list 'rows'"),
    ],
)
def test_load__damaged_file_names_the_line(tmp_path, text, line, words):
    path = tmp_path / "data.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        stored.load(path)
    assert words in caught.value.what
    assert caught.value.where == f"{path}:{line}"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"valid": 1}, "neither true nor false"),
        ({"value": "12"}, "'value' that is not a finite number"),
        ({"value": float("nan")}, "'value' that is not a finite number"),
        ({"system": ""}, "no usable 'system'"),
        ({"figure": "H2"}, "belongs to figure 'H2'"),
        ({"x": [1]}, "'x'"),
    ],
)
def test_load__bad_row_names_its_line(tmp_path, change, words):
    good = row("H1", "tas", "p50", 32, "us", 1.0)
    path = store(tmp_path, sample_run.data("H1", "t", [good, {**good, **change}]))
    with pytest.raises(DataError) as caught:
        stored.load(path)
    assert words in caught.value.what and "rows[1]" in caught.value.what
    line = int(caught.value.where.rpartition(":")[2])
    lines = path.read_text().splitlines()
    assert lines[line - 1].strip() == "{"
    assert (
        sum(text.strip() == "{" for text in lines[: line - 1]) == 2
    )  # the file's, the first row's


def test_load__missing_field(tmp_path):
    bad = row("H1", "tas", "p50", 32, "us", 1.0)
    del bad["valid"]
    with pytest.raises(DataError, match="no field 'valid'"):
        stored.load(store(tmp_path, sample_run.data("H1", "t", [bad])))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"kind": "pie"}, "kind 'pie'"),
        ({"ys": [1]}, "different lengths"),
        ({"xs": ["a", "b"]}, "no list of numbers 'xs'"),
        ({"labels": [1]}, "'labels' of different lengths"),
        ({"system": None}, "no 'system'"),
    ],
)
def test_load__bad_series(tmp_path, change, words):
    good = {"kind": "cdf", "system": "tas", "xs": [1, 2], "ys": [0.5, 1.0]}
    with pytest.raises(DataError, match=words):
        stored.load(store(tmp_path, sample_run.data("H1", "t", [], [{**good, **change}])))


def test_load__missing_file_and_wrong_encoding(tmp_path):
    with pytest.raises(DataError, match="missing"):
        stored.load(tmp_path / "data.json")
    (tmp_path / "data.json").write_bytes(b'{\n"a": "\xff"}')
    with pytest.raises(DataError) as caught:
        stored.load(tmp_path / "data.json")
    assert caught.value.where.endswith("data.json:2")


def test_load_run__needs_figures(tmp_path):
    path = tmp_path / "run.json"
    path.write_text('{"version": 1}')
    with pytest.raises(DataError, match="no 'figures'"):
        stored.load_run(path)


def test_rows__invalid_and_unknown_are_not_drawable():
    made = Rows(
        {
            "rows": [
                row("H1", "tas", "p50", 9, "us", 3.0),
                row("H1", "tas", "p50", 1, "us", 3.0),
                row("H1", "tas", "p999", 1, "us", None),
                row("H1", "linux-tcp", "p50", 1, "us", 3.0, valid=False),
            ]
        }
    )
    assert made.systems() == ["tas"]
    assert made.xs() == [1, 9]
    assert [r.x for r in made.of("tas")] == [1, 9]
    assert made.get("linux-tcp", "p50", 1) is None


def test_rows__xs_of_mixed_kinds_have_an_order():
    made = [row("H1", "tas", "p50", x, "us", 1.0) for x in ("b", 2, None, "a", 1)]
    assert Rows({"rows": made}).xs() == [None, 1, 2, "a", "b"]


def test_row__error_bar_ends():
    both = [
        row("H1", "tas", "p50", 1, "us", 10.0, spread=4.0, **m)
        for m in ({}, {"low": 9, "high": 13})
    ]
    assert [r.ends for b in both for r in Rows({"rows": [b]}).all] == [(8.0, 12.0), (9, 13)]


def test_conditions__windows_and_kinds_of_time():
    assert (
        stored.conditions({"window_us": 20000, "repetitions": 1}) == "20 ms window · 1 repetition"
    )
    assert stored.conditions({"window_us": [20000, 40000]}) == "20–40 ms window"
    assert stored.conditions({"time_mode": "wallclock", "nodes": 10}) == "real machines · 10 nodes"
    assert stored.conditions({}) == ""


def test_counts__words():
    def text(*pairs):
        made = [
            row("H1", "tas", "p50", i, "us", 1.0, n=n, samples=s) for i, (n, s) in enumerate(pairs)
        ]
        return stored.counts(Rows({"rows": made}).all)

    assert text((5, 9800)) == "n = 5 repetitions × 9,800 samples"
    assert text((5, 9800), (5, 12000)) == "n = 5 repetitions × ≥ 9,800 samples"
    assert text((1, None)) == "n = 1 repetition"
    assert text((3, 1), (5, 1)) == "n = 3–5 repetitions × 1 sample"
    assert text() == ""
