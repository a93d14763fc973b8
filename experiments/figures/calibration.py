# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""calibration: cost of primitive operations on an emulated core and natively on this machine."""

from experiments.extract import Histogram, read_result
from experiments.model import BIN, Command, Figure, Point, Scale, Window
from experiments.systems import CALIBRATED

SAMPLES = {Scale.SMOKE: 50, Scale.QUICK: 200, Scale.FULL: 1000}


def arguments(scale):
    return ("--samples", str(SAMPLES[scale]))


def points(scale, nodes):
    def commands(system, cluster):
        yield Command(0, "client", (f"{BIN}/primbench", *arguments(scale)), "primbench")

    return [Point(0, "", Window(2 * SAMPLES[scale], drain_ms=10), commands)]


def rows(session):
    ((result,),) = (m.results for m in session.blocks)
    native = read_result(session.directory / "host" / "primbench.json")
    for system, measured in (("native", native), ("virtual", result)):
        for entry in measured["latency"]:
            histogram = Histogram.of([entry])
            yield {
                "system": system,
                "metric": "cost",
                "x": entry["name"],
                "unit": "ns",
                "value": histogram.quantile_us(0.5) * 1000,
                "samples": histogram.count,
            }


FIGURE = Figure(
    id="calibration",
    title="Primitive operations: emulated and native",
    family="calibration",
    x_label="operation",
    x_unit="",
    systems=CALIBRATED,
    nodes={Scale.SMOKE: 2, Scale.QUICK: 2, Scale.FULL: 2},
    points=points,
    rows=rows,
    on_host=lambda scale, programs: [(str(programs / "primbench"), *arguments(scale))],
    notes=(
        "Native times are wall-clock times of this machine and vary with it and its load;"
        " emulated times depend on nothing but the programs and the kernel.",
    ),
)
