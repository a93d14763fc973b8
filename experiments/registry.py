# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The one list of experiments."""

from __future__ import annotations

import importlib

from experiments import systems
from experiments.model import NS_PER_INSN, Figure, Scale
from harness.errors import UserError

# To add a figure: its module's name here.
MODULES = (
    "h1_latency",
    "h2_stream",
    "h3_client_rate",
    "h4_server_rate",
    "h5_w2",
    "h6_w3",
    "h7_w4",
    "h8_w5",
    "t1_stream",
    "t2_small",
    "t3_connections",
    "t4_kv_latency",
    "t5_kv_throughput",
    "t6_ping_pong",
    "queue",
    "calibration",
    "b1_lines_of_code",
    "b2_history",
)


def figures() -> dict[str, Figure]:
    """id -> figure, in the order of the list."""
    found = {}
    for name in MODULES:
        figure = importlib.import_module(f"experiments.figures.{name}").FIGURE
        found[figure.id] = figure
    return found


def pick(ids: list[str]) -> list[Figure]:
    """The figures named (any case), or all; UserError names what is unknown and what there is."""
    known = figures()
    if not ids:
        return list(known.values())
    by_lower = {i.lower(): f for i, f in known.items()}
    unknown = [i for i in ids if i.lower() not in by_lower]
    if unknown:
        raise UserError(
            f"unknown figure: {', '.join(unknown)}",
            hint=f"known are {', '.join(known)}; `./run list` describes them",
        )
    return list(dict.fromkeys(by_lower[i.lower()] for i in ids))


def runnable(figure: Figure) -> bool:
    if figure.waits_for:
        return False
    return figure.compute is not None or bool(systems.available(figure.systems))


def describe(figure: Figure, scale: Scale) -> dict:
    """One object of `list --json`."""
    return {
        "id": figure.id,
        "title": figure.title,
        "systems": list(figure.systems),
        "pending": sorted({*systems.pending(figure.systems), *figure.waits_for}),
        "minutes": minutes(figure, scale),
        "runnable": runnable(figure),
        "nodes": figure.nodes.get(scale, 0),
        "family": figure.family,
    }


# Host seconds on two cores, see PERFORMANCE.md: starting and ending a session, one node's boot, and
# one busy node per virtual millisecond at NS_PER_INSN. A faster core executes more
# instructions in that time, but is idle for more of it.
SESSION_S = 0.5
BOOT_S = 1.8
BUSY_NODE_S_PER_MS = 0.011
FASTER_CORE_EXPONENT = 0.7


def minutes(figure: Figure, scale: Scale) -> float:
    """Estimated minutes on the emulated cluster with kernel, QEMU and image in the cache."""
    if not runnable(figure):
        return 0.0
    if figure.compute is not None:
        return 0.1
    nodes = figure.nodes[scale]
    count = len(systems.available(figure.systems))
    busy_ms = sum(
        p.window.warmup_ms + p.window.measure_ms + p.window.connect_ms
        for p in figure.points(scale, nodes)
    )
    busy_s = (
        BUSY_NODE_S_PER_MS * (NS_PER_INSN / figure.settings.ns_per_insn) ** FASTER_CORE_EXPONENT
    )
    session = SESSION_S + BOOT_S * nodes + busy_s * nodes * busy_ms * count
    return round(figure.repetitions[scale] * session / 60, 1)
