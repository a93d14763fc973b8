# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""B2: how long new transports took to reach the mainline kernel. Published dates, not measured."""

from experiments.model import Figure


def compute(scale):
    """The dates stand in results/paper.json; the drawing reads them there."""
    del scale
    return {"title": FIGURE.title, "family": FIGURE.family, "notes": list(FIGURE.notes), "rows": []}


FIGURE = Figure(
    id="B2",
    title="Years from proposal to mainline",
    family="history",
    x_label="year",
    x_unit="",
    systems=(),
    nodes={},
    points=lambda scale, nodes: [],
    compute=compute,
    notes=("A table of published dates: nothing is measured.",),
)
