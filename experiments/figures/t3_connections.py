# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""T3: throughput of 64 B requests against the number of persistent connections."""

from experiments.commands import echo_client, echo_server
from experiments.extract import P50, P99, THROUGHPUT
from experiments.model import Figure, Point, Scale, Window
from experiments.systems import TCP

CONNECTIONS = {
    Scale.SMOKE: (16,),
    Scale.QUICK: (16, 128, 1024),
    Scale.FULL: (1, 4, 16, 64, 256, 512, 1024, 2048),
}
MEASURE_MS = {Scale.SMOKE: 10, Scale.QUICK: 20, Scale.FULL: 60}
SIZE = 64


def commands(connections):
    def at(system, cluster):
        clients = range(1, len(cluster.addresses))
        yield echo_server(system, cluster, 0)
        for k, node in enumerate(clients):
            each = connections // len(clients) + (k < connections % len(clients))
            if each:
                options = ("--connections", each, "--outstanding", 1)
                yield echo_client(system, cluster, node, 0, "--size", SIZE, *options)

    return at


def window(scale, connections):
    """Opening a connection costs a node about 0.1 ms of its time."""
    return Window(MEASURE_MS[scale], warmup_ms=10, connect_ms=15 + connections / 5)


FIGURE = Figure(
    id="T3",
    title="Connection scaling, 64 B requests",
    family="connections",
    x_label="connections",
    x_unit="",
    systems=TCP,
    nodes={Scale.SMOKE: 2, Scale.QUICK: 3, Scale.FULL: 6},
    points=lambda scale, nodes: [
        Point(n, f"{n}", window(scale, n), commands(n)) for n in CONNECTIONS[scale]
    ],
    metrics=(THROUGHPUT, P50, P99),
    log_x=True,
    notes=("One request outstanding on every connection; one server node.",),
)
