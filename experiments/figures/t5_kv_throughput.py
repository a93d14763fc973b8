# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""T5: key-value requests per second of one server node."""

from experiments.commands import kv_client, kv_server
from experiments.extract import P50, P99, THROUGHPUT
from experiments.model import Figure, Point, Scale, Window
from experiments.systems import TCP

MEASURE_MS = {Scale.SMOKE: 10, Scale.QUICK: 20, Scale.FULL: 100}
# The store of the paper's key-value server benchmark: key and value sizes, share of reads.
STORE = ("--keys", 10_000, "--key-bytes", 32, "--value-bytes", 64)
STORE += ("--get-share", 0.9, "--distribution", "zipf")
CONNECTIONS = {
    Scale.SMOKE: (32,),
    Scale.QUICK: (8, 64, 256),
    Scale.FULL: (8, 32, 64, 128, 256, 512),
}


def commands(connections):
    def at(system, cluster):
        clients = range(1, len(cluster.addresses))
        yield kv_server(system, cluster, 0)
        each = connections // len(clients)
        for node in clients:
            options = (*STORE, "--connections", each, "--outstanding", 1)
            yield kv_client(system, cluster, node, 0, *options)

    return at


FIGURE = Figure(
    id="T5",
    title="Key-value throughput",
    family="throughput_bars",
    x_label="connections",
    x_unit="",
    systems=TCP,
    nodes={Scale.SMOKE: 2, Scale.QUICK: 3, Scale.FULL: 6},
    points=lambda scale, nodes: [
        Point(n, f"{n}", Window(MEASURE_MS[scale], connect_ms=100), commands(n))
        for n in CONNECTIONS[scale]
    ],
    metrics=(THROUGHPUT, P50, P99),
    log_x=True,
    notes=("Keys of 32 B, values of 64 B, 90 % GET, Zipf 0.99; closed loop.",),
)
