# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""H7: slowdown against message size under workload W4 (mostly longer than a packet)."""

from experiments.model import Scale
from experiments.slowdown import cluster_figure

FIGURE = cluster_figure(
    "H7",
    "w4",
    link_gbps=20,
    measure_ms={Scale.SMOKE: 10, Scale.QUICK: 20, Scale.FULL: 100},
)
