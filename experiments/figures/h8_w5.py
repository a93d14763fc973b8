# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""H8: slowdown against message size under workload W5 (long messages)."""

from experiments.model import Scale
from experiments.slowdown import cluster_figure

FIGURE = cluster_figure(
    "H8",
    "w5",
    link_gbps=20,
    measure_ms={Scale.SMOKE: 10, Scale.QUICK: 25, Scale.FULL: 250},
)
