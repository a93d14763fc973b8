# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""T3: a rate against the number of persistent connections."""

from __future__ import annotations

from matplotlib.figure import Figure

from plots import style
from plots.paper import Paper
from plots.size_sweep import sweep


@style.figure
def draw(data: dict, paper: Paper | None = None) -> Figure:
    return sweep(data, paper, "Connections")
