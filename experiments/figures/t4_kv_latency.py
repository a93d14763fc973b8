# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""T4: latency of key-value requests at moderate load."""

from experiments.commands import kv_client, kv_server
from experiments.extract import P50, P99, P999, latency_cdfs
from experiments.figures.t5_kv_throughput import CONNECT_MS, store
from experiments.model import Figure, Point, Scale, Window
from experiments.systems import TCP

MEASURE_MS = {Scale.SMOKE: 20, Scale.QUICK: 60, Scale.FULL: 400}
# Open loop, so that a slow answer does not slow the questions; about a third of what Linux can do.
RATE = 40_000


def commands(scale):
    def at(system, cluster):
        yield kv_server(system, cluster, 0)
        options = (*store(scale), "--connections", 16, "--rate", RATE)
        yield kv_client(system, cluster, 1, 0, *options)

    return at


FIGURE = Figure(
    id="T4",
    title="Key-value latency",
    family="kv",
    x_label="offered load",
    x_unit="requests/s",
    systems=TCP,
    nodes={Scale.SMOKE: 2, Scale.QUICK: 2, Scale.FULL: 2},
    points=lambda scale, nodes: [
        Point(
            RATE,
            f"{RATE} requests/s",
            Window(MEASURE_MS[scale], connect_ms=CONNECT_MS[scale]),
            commands(scale),
        )
    ],
    metrics=(P50, P99, P999),
    series=latency_cdfs,
    notes=(
        "Keys of 32 B, values of 64 B, 90 % GET, Zipf 0.99; open loop, latency counted from the"
        " intended send time. The paper's load is not stated.",
    ),
)
