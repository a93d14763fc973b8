# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from plots import cli, paper, report, sample_run
from plots.table import table

FEW = ("H1", "H3", "T3", "T4", "B2")
VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Checks nesting, collects links, tables and the words of each section."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.images, self.ids = [], [], [], set()
        self.cells, self.lines, self.words = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attrs:
            self.ids.add(attrs["id"])
        if tag == "a":
            self.links.append(attrs["href"])
        if tag == "img":
            self.images.append(attrs)
        assert tag not in ("script", "link", "iframe")
        if tag == "tr":
            self.cells = []
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag
        if tag == "tr":
            self.lines.append([" ".join(c.split()) for c in self.cells])

    def handle_data(self, data):
        self.words += data
        if {"td", "th"} & set(self.open[-3:]) and self.cells:
            self.cells[-1] += data + " "


@pytest.fixture
def run(tmp_path):
    figures = {n: f for n, f in sample_run.all_figures().items() if n in FEW}
    return sample_run.write(tmp_path / "results" / "sample-run", figures)


def edit(run: Path, change):
    path = run / "run.json"
    made = json.loads(path.read_text())
    change(made)
    path.write_text(json.dumps(made, indent=1))


def page(run, **more):
    path = report.write(run, **more)
    return Page(path.read_text(encoding="utf-8"))


def test_write__values_side_by_side(run):
    assert cli.draw_run(run) == []
    made = page(run)
    line = next(ln for ln in made.lines if ln[:3] == ["P50", "32", "µs"])
    assert line[3].startswith("19.0") and "spread" in line[3]
    assert line[5] == "paper 15.6" and line[6] == "paper 11.8"
    assert line[7] == "5 × 9,800"
    line = next(ln for ln in made.lines if ln[0].startswith("eTran TCP against Linux TCP"))
    assert "2.26×" in line and "same order" in line[5]
    for name in ("e0123456789ab", "0.4", "Example CPU <1>", "6.12.0-etran", "with local changes"):
        assert name.removeprefix("e") in made.words


def test_write__refers_to_files_beside_it_only(run):
    cli.draw_run(run)
    made = page(run)
    assert {i["src"] for i in made.images} == {f"plots/{n}.png" for n in FEW}
    assert all(i["alt"] and int(i["width"]) > 600 for i in made.images)
    for link in made.links:
        if link.startswith("#"):
            assert link[1:] in made.ids
        else:
            assert (run / link).exists(), link


def test_write__same_bytes_each_time(run):
    first = report.write(run).read_bytes()
    assert report.write(run).read_bytes() == first


def test_write__every_status(run):
    def change(made):
        made["figures"]["H1"] |= {
            "status": "failed",
            "error": {"command": ["ssh", "node1", "a b"], "status": 255, "output": "<no> route\n"},
        }
        made["figures"]["H8"] = {"status": "pending", "title": "W5", "pending": ["linux-homa"]}
        made["figures"]["T6"] = {"status": "running", "title": "Ping-pong"}

    edit(run, change)
    made = page(run, catalogue=[{"id": "T1", "title": "Single stream", "pending": []}])
    words = " ".join(made.words.split())
    assert "ssh node1 'a b'" in words and "255" in words and "<no> route" in words
    assert "pending: Linux Homa" in words
    assert "interrupted" in words
    assert ["T1", "Single stream", "not run", ""] in made.lines
    assert "1 failed" in words


def test_write__damaged_figure_leaves_the_others(run):
    (run / "T3" / "data.json").write_text('{"version": 1,\n')
    made = page(run)
    assert "data.json:2" in made.words and "damaged data" in made.words
    assert any(ln[:1] == ["P50"] for ln in made.lines)


def test_write__run_without_description(run):
    (run / "run.json").write_text("{")
    made = page(run)
    assert "run.json:1" in made.words
    assert set(FEW) <= made.ids


def test_write__marks_real_time(run):
    edit(run, lambda made: made["settings"].update(time_mode="real"))
    assert "not a timing result" in page(run).words


def test_write__invalid_and_unknown_values_are_flagged(run):
    path = run / "T4" / "data.json"
    made = json.loads(path.read_text())
    made["rows"][0]["valid"] = False
    made["rows"][1] |= {"value": None, "valid": False}
    path.write_text(json.dumps(made))
    words = page(run).words
    assert "invalid" in words and "too few samples" in words


def test_write__escapes_what_others_wrote(run):
    edit(run, lambda made: made["figures"]["H1"].update(notes=["<script>alert(1)</script>"]))
    assert "<script>alert(1)</script>" in page(run).words  # as text: Page refuses the element


def test_write__elsewhere(run, tmp_path):
    out = tmp_path / "other"
    cli.draw_run(run, out=out)
    made = Page((out / "index.html").read_text())
    assert not (run / "index.html").exists() and (out / "plots" / "H1.pdf").exists()
    assert all((out / link).exists() for link in made.links if not link.startswith("#"))


def test_write__names_sources_and_claims(run):
    words = page(run).words
    for source in paper.default().sources:
        assert source in words
    assert "up to 4.8×" in words


def test_table__aligned_and_complete():
    rows = sample_run.all_figures()["H3"]["rows"] + sample_run.all_figures()["H1"]["rows"]
    for one in rows:
        one["paper"] = paper.lookup(one["figure"], one["system"], one["metric"], one["x"])
    rows[0]["valid"] = False
    rows[1]["value"] = None
    lines = table(rows).splitlines()
    assert lines[0].split() == "figure system metric x median spread n paper unit".split()
    assert lines[2].startswith("H1")  # sorted by figure
    mine = next(ln for ln in lines if "etran-homa" in ln)
    assert mine.split() == ["H3", "etran-homa", "throughput", "100", "337", "k", "20.2", "k", "5",
                            "2.9", "M", "requests/s"]  # fmt: skip
    assert mine.index("throughput") == lines[0].index("metric")
    assert any(ln.endswith("INVALID") for ln in lines)
    assert any(ln.endswith("too few samples") for ln in lines)


def test_table__with_ratios():
    rows = sample_run.all_figures()["T3"]["rows"]
    text = table(rows, paper.default())
    assert "eTran TCP vs. Linux TCP, Throughput: measured 3.84×, paper 2.26×" in text
    text = table(sample_run.all_figures()["H1"]["rows"], paper.default())
    assert "not measured: eTran Homa, Linux Homa, paper 1.32×" in text


def test_table__empty():
    assert table([]) == "no results"
