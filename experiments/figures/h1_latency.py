# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""H1: round-trip time of a 32 B RPC on an idle network, one outstanding."""

from experiments.commands import rpc_client, rpc_server
from experiments.extract import P50, P99, P999, latency_cdfs
from experiments.model import Figure, Point, Scale, Window
from experiments.systems import RPC

MEASURE_MS = {Scale.SMOKE: 30, Scale.QUICK: 100, Scale.FULL: 400}


def commands(system, cluster):
    yield rpc_server(system, cluster, 0)
    yield rpc_client(system, cluster, 1, [0], "--workload", "fixed:32", "--outstanding", 1)


FIGURE = Figure(
    id="H1",
    title="Latency of a 32 B RPC",
    family="latency",
    x_label="request and response size",
    x_unit="B",
    systems=RPC,
    nodes={Scale.SMOKE: 2, Scale.QUICK: 2, Scale.FULL: 2},
    points=lambda scale, nodes: [Point(32, "32 B", Window(MEASURE_MS[scale]), commands)],
    metrics=(P50, P99, P999),
    series=latency_cdfs,
    notes=("One client, one server, one request outstanding, network otherwise idle.",),
    in_smoke=True,
)
