# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
import json

import pytest

from harness.errors import UserError
from plots import paper, ratios
from plots.data import Rows
from plots.sample_run import row

GOOD = {
    "id": "a",
    "figure": "H1",
    "kind": "absolute",
    "metric": "p50",
    "system": "tas",
    "versus": None,
    "x": 32,
    "value": 11.8,
    "unit": "us",
    "source": "S",
    "conflicts_with": [],
}


def load(tmp_path, *entries, **more):
    path = tmp_path / "paper.json"
    made = {"version": 1, "sources": {"S": {}}, "entries": [{**GOOD, **e} for e in entries]}
    path.write_text(json.dumps({**made, **more}))
    return paper.load(path)


def test_file__every_figure_with_published_numbers_has_them():
    whole = paper.default()
    assert whole.lookup("H1", "etran-homa", "p50", 32) == 11.8
    assert whole.lookup("H1", "linux-homa", "p50", 32) == 15.6
    assert paper.lookup("H2", "etran-homa", "goodput", 1_000_000) == 17.7
    assert paper.lookup("H3", "linux-homa", "throughput", 100) == 1.7e6  # any x: not stated
    with_ratios = {f for f in (e.figure for e in whole.entries) if whole.ratios(f)}
    assert {"H1", "H5", "H6", "H7", "H8", "T2", "T3", "T4", "T5", "headline"} <= with_ratios
    assert {s.figure for s in whole.statements} >= {"T1", "T4"}


def test_file__ratios_follow_from_their_absolutes():
    whole = paper.default()
    for figure, metric in (("H1", "p50"), ("H2", "goodput"), ("H3", "throughput")):
        ratio = next(e for e in whole.ratios(figure) if e.metric == metric)
        mine = whole.lookup(figure, "etran-homa", metric, ratio.x)
        other = whole.lookup(figure, "linux-homa", metric, ratio.x)
        assert ratio.value == pytest.approx(max(mine, other) / min(mine, other), abs=0.006)


def test_file__names_public_sources_only():
    assert all(s["url"].startswith("https://") for s in paper.default().sources.values())
    used = {e.source for e in paper.default().entries}
    assert used == set(paper.default().sources)


def test_lookup__conflict_is_no_value():
    found = paper.default().values("B2", "Homa", "proposed")
    assert {e.value for e in found} == {2018, 2021}
    assert paper.lookup("B2", "Homa", "proposed", None) is None


def test_lookup__range_is_no_value(tmp_path):
    whole = load(tmp_path, {"kind": "range", "value": [1, 2]})
    assert whole.lookup("H1", "tas", "p50", 32) is None
    assert whole.values("H1", "tas", "p50", 32)[0].ends == (1, 2)


@pytest.mark.parametrize(
    "asked, stated, same",
    [(1024, 1000, True), (1100, 1000, False), (32, None, True), ("a", "a", True), ("a", 1, False)]
    + [(None, 32, False), (None, None, True)],
)
def test_matches__rounding_of_sources(asked, stated, same):
    assert paper.matches(asked, stated) is same


@pytest.mark.parametrize(
    "change, words",
    [
        ({"kind": "guess"}, "kind 'guess'"),
        ({"figure": "X1"}, "figure 'X1'"),
        ({"value": "12"}, "not a positive number"),
        ({"value": True}, "not a positive number"),
        ({"value": [1, 2]}, "two ends"),
        ({"kind": "range", "value": [2, 1]}, "rising order"),
        ({"kind": "ratio", "unit": "x"}, "needs 'versus'"),
        ({"versus": "tas"}, "no 'versus'"),
        ({"source": "hearsay"}, "not in the list of sources"),
        ({"x": []}, "x is neither"),
        ({"extra": 1}, "unknown field 'extra'"),
        ({"unit": ""}, "'unit' is not a text"),
    ],
)
def test_load__bad_entry(tmp_path, change, words):
    with pytest.raises(UserError) as caught:
        load(tmp_path, change)
    assert words in caught.value.what
    assert "entry a" in caught.value.where


def test_load__missing_field(tmp_path):
    path = tmp_path / "paper.json"
    entry = {k: v for k, v in GOOD.items() if k != "source"}
    path.write_text(json.dumps({"version": 1, "sources": {}, "entries": [entry]}))
    with pytest.raises(UserError, match="'source' is missing"):
        paper.load(path)


def test_load__one_sided_conflict(tmp_path):
    with pytest.raises(UserError, match="not mutual"):
        load(tmp_path, {"conflicts_with": ["b"]}, {"id": "b"})


def test_load__same_id_twice(tmp_path):
    with pytest.raises(UserError, match="stands twice"):
        load(tmp_path, {}, {})


def test_load__syntax_error_names_the_line(tmp_path):
    path = tmp_path / "paper.json"
    path.write_text('{\n"version": 1,\n!')
    with pytest.raises(UserError) as caught:
        paper.load(path)
    assert caught.value.where == f"{path}:3"


def test_load__missing_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        paper.load(tmp_path / "none.json")


def rows(*triples, figure="T4", metric="p50", unit="us"):
    return Rows({"rows": [row(figure, s, metric, x, unit, v) for s, x, v in triples]})


def test_compare__lower_is_better():
    [one, _] = [
        c
        for c in ratios.compare(
            rows(("linux-tcp", 1, 40.0), ("etran-tcp", 1, 10.0)), paper.default(), "T4"
        )
    ]
    assert one.measured == (4.0, 4.0)
    assert one.verdict() == "same order, 1.1 of the published"


def test_compare__each_baseline_that_the_source_may_mean():
    made = rows(("linux-tcp", 1, 40.0), ("linux-dctcp", 1, 30.0), ("etran-tcp", 1, 10.0))
    found = [c for c in ratios.compare(made, paper.default(), "T4") if c.entry.metric == "p50"]
    assert [(c.versus, c.measured) for c in found] == [
        ("linux-tcp", (4.0, 4.0)),
        ("linux-dctcp", (3.0, 3.0)),
    ]


def test_compare__goodput_stands_for_throughput():
    made = rows(
        ("linux-tcp", 1024, 1.0),
        ("etran-tcp", 1024, 4.8),
        figure="T2",
        metric="goodput",
        unit="Gbit/s",
    )
    one = ratios.compare(made, paper.default(), "T2")[0]
    assert one.measured == (4.8, 4.8)


def test_compare__shortest_tenth_and_range_over_all():
    made = rows(
        *(("linux-homa", x, 4.0 + x) for x in (10, 20)),
        *(("etran-homa", x, 2.0) for x in (10, 20)),
        figure="H7",
        metric="slowdown_p50",
    )
    first, talk = (
        next(c for c in ratios.compare(made, paper.default(), "H7") if c.entry.id == name)
        for name in ("h7-p50", "h7-talk-p50")
    )
    assert first.measured == (7.0, 7.0) and first.at == (10,)
    assert talk.measured == (7.0, 12.0)


def test_compare__nothing_measured():
    one = ratios.compare(rows(("linux-tcp", 1, 1.0)), paper.default(), "T4")[0]
    assert one.measured is None
    assert one.verdict() == "not measured: eTran TCP"


def test_compare__verdicts():
    entry = next(e for e in paper.ratios("T5"))
    made = ratios.Comparison

    def verdict(*ends):
        return made(entry, "linux-tcp", ends, (1,), ()).verdict()

    assert verdict(3.0, 4.0) == "within the range"
    assert verdict(1.5, 3.0) == "overlaps"
    assert verdict(6.0, 7.0) == "same order"
    assert verdict(0.4, 0.9) == "opposite order"


def test_targets__first_measured_baseline_and_no_upper_bounds():
    made = rows(("linux-dctcp", 5, 37.0), figure="T4")
    [one] = ratios.targets(made, paper.default(), "T4", "p50")
    assert (one.system, one.versus, one.low) == ("etran-tcp", "linux-dctcp", pytest.approx(10.0))
    assert list(ratios.targets(made, None, "T4", "p50")) == []


def test_targets__zero_baseline_is_left_out():
    assert list(ratios.targets(rows(("linux-tcp", 5, 0.0)), paper.default(), "T4", "p50")) == []
