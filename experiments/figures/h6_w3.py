# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""H6: slowdown against message size under workload W3 (short messages, some long)."""

from experiments.model import Scale
from experiments.slowdown import cluster_figure

FIGURE = cluster_figure(
    "H6",
    "w3",
    link_gbps=14,
    measure_ms={Scale.SMOKE: 5, Scale.QUICK: 8, Scale.FULL: 30},
)
