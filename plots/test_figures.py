# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Every module draws: measured, partly measured, invalid, empty; and the same bytes each time."""

import copy
import json
import struct
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from harness.errors import UserError
from plots import families, paper, sample_run, style, systems
from plots.sample_run import row

SAMPLES = sample_run.all_figures()
ROOT = Path(__file__).resolve().parent.parent


def texts(fig):
    """All words of a figure."""
    fig.draw_without_rendering()
    found = fig.findobj(matplotlib.text.Text)
    return "\n".join(t.get_text() for t in found if t.get_visible())


def draw(made):
    return families.draw(made, paper.default())


@pytest.mark.parametrize("name", SAMPLES)
def test_draw__sample(name):
    words = texts(draw(SAMPLES[name]))
    assert SAMPLES[name]["title"] in words
    if name not in ("B1", "B2"):
        assert "virtual time (0.4 ns/instruction)" in words
        assert "5 repetitions" in words
        assert "n = 5" in words


@pytest.mark.parametrize("name", SAMPLES)
def test_draw__nothing_stored(name):
    words = texts(draw(sample_run.data(name, "Title", [])))
    if name not in ("B1", "B2"):
        assert "No results are stored" in words


@pytest.mark.parametrize("name", [n for n in SAMPLES if n not in ("B1", "B2")])
def test_draw__only_invalid_rows_are_not_shown_as_results(name):
    made = copy.deepcopy(SAMPLES[name])
    for one in made["rows"]:
        one["valid"] = False
    words = " ".join(texts(draw(made)).split())
    assert f"All {len(made['rows'])} results of this figure are marked invalid" in words


@pytest.mark.parametrize("name", SAMPLES)
def test_draw__without_reference_numbers(name):
    assert "ublished:" not in texts(families.draw(SAMPLES[name], None))


@pytest.mark.parametrize("name", SAMPLES)
def test_draw__without_series_settings_and_counts(name):
    made = copy.deepcopy(SAMPLES[name])
    made.pop("series", None)
    made.pop("settings")
    for one in made["rows"]:
        one |= {"spread": None, "n": 1, "samples": None}
    texts(draw(made))


@pytest.mark.parametrize("name", [n for n in SAMPLES if n not in ("B1", "B2", "queue")])
def test_draw__zero_and_single_values(name):
    made = copy.deepcopy(SAMPLES[name])
    made.pop("series", None)
    made["rows"] = [{**made["rows"][0], "value": 0.0, "spread": 0.0}]
    texts(draw(made))


def test_draw__some_invalid_rows_are_counted():
    made = copy.deepcopy(SAMPLES["T1"])
    made["rows"][0]["valid"] = False
    made["rows"][1] |= {"value": None, "valid": False}
    words = texts(draw(made))
    assert "1 invalid point not drawn" in words
    assert "1 percentile with too few samples" in words


def test_draw__published_values_stand_beside_measured_ones():
    words = texts(draw(SAMPLES["H1"]))
    assert "15.6" in words and "11.8" in words
    assert "eTran paper, NSDI 2025" in words
    words = texts(draw(SAMPLES["H2"]))
    assert "14.5" in words and "17.7" in words and "(not measured)" in words


def test_draw__published_ratio_is_applied_to_the_measured_baseline():
    fig = draw(SAMPLES["T3"])
    base = next(r for r in SAMPLES["T3"]["rows"] if (r["system"], r["x"]) == ("linux-tcp", 1000))
    hollow = [ln for ln in fig.axes[0].lines if ln.get_markerfacecolor() == "white"]
    assert sorted(ln.get_ydata()[0] / base["value"] for ln in hollow) == pytest.approx([2.26, 4.1])
    assert "published ratio × our Linux TCP" in texts(fig)


def test_draw__conflicting_sources_are_mentioned():
    assert "Sources disagree" in texts(draw(SAMPLES["H7"]))
    assert "Homa proposed 2021" in texts(draw(SAMPLES["B2"]))


def test_draw__real_time_is_no_timing_result():
    made = copy.deepcopy(SAMPLES["H1"])
    made["settings"]["time_mode"] = "real"
    assert "NOT a timing result" in texts(draw(made))


def test_draw__one_colour_per_system_in_every_figure():
    line = next(ln for ln in draw(SAMPLES["T1"]).axes[0].lines if ln.get_marker() == "s")
    assert line.get_color() == systems.system("linux-dctcp").colour


def test_latency__several_sizes():
    made = [row("T6", s, m, x, "us", 20.0 + x / 100) for s in ("tas", "linux-tcp")
            for m in ("p50", "p99") for x in (64, 1448)]  # fmt: skip
    made += [row("H1", "linux-homa", "p50", 100, "us", 15.3)]
    words = texts(draw(sample_run.data("T6", "Title", made[:-1])))
    assert "P99 (thin)" in words
    made = [{**r, "figure": "H1"} for r in made]
    assert "15.69–15.92 µs" in texts(draw(sample_run.data("H1", "Title", made)))


def test_kv__single_load_draws_bars():
    words = texts(draw(sample_run.kv(loads=(50000,))))
    assert "Request latency (µs)" in words and "published ratio × our Linux TCP" in words


def test_latency__tail_of_the_smallest_of_several_sizes():
    made = sample_run.latency("T6", "Title", ("tas",), 64)
    other = sample_run.latency("T6", "Title", ("linux-tcp",), 1448)
    made["rows"] += other["rows"]
    made["series"] += other["series"]
    fig = draw(made)
    assert "Round-trip time (µs) at 64 B" in texts(fig)
    colours = {ln.get_color() for ln in fig.axes[1].lines} - {"#aaaaaa"}
    assert colours == {systems.system("tas").colour}


def test_slowdown__axis_is_the_share_of_messages():
    fig = draw(SAMPLES["H7"])
    ticks = [t.get_text() for t in fig.axes[0].get_xticklabels()]
    assert ticks == ["315", "376", "502", "561", "662", "960", "6.4K", "49K", "120K", "1M"]
    assert list(fig.axes[0].get_xticks()) == pytest.approx([i / 10 for i in range(1, 11)])


def test_slowdown__many_sizes_are_labelled_at_deciles():
    fig = draw(sample_run.slowdown("H7", ("linux-tcp",), tuple(range(100, 4100, 100))))
    assert len(fig.axes[0].get_xticks()) == 10


def test_slowdown__series_alone():
    made = sample_run.slowdown("H7", ("linux-tcp",))
    made["rows"] = []
    words = texts(draw(made))
    assert "Slowdown" in words and "No valid raw" in words


def test_queue__shows_the_threshold():
    words = texts(draw(SAMPLES["queue"]))
    assert "K = 83 kB" in words and "P50" in words and "buffer" not in words


def test_queue__threshold_far_above_the_queue_stays_inside_the_panel():
    made = copy.deepcopy(SAMPLES["queue"])
    for one in made["series"]:
        one["ys"] = [y / 100 for y in one["ys"]]
    fig = draw(made)
    texts(fig)
    k = made["settings"]["ecn_k_bytes"] / 1000
    assert all(axes.get_ylim()[1] > k for axes in fig.axes)
    assert all(axes.get_position().height > 0.1 for axes in fig.axes)


def test_queue__shows_the_buffer_when_it_is_near():
    made = copy.deepcopy(SAMPLES["queue"])
    made["settings"]["buffer_bytes"] = 850_000
    assert "buffer = 850 kB" in texts(draw(made))


def test_calibration__gives_the_quotients():
    assert "2.62×" in texts(draw(SAMPLES["calibration"]))


def test_loc__compares_parts():
    words = texts(draw(SAMPLES["B1"]))
    assert "2,600" in words and "2,526" in words and "3,100" in words


def test_families__unknown_figure_and_family():
    with pytest.raises(UserError, match="no module draws figure 'Z9'"):
        draw(sample_run.data("Z9", "Title", []))
    with pytest.raises(UserError, match="family 'pie'"):
        draw(sample_run.data("H1", "Title", [], family="pie"))
    assert draw(sample_run.data("Z9", "Title", [], family="latency"))


@pytest.mark.parametrize("name", ["H1", "H7", "T2", "queue"])
def test_save__same_bytes_each_time(tmp_path, name):
    for folder in ("a", "b"):
        style.save(draw(SAMPLES[name]), tmp_path / folder if (tmp_path / folder).mkdir() else
                   tmp_path / folder / name)  # fmt: skip
    for kind in ("png", "pdf"):
        first, second = ((tmp_path / f / f"{name}.{kind}").read_bytes() for f in ("a", "b"))
        assert first == second
        assert b"CreationDate" not in first and b"Matplotlib" not in first


def test_save__same_bytes_in_another_process_and_with_other_settings(tmp_path):
    """Neither the order of hashes, the environment nor a user's matplotlibrc may show."""
    source = tmp_path / "data.json"
    source.write_text(json.dumps(SAMPLES["H3"]))
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nlines.linewidth: 9\n")
    code = "from plots import families, paper; from pathlib import Path; import sys;" \
        "families.render(Path(sys.argv[1]), Path(sys.argv[2]), paper.default())"  # fmt: skip
    for folder, seed in (("a", "1"), ("b", "2")):
        subprocess.run(
            [sys.executable, "-c", code, source, tmp_path / folder],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin", "TZ": f"UTC-{seed}"}
            | ({"MATPLOTLIBRC": str(tmp_path)} if folder == "b" else {}),
            check=True,
        )
    for kind in ("png", "pdf"):
        first, second = ((tmp_path / f / f"H3.{kind}").read_bytes() for f in ("a", "b"))
        assert first == second


def test_save__pdf_has_truetype_fonts_and_png_its_size(tmp_path):
    png, pdf = style.save(draw(SAMPLES["H3"]), tmp_path / "H3")
    assert b"/Type3" not in pdf.read_bytes()
    assert b"/FontFile2" in pdf.read_bytes()
    width, _ = struct.unpack(">II", png.read_bytes()[16:24])
    assert width == round(style.WIDTH * 200)


def test_sheet__nothing_is_cut_off():
    """Titles, notes and footers stay inside the sheet."""
    for name in SAMPLES:
        fig = draw(SAMPLES[name])
        fig.draw_without_rendering()
        inside = fig.bbox.padded(1)
        for text in fig.texts:
            box = text.get_window_extent()
            assert inside.x0 <= box.x0 and box.x1 <= inside.x1, (name, text.get_text())
            assert inside.y0 <= box.y0 and box.y1 <= inside.y1, (name, text.get_text())
