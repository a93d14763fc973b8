# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""H4: how many small RPCs per second one server node can answer for many clients."""

from experiments.commands import rpc_client, rpc_server
from experiments.extract import P50, P99, THROUGHPUT
from experiments.model import Figure, Point, Scale, Window
from experiments.systems import RPC

MEASURE_MS = {Scale.SMOKE: 20, Scale.QUICK: 40, Scale.FULL: 200}
OUTSTANDING = 90  # in total; Homa's own benchmark has 10 on each of nine clients


def commands(system, cluster):
    clients = range(1, len(cluster.addresses))
    yield rpc_server(system, cluster, 0)
    each = OUTSTANDING // len(clients)
    for node in clients:
        yield rpc_client(
            system, cluster, node, [0], "--workload", "fixed:100", "--outstanding", each
        )


FIGURE = Figure(
    id="H4",
    title="RPC rate of one server",
    family="throughput_bars",
    x_label="clients",
    x_unit="nodes",
    systems=RPC,
    nodes={Scale.SMOKE: 2, Scale.QUICK: 4, Scale.FULL: 10},
    points=lambda scale, nodes: [
        Point(nodes - 1, f"{nodes - 1} clients", Window(MEASURE_MS[scale]), commands)
    ],
    metrics=(THROUGHPUT, P50, P99),
    notes=(
        "100 B RPCs, 90 outstanding in total.",
        "An emulated node has one core, an xl170 node ten: compare ratios, not rates.",
    ),
)
