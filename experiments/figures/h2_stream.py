# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""H2: goodput of a single stream of 1 MB messages."""

from experiments.commands import rpc_client, rpc_server
from experiments.extract import GOODPUT, P50
from experiments.model import Figure, Point, Scale, Window
from experiments.systems import RPC

MEASURE_MS = {Scale.SMOKE: 20, Scale.QUICK: 40, Scale.FULL: 200}


def commands(system, cluster):
    yield rpc_server(system, cluster, 0)
    size = ("--workload", "fixed:1000000", "--response-bytes", 32)
    yield rpc_client(system, cluster, 1, [0], *size, "--outstanding", 2)


FIGURE = Figure(
    id="H2",
    title="Single-stream goodput, 1 MB messages",
    family="throughput_bars",
    x_label="message size",
    x_unit="B",
    systems=RPC,
    nodes={Scale.SMOKE: 2, Scale.QUICK: 2, Scale.FULL: 2},
    points=lambda scale, nodes: [Point(1_000_000, "1 MB", Window(MEASURE_MS[scale]), commands)],
    metrics=(GOODPUT, P50),
    notes=(
        "Requests carry the data, responses are 32 B; two requests are outstanding so that the"
        " stream never pauses. The paper does not state its number of outstanding messages.",
    ),
)
