# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""B1: lines of code of eTran's parts beside the paper's. Counts this tree once the parts exist."""

from experiments.model import Figure

FIGURE = Figure(
    id="B1",
    title="Lines of code",
    family="loc",
    x_label="part",
    x_unit="",
    systems=("etran-tcp", "etran-homa"),
    nodes={},
    points=lambda scale, nodes: [],
    waits_for=("etran-tcp", "etran-homa"),
    notes=("Kernel series, eBPF programs, daemon and libraries, counted without blank lines.",),
)
