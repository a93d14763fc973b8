# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""experiments.extract: percentiles, medians over repetitions, damaged result files."""

import json
import random
from types import SimpleNamespace

import pytest

from experiments import extract
from experiments.extract import Histogram
from harness.errors import UserError

RESULT = {
    "version": 1,
    "ops": 3,
    "throughput": 1.0,
    "goodput": 1.0,
    "errors": 0,
    "latency": [],
    "sample_hash": "0" * 16,
}


def test_quantile__against_sorted_samples():
    rng = random.Random(3)
    values = [int(rng.lognormvariate(10, 0.5)) for _ in range(20_000)]
    parts = [[(v, 1) for v in values[:7000]], [(v, 1) for v in values[7000:]]]
    merged = Histogram.merged(parts)
    ordered = sorted(values)
    for q in (0.1, 0.5, 0.9, 0.99, 0.999):
        rank = max(1, -(-int(q * len(values) * 1_000_000) // 1_000_000))
        assert merged.quantile_us(q) == ordered[rank - 1] / 1000


def test_quantile__needs_enough_samples():
    assert Histogram({1000: 999}).quantile_us(0.99) is None
    assert Histogram({1000: 1000}).quantile_us(0.99) == 1.0
    assert Histogram({1000: 1}).quantile_us(0.5) == 1.0
    assert Histogram({}).quantile_us(0.5) is None


def test_cdf__keeps_both_ends():
    xs, ys = Histogram({v * 1000: 1 for v in range(1, 5001)}).cdf(100)
    assert (xs[0], xs[-1], ys[-1]) == (1.0, 5000.0, 1.0)
    assert len(xs) < 200 and ys == sorted(ys)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "cannot be read"),
        ("[]", "version"),
        (json.dumps({**RESULT, "version": 9}), "version"),
        (json.dumps({k: v for k, v in RESULT.items() if k != "ops"}), "'ops'"),
        (json.dumps({**RESULT, "errors": 2}), "2 errors"),
    ],
)
def test_read_result__damage_names_the_file(tmp_path, text, complaint):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UserError, match=complaint) as caught:
        extract.read_result(path)
    assert str(path) in str(caught.value)


def test_read_result__missing(tmp_path):
    with pytest.raises(UserError, match="left no result"):
        extract.read_result(tmp_path / "none.json")


def test_rows__percentile_among_requests_that_never_ended():
    def rows(missing):
        return [
            repetition({1000: 2000}) | extract.quantile_row(Histogram({9: 2000}, missing), 0.99)
        ]

    (row,) = extract.rows(SimpleNamespace(id="F", rows=rows), [0, 50], lambda *_: None)
    assert row["unfinished"] and not row["valid"] and "pooled" not in row
    (row,) = extract.rows(SimpleNamespace(id="F", rows=rows), [0, 1], lambda *_: None)
    assert row["valid"] and "unfinished" not in row


def repetition(counts):
    return {
        **{"system": "s", "metric": "p99", "x": 1, "unit": "us"},
        **extract.quantile_row(Histogram(counts), 0.99),
    }


@pytest.mark.parametrize(
    ("counts", "want"),
    [
        ([{1000: 1000}, {3000: 1000}], (2.0, 2.0, 2, None)),
        ([{1000: 600}, {3000: 600}], (3.0, None, 2, True)),
        ([{1000: 1200}, {3000: 600}], (3.0, None, 2, True)),
        ([{1000: 100}, {3000: 100}], (None, None, 0, None)),
    ],
)
def test_rows__few_samples_are_pooled(counts, want):
    figure = SimpleNamespace(id="F", rows=lambda counts: [repetition(counts)])
    (row,) = extract.rows(figure, counts, lambda *_: None)
    assert (row["value"], row["spread"], row["n"], row.get("pooled")) == want
