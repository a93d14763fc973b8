# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""H3: how many small RPCs per second one client node can issue to many servers."""

from experiments.commands import rpc_client, rpc_server
from experiments.extract import P50, P99, THROUGHPUT
from experiments.model import Figure, Point, Scale, Window
from experiments.systems import RPC

MEASURE_MS = {Scale.SMOKE: 20, Scale.QUICK: 40, Scale.FULL: 200}


def commands(system, cluster):
    servers = range(1, len(cluster.addresses))
    for node in servers:
        yield rpc_server(system, cluster, node)
    yield rpc_client(system, cluster, 0, servers, "--workload", "fixed:100", "--outstanding", 100)


FIGURE = Figure(
    id="H3",
    title="RPC rate of one client",
    family="throughput_bars",
    x_label="servers",
    x_unit="nodes",
    systems=RPC,
    nodes={Scale.SMOKE: 2, Scale.QUICK: 4, Scale.FULL: 10},
    points=lambda scale, nodes: [
        Point(nodes - 1, f"{nodes - 1} servers", Window(MEASURE_MS[scale]), commands)
    ],
    metrics=(THROUGHPUT, P50, P99),
    notes=(
        "100 B RPCs, 100 outstanding (the defaults of Homa's own benchmark).",
        "An emulated node has one core, an xl170 node ten: compare ratios, not rates.",
    ),
)
