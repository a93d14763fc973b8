# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Which module draws which figure, and the way from a stored result to its files.

To add a figure: give it a family below, or write a module with draw(data, paper) and name it here.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError
from plots import data as stored
from plots.paper import Paper

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAMILIES = {
    "H1": "latency",
    "H2": "throughput_bars",
    "H3": "throughput_bars",
    "H4": "throughput_bars",
    "H5": "slowdown",
    "H6": "slowdown",
    "H7": "slowdown",
    "H8": "slowdown",
    "T1": "size_sweep",
    "T2": "size_sweep",
    "T3": "connections",
    "T4": "kv",
    "T5": "throughput_bars",
    "T6": "latency",
    "B1": "loc",
    "B2": "history",
    "queue": "switch_queue",
    "calibration": "calibration",
}
MODULES = tuple(dict.fromkeys(FAMILIES.values()))


def draw(data: dict, paper: Paper | None = None) -> Figure:
    """The figure of a data.json, by its `family` field or else by its id."""
    family = data.get("family") or FAMILIES.get(data["figure"])
    if family not in MODULES:
        raise UserError(
            f"no module draws figure {data['figure']!r}"
            + (f" of family {family!r}" if family else ""),
            hint="name its module in FAMILIES of plots/families.py",
        )
    return importlib.import_module(f"plots.{family}").draw(data, paper)


def render(data_file: Path, folder: Path, paper: Paper | None = None) -> list[Path]:
    """Draws one data.json into folder/<figure>.png and .pdf; DataError when it is damaged."""
    from plots import style

    data = stored.load(data_file)
    figure = draw(data, paper)
    folder.mkdir(parents=True, exist_ok=True)
    return style.save(figure, folder / data["figure"])
