# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""H5: slowdown against message size under workload W2 (mostly short messages)."""

from experiments.model import Scale
from experiments.slowdown import cluster_figure

FIGURE = cluster_figure(
    "H5",
    "w2",
    link_gbps=3.2,
    measure_ms={Scale.SMOKE: 5, Scale.QUICK: 8, Scale.FULL: 30},
)
